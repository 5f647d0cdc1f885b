"""The server's address and token: checked before PyTorch is loaded, so that errors are reported at once."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from pathlib import Path

from workflows.errors import FieldguideError, UsageError

SHORTEST_TOKEN = 16
ANYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for all interfaces of this machine."""


class ServingError(FieldguideError):
    """The server can't be started."""


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on `host` is reachable only from this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(host: str, port: int) -> str:
    """Return the address of a server by the host and port that it listens on."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def interface_addresses() -> list[str]:
    """The addresses of this machine's interfaces."""
    import psutil

    families = (socket.AF_INET, socket.AF_INET6)
    return [a.address for found in psutil.net_if_addrs().values() for a in found if a.family in families]


def read_token(path: Path) -> str:
    """Return the token in a file. Raises UsageError if there is none, or if it is too weak."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The token can't be read from {path}: {error}.") from error
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(
            f"The token in {path} is too easy to guess.",
            f"Create one of at least {SHORTEST_TOKEN} characters: openssl rand -hex 32 > {path}",
        )
    return token


def open_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket for the server; port 0 chooses a free one.

    Raises:
        ServingError: the port is in use, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is given, because asyncio turns off Nagle's delay (40 ms per response) only then
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServingError(
                f"Port {port} is in use.", "Choose another port (--port), or stop the process that uses it."
            ) from error
        raise ServingError(f"Can't listen on {host} port {port}: {error.strerror or error}.") from error
    return listener
