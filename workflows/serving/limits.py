"""The limits and settings of the inference server, in one table."""

from __future__ import annotations

from dataclasses import dataclass, field

MEGABYTE = 1024**2


@dataclass(frozen=True)
class Limits:
    """Limits of the inference server. Reaching any of them gives an error response with a message."""

    file_bytes: int = 50 * MEGABYTE
    """Largest single upload; a larger one is an error for that file only."""
    request_bytes: int = 200 * MEGABYTE
    """Largest body; counted while it arrives, whatever its declared length."""
    files: int = 64
    """Files per request."""
    in_flight_bytes: int = 1024 * MEGABYTE
    """Bodies being received or processed, in total; above: 503."""
    waiting_images: int = 256
    """Photos decoded or waiting for the network, in total; above: 503."""
    batch: int = 64
    """Largest batch of the network."""
    gather_seconds: float = 0.004
    """How long the first photo of a batch waits for others that are still being decoded."""
    models: int = 4
    """Most classifiers loaded at once."""
    model_bytes: int = 2048 * MEGABYTE
    """Largest total size of loaded weights; the newest one stays whatever its size."""
    maps: int = 16
    """Heat-maps per request."""
    retry_seconds: int = 1
    """`Retry-After` of a refused request."""


@dataclass(frozen=True)
class ServerSettings:
    """The settings of the server.

    Attributes:
        run: the model for requests without one: a run's id, its beginning, or `latest`.
        pinned: only `run` is served, other requests are refused.
        studio: also serve requests for images of the store (by their SHA-256); only for the studio on this machine.
        token: required in requests as `Authorization: Bearer …`; empty means no token is needed.
        hosts: accepted host names of the server; empty means any.
        device: as in training.
        limits: see :class:`Limits`.
    """

    run: str = "latest"
    pinned: bool = False
    studio: bool = False
    token: str = ""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    device: str = "auto"
    limits: Limits = field(default_factory=Limits)
