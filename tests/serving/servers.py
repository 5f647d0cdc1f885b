"""Starts real inference servers in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.processes import ROOT, environment


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    process: subprocess.Popen[str]

    def client(self, **more: object) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=60, trust_env=False, **more)  # type: ignore[arg-type]


@contextmanager
def running(home: Path, *options: object) -> Iterator[Server]:
    """Run `python -m workflows.serving` on the store in `home` for the body; show what it said if it doesn't start."""
    command = [sys.executable, "-m", "workflows.serving", *map(str, options)]
    with (home.parent / "server.log").open("w+") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(home), stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        try:
            word, _, address = process.stdout.readline().strip().partition(" ")
            log.seek(0)
            assert word == "ready", log.read()
            yield Server(address, process)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()
