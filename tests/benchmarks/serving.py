"""How fast does the inference server answer, and what does batching bring?

Serves a run twice, once as it is and once taking every photo alone (batches of 1), and asks each with 1, 4, 16 and 32
clients at once, one photo per request. Prints the median and 95th percentile of the latency, and photos per second.

    .venv/bin/python -m tests.benchmarks.serving HOME RUN PHOTO... --requests 400

RUN is a run in the state folder HOME; the photos are taken in turn.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import httpx

from workflows.serving.limits import Limits, ServerSettings
from workflows.serving.listening import open_socket
from workflows.serving.server import address_of, serve
from workflows.store.store import Store

CLIENTS = (1, 4, 16, 32)


@contextmanager
def served(home: Path, run: str, limits: Limits, device: str) -> Iterator[str]:
    """Serve a run from a thread of this process for the body; yield the address."""
    listener, ready = open_socket("127.0.0.1", 0), threading.Event()
    settings = ServerSettings(run=run, device=device, limits=limits)
    work = threading.Thread(target=serve, args=(Store(home), settings, listener, lambda _: ready.set()), daemon=True)
    work.start()
    ready.wait()
    yield address_of(listener)


def measure(address: str, photos: list[bytes], clients: int, requests: int) -> tuple[float, float, float]:
    """Return the median and 95th percentile of the latency in seconds, and photos per second."""
    local = threading.local()

    def ask(photo: bytes) -> float:
        if not hasattr(local, "client"):
            local.client = httpx.Client(base_url=address, timeout=120, trust_env=False)
        start = time.perf_counter()
        answer = local.client.post("/predict", files={"files": photo})
        if answer.is_error:
            raise SystemExit(answer.text)
        return time.perf_counter() - start

    with ThreadPoolExecutor(clients) as crowd:
        list(crowd.map(ask, islice(cycle(photos), 2 * clients)))  # connections and the model are warm
        start = time.perf_counter()
        latencies = sorted(crowd.map(ask, islice(cycle(photos), requests)))
        seconds = time.perf_counter() - start
    return statistics.median(latencies), latencies[int(0.95 * len(latencies))], requests / seconds


def main() -> None:
    """Print one line per way of serving and number of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("run")
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    photos = [path.read_bytes() for path in chosen.photos]
    print(f"{platform.processor() or platform.machine()}, {len(photos)} photos, {chosen.requests} requests each")
    print(f"{'serving':<10} {'clients':>7} {'median':>9} {'p95':>9} {'photos/s':>9}")
    for name, limits in (("batched", Limits()), ("one by one", Limits(batch=1, gather_seconds=0.0))):
        with served(chosen.home, chosen.run, limits, chosen.device) as address:
            for clients in CLIENTS:
                median, slow, rate = measure(address, photos, clients, chosen.requests)
                print(f"{name:<10} {clients:>7} {1000 * median:>6.1f} ms {1000 * slow:>6.1f} ms {rate:>9.1f}")


if __name__ == "__main__":
    main()
