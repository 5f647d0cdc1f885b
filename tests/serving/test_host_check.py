"""The host and origin check of the studio and of the inference server: each has its own messages, both refuse the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import web_server
from workflows.serving import api
from workflows.serving.host_check import HostCheck, Refusal
from workflows.serving.limits import ServerSettings

HOSTS = (*ServerSettings.hosts, "*.studio.example")
SERVERS = pytest.mark.parametrize(
    ("headers", "refuse"),
    [(web_server.HEADERS, web_server.refusal), (api.HEADERS, api.refusal)],
    ids=["studio", "inference"],
)
Headers = tuple[tuple[bytes, bytes], ...]
Refuse = Callable[[Refusal], Response]


async def _inside(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside", headers={"X-Frame-Options": "ALLOWALL"})


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def checked(headers: Headers, refuse: Refuse, hosts: tuple[str, ...] = HOSTS) -> TestClient:
    """A program that talks to a small application behind the host check."""
    routes = [Route("/", _inside, methods=["GET", "POST"]), WebSocketRoute("/socket", _socket)]
    app = Starlette(routes=routes, middleware=[Middleware(HostCheck, hosts, headers, refuse)])
    return TestClient(app, base_url="http://localhost:8501")


@SERVERS
@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example:80", "studio.example", "", "[::1", "[x]", "localhost:x", "a@localhost"],
)
def test_a_foreign_name_is_refused(headers: Headers, refuse: Refuse, host: str) -> None:
    client = checked(headers, refuse)
    for method in ("GET", "POST"):
        answer = client.request(method, "/", headers={"host": host})
        assert (answer.status_code in (400, 403), "inside" in answer.text) == (True, False)
        assert answer.headers["x-content-type-options"] == "nosniff"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers={"host": host}):
        pass


@SERVERS
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost:1", "http://localhost", "http://["]
)
def test_a_page_of_another_site_is_refused(headers: Headers, refuse: Refuse, origin: str) -> None:
    client = checked(headers, refuse)
    for method in ("GET", "POST"):
        answer = client.request(method, "/", headers={"origin": origin, "sec-fetch-site": "cross-site"})
        assert (answer.status_code, "inside" in answer.text) == (403, False)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers={"origin": origin}):
        pass


@SERVERS
@pytest.mark.parametrize(
    "host", ["localhost:8501", "LOCALHOST", "localhost.", "[::1]:80", "127.0.0.1", "a.studio.example"]
)
def test_own_names_and_own_pages_come_in(headers: Headers, refuse: Refuse, host: str) -> None:
    client = checked(headers, refuse)
    own = {"host": host, "origin": f"http://{host}"}
    for sent in ({"host": host}, own, {"host": host, "origin": "null", "sec-fetch-site": "same-origin"}):
        answer = client.post("/", headers=sent)
        assert answer.text == "inside"
        frames = dict(headers)[b"x-frame-options"].decode()
        assert answer.headers.get_list("x-frame-options") == [frames]
    with client.websocket_connect("/socket", headers=own):
        pass


@SERVERS
def test_without_names_any_is_right(headers: Headers, refuse: Refuse) -> None:
    assert checked(headers, refuse, ()).get("/", headers={"host": "models.example"}).text == "inside"
