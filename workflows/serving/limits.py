"""What the inference server accepts, how much of it at once, and for whom: one table of settings."""

from __future__ import annotations

from dataclasses import dataclass, field

MEGABYTE = 1024**2


@dataclass(frozen=True)
class Limits:
    """Bounds of the inference server. Every one of them has an answer with words when it is reached."""

    file_bytes: int = 50 * MEGABYTE
    """Largest single upload; a larger one is an error for that file alone."""
    request_bytes: int = 200 * MEGABYTE
    """Largest body; counted while it arrives, whatever its header says."""
    files: int = 64
    """Files per request."""
    in_flight_bytes: int = 1024 * MEGABYTE
    """Bodies being received or worked on, all together; above: 503."""
    waiting_images: int = 256
    """Photos decoded or waiting for the network, all together; above: 503."""
    batch: int = 64
    """Photos that the network takes at once."""
    gather_seconds: float = 0.004
    """How long the first photo of a batch waits for others that are still being decoded."""
    models: int = 4
    """Classifiers kept loaded."""
    model_bytes: int = 2048 * MEGABYTE
    """Weights kept loaded, all together; the newest one stays whatever its size."""
    maps: int = 16
    """Heat-maps per request."""
    retry_seconds: int = 1
    """What a refused client is told to wait."""


@dataclass(frozen=True)
class Settings:
    """For whom the server is.

    Attributes:
        run: the model that answers when a request names none: a run's id, its beginning, or `latest`.
        pinned: only `run` is served, whatever a request asks for.
        studio: also answer about the images of the store (by their SHA-256); for the studio on this machine alone.
        token: what a request must carry as `Authorization: Bearer …`; empty means no token is needed.
        hosts: names that a request may address the server by; empty means any.
        device: as in training.
        limits: the bounds.
    """

    run: str = "latest"
    pinned: bool = False
    studio: bool = False
    token: str = ""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    device: str = "auto"
    limits: Limits = field(default_factory=Limits)
