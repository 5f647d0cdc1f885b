"""What is done with any network: its arithmetic, its answers and its embeddings.

Does not know where photos or weights come from, nor how training is organised.
"""

from __future__ import annotations

import numpy as np
import torch

from workflows.backbones.network import Network


def choose_half(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the 16-bit type of the training pass on `device`, or None for 32 bits.

    `auto` takes 16 bits where the hardware computes with them; where it must emulate them they are slower.
    """
    if precision == "float32":
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast or precision == "mixed" else None


def embeddings_of(model: Network, squares: np.ndarray, device: torch.device, batch: int = 256) -> torch.Tensor:
    """Return what the classifier's last layer takes (float32 [n, features], on the CPU); see :func:`logits_of`."""
    seen: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append(inputs[0].detach().float().cpu())

    hook = model.head.register_forward_pre_hook(keep)
    try:
        logits_of(model, squares, device, batch)
    finally:
        hook.remove()
    return torch.cat(seen) if seen else torch.zeros(0, 0)


def logits_of(model: Network, squares: np.ndarray, device: torch.device, batch: int = 256) -> torch.Tensor:
    """Return the logits (float32 [n, classes], on the CPU) of uint8 squares [n, side, side, 3].

    Always 32-bit arithmetic and no TF32, so that evaluation, prediction and every machine agree.
    `model` must be in evaluation mode.
    """
    parts = []
    convolutions = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode():
            for start in range(0, len(squares), batch):
                part = torch.from_numpy(np.ascontiguousarray(squares[start : start + batch]))
                parts.append(model(model.to_input(part.to(device))).float().cpu())
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
    return torch.cat(parts) if parts else torch.zeros(0, 0)
