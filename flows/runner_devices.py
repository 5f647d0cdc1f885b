"""Which device a training will take, known before it starts: `auto` is decided by a look at the machine.

Looking needs PyTorch, so a process of its own does it (`python -m flows.runner_devices`) and leaves what it found in
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
"""After this, `auto` counts as the processor; the training itself will find out better."""
CPU = ("cpu",)


def hardware_path(store: Store) -> Path:
    """Return the file that says what the machine has."""
    return store.cache_folder / "hardware.json"


class Devices:
    """Knows what each run asks for."""

    def __init__(self, store: Store) -> None:
        self._path = hardware_path(store)
        self._asked_at = time.time()
        self._look: subprocess.Popen[bytes] | None = None
        self._auto: tuple[str, ...] | None = None

    def of(self, run: RunRecord) -> tuple[str, ...] | None:
        """Return the devices that a run will take; None while it is not known what `auto` means here."""
        choice = run.request.get("device") or _of_workflow(run.request.get("workflow")) or "auto"
        if choice == "auto":
            return self._choose()
        return tuple(str(choice).replace(" ", "").split(","))

    def _choose(self) -> tuple[str, ...] | None:
        """Look at the machine, once in this process's life."""
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
        """Begin to look at the machine, so that the first training needn't wait for it."""
        self._choose()


def _of_workflow(workflow: Any) -> str | None:
    """Return the device that a workflow document names in its training node, if any."""
    for node in (workflow or {}).get("nodes", ()):
        if node.get("kind") == "training":
            device = node.get("settings", {}).get("device")
            return None if device is None else str(device)
    return None


def main() -> None:
    """Write down what this machine has."""
    from workflows.recommend.hardware import detect_hardware

    found = detect_hardware()
    document = {**dataclasses.asdict(found), "device": found.device}
    write_json(hardware_path(Store()), document)


if __name__ == "__main__":
    main()
