"""The full state of a training, so that a resumed run equals one that was never interrupted.

Ultralytics' own checkpoints contain a 16-bit average of the weights and are written in place: killed while
writing, they are lost, and what is resumed from them differs. Ours contain everything in 32 bits and replace
the one before only when they are safely on the disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from workflows.errors import RunError, StorageError
from workflows.store.files import atomic_path, free_bytes
from workflows.store.run_folder import checkpoint_bytes

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) so that `path` always is a complete checkpoint.

    Raises StorageError if the disk is full or read-only; the checkpoint before is then still there.
    """
    with atomic_path(path) as partial:
        torch.save(state | {"format": FORMAT}, partial)


def load_checkpoint(path: Path, run_id: str) -> dict[str, Any] | None:
    """Return the state saved for `run_id`, or None if there is none yet.

    Raises:
        RunError: the file is damaged, of another run, or of another version of Fieldguide.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise RunError(f"The checkpoint {path} is damaged ({error}).", "Start the run again.") from error
    if state.get("run_id") != run_id or state.get("format") != FORMAT:
        raise RunError(f"The checkpoint {path} does not belong to run {run_id} of this version of Fieldguide.")
    return state


def check_room(folder: Path, parameters: int) -> None:
    """Raise StorageError if checkpoints of a model with so many parameters won't fit: before hours of training, not
    after its first epoch."""
    needed, free = checkpoint_bytes(parameters), free_bytes(folder)
    if free < needed:
        raise StorageError(
            f"Checkpoints of this model need {needed / 1e6:.0f} MB in {folder}, but {free / 1e6:.0f} MB are free.",
            "Free some space, or set FIELDGUIDE_HOME to a larger disk; `fieldguide runs resume` continues from here.",
        )
