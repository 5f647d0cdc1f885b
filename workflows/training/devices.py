"""Which device a word such as `auto` means, and whether it is there."""

from __future__ import annotations

import torch

from workflows.errors import DeviceError
from workflows.store.devices import gpu_numbers


def choose_device(choice: str = "auto") -> str:
    """Return what `choice` means on this machine: "cpu", or GPU numbers ("0", "0,1").

    Args:
        choice: "auto" (the first GPU if there is one), "cpu", a GPU number, or several with commas.

    Raises:
        DeviceError: a requested GPU does not exist; the message lists the existing ones.
    """
    present = gpu_count()
    if choice == "auto":
        return "0" if present else "cpu"
    if choice == "cpu":
        return "cpu"
    missing = [number for number in gpu_numbers(choice) if number >= present]
    if missing:
        raise DeviceError(_absent(missing, present), "Choose one that is there, or use: --device cpu")
    return choice


def gpu_count() -> int:
    """Return how many GPUs PyTorch can use on this machine."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def torch_device(choice: str = "auto") -> torch.device:
    """Return the (first) device that `choice` means."""
    chosen = choose_device(choice)
    return torch.device("cpu" if chosen == "cpu" else f"cuda:{gpu_numbers(chosen)[0]}")


def _absent(missing: list[int], present: int) -> str:
    verb = "was" if len(missing) == 1 else "were"
    wanted = " and ".join(f"GPU {number}" for number in missing) + f" {verb} requested"
    if present:
        there = ", ".join(f"GPU {number} ({torch.cuda.get_device_name(number)})" for number in range(present))
        return f"{wanted}, but this machine has only {there}."
    if torch.version.cuda is None and torch.version.hip is None:
        return f"{wanted}, but the installed PyTorch {torch.__version__} is built for CPUs only."
    return f"{wanted}, but PyTorch sees no GPU here (no GPU, no driver, or CUDA_VISIBLE_DEVICES hides it)."
