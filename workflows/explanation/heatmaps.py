"""Heat-maps of what the network looked at, by the grad-cam library.

Eigen-CAM shows what dominates the network's features, whatever the class; the gradient methods show what
spoke for one class. The two side by side answer "did it look at the bird?" and "why this bird?".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, LayerCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from workflows.backbones.base import Backbone
from workflows.backbones.network import Network
from workflows.errors import UsageError
from workflows.explanation.methods import Method

SMALLEST_MAP = 6
"""Cells per side that a map needs to show where something is (ImageNet models have 7 at 224 pixels)."""

LEAST_CONTRAST = 1e-3
"""Share of a map's maximum by which its values must differ for the map to show something."""


class OrientedEigenCAM(EigenCAM):
    """Eigen-CAM with the sign of its principal component settled.

    A singular vector is only determined up to its sign, and the library keeps whichever comes out: about every
    other map shows the background instead of the object. Here the map points the way the features' mean
    strength does.
    """

    def get_cam_image(  # type: ignore[no-untyped-def]  # the signature is the library's
        self, input_tensor, target_layer, target_category, activations, grads, eigen_smooth
    ) -> np.ndarray:
        maps = super().get_cam_image(input_tensor, target_layer, target_category, activations, grads, eigen_smooth)
        strength = np.abs(activations).mean(axis=1)
        centred = strength - strength.mean(axis=(1, 2), keepdims=True)
        sign = np.where((maps * centred).sum(axis=(1, 2)) < 0, -1.0, 1.0)
        return maps * sign[:, None, None]


class _Flattened:
    """Of a method: maps without contrast become zero everywhere.

    The library stretches each map to [0, 1], however small its differences are: where nothing speaks for a class, or
    everything alike, it would show rounding errors as evidence.
    """

    def get_cam_image(self, *given: Any) -> np.ndarray:
        maps = np.maximum(np.nan_to_num(super().get_cam_image(*given)), 0.0)  # type: ignore[misc]
        flat = np.ptp(maps, axis=(1, 2)) <= LEAST_CONTRAST * maps.max(axis=(1, 2))
        return np.where(flat[:, None, None], 0.0, maps)


class _EigenCAM(_Flattened, OrientedEigenCAM): ...


class _GradCAM(_Flattened, GradCAM): ...


class _GradCAMPlusPlus(_Flattened, GradCAMPlusPlus): ...


class _LayerCAM(_Flattened, LayerCAM): ...


METHODS: dict[Method, type[BaseCAM]] = {
    "eigen-cam": _EigenCAM,
    "grad-cam": _GradCAM,
    "grad-cam++": _GradCAMPlusPlus,
    "layer-cam": _LayerCAM,
}


def choose_layer(backbone: Backbone, image_size: int) -> int:
    """Return the deepest layer whose map has at least `SMALLEST_MAP` cells a side at `image_size` pixels, else the first."""
    spans = backbone.cam_layers
    return next((layer for layer, span in spans.items() if image_size // span >= SMALLEST_MAP), min(spans))


def heatmaps(
    model: Network,
    squares: np.ndarray,
    method: str,
    classes: Sequence[int],
    layer: int | None = None,
    batch: int = 16,
) -> np.ndarray:
    """Return a heat-map for each photo, float32 [n, side, side] in [0, 1]; all zero where it is flat and shows nothing.

    Args:
        model: the classifier, in evaluation mode.
        squares: the network's inputs, uint8 [n, side, side, 3].
        method: one of `METHODS`.
        classes: for each photo the class number to explain (Eigen-CAM does not depend on it).
        layer: layer of the network to look at; None chooses by the image size.
        batch: photos at a time.

    Raises:
        UsageError: the method or the layer does not exist.
    """
    if method not in METHODS:
        raise UsageError(f"There is no heat-map method {method}.", f"Choose from: {', '.join(METHODS)}.")
    chosen = choose_layer(model.backbone, squares.shape[1]) if layer is None else layer
    if not 0 <= chosen < len(model.layers):
        raise UsageError(
            f"Layer {chosen} is not one of 0 … {len(model.layers) - 1}.", "Leave it out to have one chosen."
        )
    device = next(model.parameters()).device
    parts = []
    # gradients must reach the layer although the weights themselves don't learn here
    with torch.enable_grad(), METHODS[method](model, [model.layers[chosen]]) as cam:
        for start in range(0, len(squares), batch):
            images = model.to_input(torch.from_numpy(np.ascontiguousarray(squares[start : start + batch])).to(device))
            targets = [ClassifierOutputTarget(number) for number in classes[start : start + batch]]
            parts.append(cam(input_tensor=images, targets=targets))
    return np.concatenate(parts) if parts else np.zeros((0, *squares.shape[1:3]), np.float32)


def overlay(square: np.ndarray, heatmap: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Draw `heatmap` [side, side] over the very pixels that the network saw (uint8 [side, side, 3], RGB)."""
    return show_cam_on_image(square.astype(np.float32) / 255.0, heatmap, use_rgb=True, image_weight=1.0 - opacity)
