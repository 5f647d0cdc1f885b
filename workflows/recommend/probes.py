"""The training speed of this machine, measured once and stored: loading PyTorch and training on noise takes time."""

from __future__ import annotations

import socket
from hashlib import blake2b
from pathlib import Path

from workflows.errors import StorageError
from workflows.recommend.estimate import Speed
from workflows.recommend.hardware import Hardware
from workflows.store.files import read_json, write_json
from workflows.store.store import Store


def stored_probe(store: Store, hardware: Hardware) -> Speed | None:
    """Return the stored speed of this device of this machine, None if it was not measured."""
    try:
        document = read_json(_path(store, hardware))
        return Speed(float(document["images_per_second"]), str(document["basis"]), "probe")
    except (StorageError, KeyError, TypeError, ValueError):  # never measured, or written by another release
        return None


def store_probe(store: Store, hardware: Hardware, speed: Speed) -> None:
    """Store a measured speed; one that was only assumed, because the device was busy, is not stored.

    Raises:
        StorageError: the disk is full or refuses.
    """
    if speed.certainty == "probe":
        write_json(_path(store, hardware), speed._asdict())


def forget_probes(store: Store) -> None:
    """Delete the stored speeds: this machine is measured again the next time that its speed is needed."""
    for path in _folder(store).glob("*.json"):
        path.unlink(missing_ok=True)


def _folder(store: Store) -> Path:
    return store.cache_folder / "speed"


def _path(store: Store, hardware: Hardware) -> Path:
    """Return the file of a device; its speed depends on the machine, the number of cores and PyTorch's version."""
    what = (socket.gethostname(), hardware.name, hardware.device, hardware.cores, hardware.bf16, hardware.torch_version)
    return _folder(store) / f"{blake2b(repr(what).encode(), digest_size=8).hexdigest()}.json"
