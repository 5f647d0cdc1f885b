"""Which device a training will use, before it starts: `auto` is resolved by probing the machine.

Probing needs PyTorch, so a process of its own does it (`python -m flows.runner_devices`) and writes the result to
`HOME/cache/hardware.json`, for the runner and for the pages.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from workflows.errors import StorageError
from workflows.store.files import read_json, write_json
from workflows.store.store import RunRecord, Store

PATIENCE_SECONDS = 180.0
"""After this many seconds, `auto` counts as the CPU; the training itself will detect it again."""
CPU = ("cpu",)


def hardware_path(store: Store) -> Path:
    """Return the file that describes the machine's hardware."""
    return store.cache_folder / "hardware.json"


class Devices:
    """The devices that runs request."""

    def __init__(self, store: Store) -> None:
        self._path = hardware_path(store)
        self._asked_at = time.time()
        self._look: subprocess.Popen[bytes] | None = None
        self._auto: tuple[str, ...] | None = None

    def of(self, run: RunRecord) -> tuple[str, ...] | None:
        """Return the devices that a run will use; None while `auto` is not resolved."""
        choice = run.request.get("device") or _of_workflow(run.request.get("workflow")) or "auto"
        if choice == "auto":
            return self._choose()
        return tuple(str(choice).replace(" ", "").split(","))

    def _choose(self) -> tuple[str, ...] | None:
        """Probe the machine, once per process."""
        if self._auto is not None:
            return self._auto
        if self._look is None:
            command = [sys.executable, "-P", "-m", "flows.runner_devices"]
            self._look = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        late = time.time() - self._asked_at > PATIENCE_SECONDS
        if self._look.poll() is None and not late:
            return None
        self._auto = self._found() or CPU
        return self._auto

    def _found(self) -> tuple[str, ...] | None:
        try:
            return tuple(str(read_json(self._path)["device"]).split(","))
        except (StorageError, KeyError, TypeError):
            return None

    def look_ahead(self) -> None:
        """Start probing the machine, so that the first training need not wait for it."""
        self._choose()


def _of_workflow(workflow: Any) -> str | None:
    """Return the device that a workflow document names in its training node, if any."""
    for node in (workflow or {}).get("nodes", ()):
        if node.get("kind") == "training":
            device = node.get("settings", {}).get("device")
            return None if device is None else str(device)
    return None


def main() -> None:
    """Write this machine's hardware to the file."""
    from workflows.recommend.hardware import detect_hardware
    from workflows.training.devices import gpu_count

    found = detect_hardware()
    document = {**dataclasses.asdict(found), "device": found.device, "gpus": gpu_count()}
    write_json(hardware_path(Store()), document)


if __name__ == "__main__":
    main()
