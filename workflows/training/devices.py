"""Which device a word such as `auto` means, and whether it is there."""

from __future__ import annotations

import torch

from workflows.errors import DeviceError


def choose_device(choice: str = "auto") -> str:
    """Return what `choice` means on this machine: "cpu", or GPU numbers ("0", "0,1").

    Args:
        choice: "auto" (the first GPU if there is one), "cpu", a GPU number, or several with commas.

    Raises:
        DeviceError: a GPU is asked for that is not there; says what is.
    """
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if choice == "auto":
        return "0" if present else "cpu"
    if choice == "cpu":
        return "cpu"
    missing = [number for number in gpu_numbers(choice) if number >= present]
    if missing:
        raise DeviceError(_absent(missing, present), "Choose one that is there, or use: --device cpu")
    return choice


def torch_device(choice: str = "auto") -> torch.device:
    """Return the (first) device that `choice` means."""
    chosen = choose_device(choice)
    return torch.device("cpu" if chosen == "cpu" else f"cuda:{gpu_numbers(chosen)[0]}")


def gpu_numbers(device: str) -> tuple[int, ...]:
    """Return the GPU numbers that a device names; none for "cpu". Raises DeviceError if it names no device."""
    if device == "cpu":
        return ()
    parts = device.split(",")
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise DeviceError(f"{device!r} names no device.", "Use auto, cpu, a GPU number such as 0, or several: 0,1")
    return tuple(int(part) for part in parts)


def _absent(missing: list[int], present: int) -> str:
    verb = "was" if len(missing) == 1 else "were"
    wanted = " and ".join(f"GPU {number}" for number in missing) + f" {verb} asked for"
    if present:
        there = ", ".join(f"GPU {number} ({torch.cuda.get_device_name(number)})" for number in range(present))
        return f"{wanted}, but this machine has only {there}."
    if torch.version.cuda is None and torch.version.hip is None:
        return f"{wanted}, but the installed PyTorch {torch.__version__} is built for CPUs only."
    return f"{wanted}, but PyTorch sees no GPU here (no GPU, no driver, or CUDA_VISIBLE_DEVICES hides it)."
