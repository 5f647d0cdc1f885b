"""Which device a word such as `auto` means."""

from __future__ import annotations

import torch

from workflows.errors import DeviceError


def choose_device(choice: str = "auto") -> str:
    """Return `cpu` or GPU numbers (`0`, `0,1`) for `auto`, `cpu`, `0`, `0,1`. Raises DeviceError if absent."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if choice == "auto":
        return "0" if count else "cpu"
    if choice == "cpu":
        return "cpu"
    missing = [number for number in choice.split(",") if not number.isdigit() or int(number) >= count]
    if missing:
        raise DeviceError(
            f"GPU {', '.join(missing)} was asked for, but this machine has {count or 'no'} usable GPU(s).",
            "Use --device auto or --device cpu; `fieldguide doctor` shows what is there.",
        )
    return choice


def torch_device(choice: str = "auto") -> torch.device:
    """Return the (first) device that `choice` means."""
    chosen = choose_device(choice)
    return torch.device("cpu" if chosen == "cpu" else f"cuda:{chosen.split(',')[0]}")
