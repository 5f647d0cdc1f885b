"""How fast this machine learns, measured once and kept: loading PyTorch and training on noise takes a while."""

from __future__ import annotations

import socket
from hashlib import blake2b
from pathlib import Path

from workflows.errors import StorageError
from workflows.recommend.estimate import Speed
from workflows.recommend.hardware import Hardware
from workflows.store.files import read_json, write_json
from workflows.store.store import Store


def kept_probe(store: Store, hardware: Hardware) -> Speed | None:
    """Return what was measured of this device of this machine, None if nothing was."""
    try:
        document = read_json(_path(store, hardware))
        return Speed(float(document["images_per_second"]), str(document["basis"]), "probe")
    except (StorageError, KeyError, TypeError, ValueError):  # never measured, or written by another release
        return None


def keep_probe(store: Store, hardware: Hardware, speed: Speed) -> None:
    """Keep what was measured; what was only assumed, because the device was busy, is not kept.

    Raises:
        StorageError: the disk is full or refuses.
    """
    if speed.certainty == "probe":
        write_json(_path(store, hardware), speed._asdict())


def forget_probes(store: Store) -> None:
    """Have this machine measured anew the next time that its speed is asked for."""
    for path in _folder(store).glob("*.json"):
        path.unlink(missing_ok=True)


def _folder(store: Store) -> Path:
    return store.cache_folder / "speed"


def _path(store: Store, hardware: Hardware) -> Path:
    """Return the file for a device: another machine, number of cores or PyTorch has another speed."""
    what = (socket.gethostname(), hardware.name, hardware.device, hardware.cores, hardware.bf16, hardware.torch_version)
    return _folder(store) / f"{blake2b(repr(what).encode(), digest_size=8).hexdigest()}.json"
