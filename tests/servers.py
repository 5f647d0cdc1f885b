"""A real HTTP server on this machine that behaves as well or as badly as a test wants."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server has, and how it answers.

    Attributes:
        cuts: after how many bytes of the body the connection is dropped, one for each request.
        answers: statuses to give instead of the file, one for each request; 0 gives the file.
        trickle: seconds to wait before each 16 kB of the body.
    """

    content: bytes
    etag: str | None = "by content"
    modified: str | None = None
    ranges: bool = True
    heeds_if_range: bool = True
    length: bool = True
    cuts: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    redirect: str = ""
    trickle: float = 0.0
    seen: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def tag(self) -> str | None:
        return f'"{hashlib.sha256(self.content).hexdigest()[:12]}"' if self.etag == "by content" else self.etag

    @property
    def ranges_asked(self) -> list[str]:
        return [headers.get("range", "") for headers in self.seen]


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        it = self.behaviour
        it.seen.append({name.lower(): value for name, value in self.headers.items()} | {":path": self.path})
        status = it.answers.pop(0) if it.answers else 0
        if status:
            self.send_error(status)
        elif it.redirect and self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", it.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(it)

    def _send(self, it: Behaviour) -> None:
        start = self._start(it)
        if start is None:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(it.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = it.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(it.content) - 1}/{len(it.content)}")
        for name, value in (("ETag", it.tag), ("Last-Modified", it.modified)):
            if value:
                self.send_header(name, value)
        if it.length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self._body(it, body)
        self.close_connection = True

    def _start(self, it: Behaviour) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range") in (it.tag, it.modified, None)
        if not asked or not it.ranges or (it.heeds_if_range and not current):
            return 0
        return int(asked[1]) if int(asked[1]) < len(it.content) else None

    def _body(self, it: Behaviour, body: bytes) -> None:
        if it.cuts:
            body = body[: it.cuts.pop(0)]
        with suppress(ConnectionError):  # who downloads hangs up in the middle where a test wants to see just that
            for at in range(0, len(body), 16_384):
                time.sleep(it.trickle)
                self.wfile.write(body[at : at + 16_384])
                self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing: what was asked is in `Behaviour.seen`."""


def free_port() -> int:
    """Return a port that nobody listens on, chosen by the system: it gives the same one to nobody else for a while."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Behaviour]:
    """Serve on a free port of this machine for the body; `behaviour.url` is the file's address."""
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    behaviour.url = f"http://127.0.0.1:{server.server_address[1]}/file.tgz"
    try:
        yield behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
