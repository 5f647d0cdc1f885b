"""Checking the labels of a data set before anything is trained on them.

The features are those of the pretrained network, which has seen none of these labels; they are stored by content, so
that a check after some corrections computes them for new images only.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from workflows.backbones.yolov8 import YOLOV8
from workflows.data.binding import bind
from workflows.data.facts import version_near
from workflows.data.label_checks import Speed, features_folder, known_features, store_check, store_speed, stored_speed
from workflows.data.pixels import SquareTransform
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, StorageError, UsageError
from workflows.progress import Progress, silent
from workflows.store.files import atomic_path
from workflows.store.store import Store
from workflows.targets.single_label.suspects import LabelCheck
from workflows.training.devices import torch_device
from workflows.training.network import embeddings_of
from workflows.training.weights import Weights, load_weights, resolve_weights

SIZE = "n"
SIDE = 224
"""Pixels: what ImageNet's weights were trained at."""
BATCH = 64


def check_version(
    store: Store,
    version: DatasetVersion,
    *,
    weights: str = "auto",
    device: str = "auto",
    trust: bool = False,
    progress: Progress = silent,
) -> LabelCheck:
    """Judge every label of a version by cross-validation on features of pretrained weights; store the result with it.

    Args:
        weights: `auto` or the file of pretrained weights of YOLOv8n-cls.
        progress: gets the number of images with features, as stage `features`, and of the fits.

    Raises:
        DatasetError: fewer than two classes can be judged.
        UsageError: random weights, which see nothing, or an unknown device.
        WeightsError: the weights can't be had.
        StorageError: the disk is full or refuses.
    """
    if weights == "none":
        raise UsageError("Random weights can't judge labels.", "Name the file of pretrained weights: --weights FILE")
    table = version.table()
    images = table[table["label"].notna()].reset_index(drop=True)
    if images["label"].nunique() < 2:
        raise DatasetError(f"{version} has fewer than two classes, so no label can be doubted.", "Label more images.")
    chosen = resolve_weights(weights, SIZE, store.weights_folder, trust=trust)
    transform = SquareTransform(SIDE, "crop", version.rendering())
    source = _Features(store, chosen, transform, torch_device(device), progress)
    vectors = source.of(sorted(set(images["sha256"])))
    features = np.stack([vectors[sha256] for sha256 in images["sha256"]]).astype(np.float32)
    judged = images.assign(together=_together(images, version, store))
    started = time.monotonic()
    check = version.target().check_labels(judged, features, progress=progress)
    _note_speed(store, source, (time.monotonic() - started) / (len(images) * images["label"].nunique()))
    store_check(version, check, chosen.origin)
    return check


def _note_speed(store: Store, source: _Features, fits: float) -> None:
    """Store the speed of this check; where no features were computed, their earlier speed stays."""
    before = stored_speed(store)
    if source.seconds_per_image is not None:
        store_speed(store, Speed(source.seconds_per_image, fits))
    elif before is not None:
        store_speed(store, Speed(before.features, fits))


def _together(images: pd.DataFrame, version: DatasetVersion, store: Store) -> list[int]:
    """Return a number for each image; the same for copies, look-alikes and members of a group."""
    near = images["sha256"].map(version_near(version, store.blobs))
    groups = images["group"].where(images["group"].notna(), None)
    labels = images["label"].astype(str).tolist()
    numbers = [0] * len(images)
    for number, unit in enumerate(bind(images["sha256"], groups, labels, [None] * len(images), near)):
        for row in unit.rows:
            numbers[row] = number
    return numbers


class _Features:
    """The features of images by content, in a file for each network in the store's cache."""

    def __init__(
        self, store: Store, weights: Weights, transform: SquareTransform, device: torch.device, progress: Progress
    ) -> None:
        self._store, self._weights, self._transform = store, weights, transform
        self._device, self._progress = device, progress
        key = hashlib.blake2b(f"{weights.sha256} {SIZE} {transform}".encode(), digest_size=8).hexdigest()
        self._file = features_folder(store) / f"{key}.npz"
        self.seconds_per_image: float | None = None
        """Of those computed here; None if there were none to compute."""

    def of(self, contents: Sequence[str]) -> dict[str, np.ndarray]:
        """Return float16 [features] for each SHA-256."""
        known = known_features(self._file)
        missing = [sha256 for sha256 in contents if sha256 not in known]
        if missing:
            known |= self._computed(missing)
            self._keep(known)
        return known

    def _keep(self, known: dict[str, np.ndarray]) -> None:
        try:
            with atomic_path(self._file) as partial, Path(partial).open("wb") as file:
                np.savez(file, contents=np.array(list(known)), features=np.stack(list(known.values())))
        except OSError as error:
            raise StorageError(f"The features can't be written to {self._file.parent}: {error}") from error

    def _computed(self, contents: Sequence[str]) -> dict[str, np.ndarray]:
        started = time.monotonic()
        model = YOLOV8.build(SIZE, 2, SIDE).eval()
        assert self._weights.path is not None
        load_weights(model, self._weights.path)
        model.to(self._device)
        found: list[torch.Tensor] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(contents), BATCH):
                part = contents[start : start + BATCH]
                squares = list(pool.map(lambda sha256: self._transform.read(self._store.blobs.path(sha256)), part))
                found.append(embeddings_of(model, np.stack(squares), self._device, BATCH))
                self._progress("features", start + len(part), len(contents))
        self.seconds_per_image = (time.monotonic() - started) / len(contents)
        return dict(zip(contents, torch.cat(found).numpy().astype(np.float16), strict=True))
