"""Where the server listens and which token it asks for: checked before PyTorch is loaded, so refusals come at once."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from pathlib import Path

from workflows.errors import FieldguideError, UsageError

SHORTEST_TOKEN = 16


class ServingError(FieldguideError):
    """The server can't be started."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """Return the token in a file. Raises UsageError if there is none, or it can be guessed."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The token can't be read from {path}: {error}.") from error
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(
            f"The token in {path} is too easy to guess.",
            f"Make one of {SHORTEST_TOKEN} letters or more: openssl rand -hex 32 > {path}",
        )
    return token


def open_socket(host: str, port: int) -> socket.socket:
    """Return a listening place for the server; port 0 takes any free one.

    Raises:
        ServingError: the place is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is named, because asyncio turns Nagle's delay off (40 ms for each answer) only where it is
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServingError(f"Port {port} is taken.", "Choose another with --port, or end what uses it.") from error
        raise ServingError(f"Can't listen on {host} port {port}: {error.strerror or error}.") from error
    return listener
