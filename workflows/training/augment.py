"""Random changes of training photos, by Albumentations. Nothing else may see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import albumentations as A  # noqa: N812 - the library's own convention
import cv2
import numpy as np

from workflows.data.pixels import PADDING

if TYPE_CHECKING:
    from workflows.nodes.augmentation import AugmentationSettings

# OpenCV's own threads fight with the loader's processes and gain nothing on images of this size.
cv2.setNumThreads(0)


class Augmenter:
    """Turns decoded training photos into squares, differently each time but reproducibly."""

    def __init__(self, settings: AugmentationSettings, size: int) -> None:
        """Build the pipeline for squares of `size` pixels."""
        self.size = size
        self._pipeline = A.Compose(_transforms(settings, size))

    def __call__(self, photos: Sequence[np.ndarray], seed: int) -> np.ndarray:
        """Return uint8 squares [n, size, size, 3] of `photos` (uint8 HWC). The same seed gives the same squares."""
        self._pipeline.set_random_seed(seed)
        squares = np.empty((len(photos), self.size, self.size, 3), np.uint8)
        for square, photo in zip(squares, photos, strict=True):
            square[:] = self._pipeline(image=photo)["image"]
        return squares


def _transforms(settings: AugmentationSettings, size: int) -> list[A.BasicTransform]:
    aspect = settings.crop_aspect
    chain: list[A.BasicTransform] = [
        A.RandomResizedCrop((size, size), scale=(settings.crop_min, 1.0), ratio=(1.0 / aspect, aspect))
    ]
    chain += _geometric(settings)
    chain += _photometric(settings)
    if settings.erase:
        chain.append(A.Erasing(scale=(0.02, 0.2), fill=PADDING, p=settings.erase))
    return chain


def _geometric(settings: AugmentationSettings) -> list[A.BasicTransform]:
    chain: list[A.BasicTransform] = []
    if settings.horizontal_flip:
        chain.append(A.HorizontalFlip(p=settings.horizontal_flip))
    if settings.vertical_flip:
        chain.append(A.VerticalFlip(p=settings.vertical_flip))
    if settings.quarter_turns:
        chain.append(A.RandomRotate90(p=settings.quarter_turns))
    if settings.rotate or settings.translate or settings.zoom:
        chain.append(
            A.Affine(
                rotate=(-settings.rotate, settings.rotate),
                translate_percent=(-settings.translate, settings.translate),
                scale=(1.0 - settings.zoom, 1.0 + settings.zoom),
                border_mode=cv2.BORDER_REPLICATE,
                p=1.0,
            )
        )
    return chain


def _photometric(settings: AugmentationSettings) -> list[A.BasicTransform]:
    chain: list[A.BasicTransform] = []
    if settings.brightness or settings.contrast:
        chain.append(
            A.RandomBrightnessContrast(brightness_limit=settings.brightness, contrast_limit=settings.contrast, p=0.8)
        )
    if settings.saturation or settings.hue:
        # Albumentations counts hue in degrees of OpenCV's half circle and saturation in grey levels
        chain.append(
            A.HueSaturationValue(
                hue_shift_limit=round(180 * settings.hue),
                sat_shift_limit=round(255 * settings.saturation),
                val_shift_limit=0,
                p=0.8,
            )
        )
    if settings.grayscale:
        chain.append(A.ToGray(p=settings.grayscale))
    if settings.blur:
        chain.append(A.GaussianBlur(blur_limit=(3, 5), p=settings.blur))
    if settings.noise:
        chain.append(A.GaussNoise(std_range=(0.01, 0.05), p=settings.noise))
    return chain
