"""The facts of a data set for the recommender: counts, shapes, colour, and whether flips change its meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workflows.data.audit.run import stored_audit
from workflows.errors import DatasetError
from workflows.recommend.orientation import Orientation, infer_orientation

if TYPE_CHECKING:
    from workflows.data.rendering import Rendering
    from workflows.data.version import DatasetVersion
    from workflows.store.store import Store

PixelReader = Callable[[str], np.ndarray]
"""SHA-256 of an image -> its pixels, uint8 height × width × 3."""

COLOUR_SAMPLE = 64
"""Number of images sampled to distinguish grey from colour."""

GREY_CHANNEL_SPREAD = 12
"""A pixel is grey if its channels differ by at most this many levels of 255 (JPEG's chroma rounding changes them)."""

GREY_PIXEL_SHARE = 0.99
"""An image is grey if this share of its pixels is."""

GREY_IMAGE_SHARE = 0.95
"""A data set is grey if this share of the sampled images is."""

GREY_MODES = {"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L"}
"""Pillow's modes without colour."""

LEAKS = ("leak-exact", "leak-near")
"""Findings of the audit that never count the same image twice."""

NOT_SQUARE = 1.05
"""An image is not square if one side is longer than the other by more than this factor."""


@dataclass(frozen=True)
class Facts:
    """The facts of one version of a data set that rules may use."""

    dataset: str
    version: int
    images: int
    class_names: tuple[str, ...]
    per_class: dict[str, int] = field(hash=False)
    """Training images of each class, including classes without any."""
    train_images: int
    val_images: int
    test_images: int
    median_width: int
    median_height: int
    median_short_side: int
    aspect_median: float
    """Width divided by height."""
    aspect_p10: float
    aspect_p90: float
    elongation_median: float
    """Longer side divided by shorter side, at least 1."""
    elongation_p90: float
    share_non_square: float
    colour: bool
    orientation: Orientation
    given_split: bool = False
    audited: bool = True
    """Whether the version is already audited; otherwise training starts with the audit."""
    leaking: int = 0
    """Held-out images that look like a training image, if already audited."""

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def smallest_class(self) -> int:
        """Training images of the rarest class."""
        return min(self.per_class.values())

    @property
    def largest_class(self) -> int:
        """Training images of the commonest class."""
        return max(self.per_class.values())

    @property
    def imbalance(self) -> float:
        """Training images of the commonest class per image of the rarest, at least 1."""
        return self.largest_class / max(self.smallest_class, 1)

    @property
    def images_per_class(self) -> float:
        """Training images per class, on average."""
        return self.train_images / self.classes

    @property
    def orientation_matters(self) -> bool:
        """Whether a left-right flip would change what an image means."""
        return self.orientation.meaningful


def dataset_facts(version: DatasetVersion, read_pixels: PixelReader | None = None) -> Facts:
    """Collect the facts of a data set's version.

    Args:
        version: the version.
        read_pixels: reads one image by its SHA-256 (see `pixel_reader`); without it, colour is inferred from
            the files' modes only.

    Raises:
        DatasetError: the version has no training images, or fewer than two classes.
    """
    table = version.labelled()
    train = table[table["split"] == "train"]
    if train.empty or len(version.classes) < 2:
        raise DatasetError(
            f"The data set {version.name!r} (version {version.number}) has {len(train)} training images "
            f"in {len(version.classes)} classes; a classifier needs at least two classes with images.",
            "Add images with: fieldguide dataset add NAME SOURCE",
        )
    counts = pd.Series(version.target().named(train)).value_counts()
    splits = table["split"].astype(str).value_counts()
    report = stored_audit(version)
    leaks = [report.find(key) for key in LEAKS] if report else []
    return Facts(
        dataset=version.name,
        version=version.number,
        images=len(table),
        class_names=tuple(version.classes),
        per_class={name: int(counts.get(name, 0)) for name in version.classes},
        train_images=len(train),
        val_images=int(splits.get("val", 0)),
        test_images=int(splits.get("test", 0)),
        **_shapes(table["width"].to_numpy(float), table["height"].to_numpy(float)),
        colour=_has_colour(table, read_pixels),
        orientation=infer_orientation(version.name, version.classes),
        given_split=version.given_split,
        audited=report is not None,
        leaking=sum(finding.count for finding in leaks if finding),
    )


def _shapes(width: np.ndarray, height: np.ndarray) -> dict[str, Any]:
    """Sum up the sizes and aspect ratios of all images (pixels)."""
    aspect = width / height
    elongation = np.maximum(aspect, 1 / aspect)
    return {
        "median_width": int(np.median(width)),
        "median_height": int(np.median(height)),
        "median_short_side": int(np.median(np.minimum(width, height))),
        "aspect_median": float(np.median(aspect)),
        "aspect_p10": float(np.quantile(aspect, 0.1)),
        "aspect_p90": float(np.quantile(aspect, 0.9)),
        "elongation_median": float(np.median(elongation)),
        "elongation_p90": float(np.quantile(elongation, 0.9)),
        "share_non_square": float(np.mean(elongation > NOT_SQUARE)),
    }


def pixel_reader(store: Store, rendering: Rendering | None = None) -> PixelReader:
    """Return a reader of the images in `store` with the `rendering` of their version."""
    from workflows.data.images import read_rgb

    return lambda sha256: read_rgb(store.blobs.path(sha256), rendering)


def is_grey(rgb: np.ndarray) -> bool:
    """Return whether an image (uint8 height × width × 3) has no colour."""
    spread = rgb.max(axis=2).astype(np.int16) - rgb.min(axis=2)
    return bool(np.mean(spread <= GREY_CHANNEL_SPREAD) >= GREY_PIXEL_SHARE)


def _has_colour(table: pd.DataFrame, read_pixels: PixelReader | None) -> bool:
    modes = table["mode"].astype(str)
    if modes.isin(GREY_MODES).mean() >= GREY_IMAGE_SHARE:
        return False
    if read_pixels is None:
        return True
    hashes = sorted(set(table["sha256"].astype(str)), key=lambda sha: blake2b(sha.encode(), digest_size=8).digest())
    sample = hashes[:COLOUR_SAMPLE]
    grey = sum(is_grey(read_pixels(sha256)) for sha256 in sample)
    return grey < GREY_IMAGE_SHARE * len(sample)
