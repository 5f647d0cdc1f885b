"""What the inference server counts of its requests."""

from __future__ import annotations

import asyncio
import math

import pytest
from starlette.types import Message, Receive, Scope, Send

from workflows.serving.traffic import Traffic


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the status that the path names; `/fail` fails."""
    if scope["path"] == "/fail":
        raise RuntimeError
    await send({"type": "http.response.start", "status": int(scope["path"][1:]), "headers": []})
    await send({"type": "http.response.body", "body": b""})


def request(traffic: Traffic, path: str) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(_message: Message) -> None:
        pass

    asyncio.run(traffic({"type": "http", "path": path}, receive, send))


def test_requests_and_errors_are_counted_but_not_questions_about_them() -> None:
    traffic = Traffic(answer, ("/204",))
    assert traffic.p95_seconds is None  # undefined is not 0
    for path in ("/200", "/401", "/503", "/204"):
        request(traffic, path)
    with pytest.raises(RuntimeError):
        request(traffic, "/fail")
    assert (traffic.requests, traffic.errors) == (4, 3)
    assert traffic.p95_seconds is not None and traffic.p95_seconds > 0


@pytest.mark.parametrize("number", [1, 19, 20, 21, 100])
def test_the_latency_is_the_nearest_rank_of_95_percent(number: int) -> None:
    traffic = Traffic(answer, ())
    traffic._seconds.extend(float(second) for second in range(number, 0, -1))
    assert traffic.p95_seconds == math.ceil(0.95 * number)
    within = sum(second <= traffic.p95_seconds for second in traffic._seconds)
    assert within >= 0.95 * number > within - 1
