"""Checks of labels that are stored with a version: what they found, what of it is still open, and how long one takes.

A check itself needs PyTorch (`workflows.inference.label_check`); reading what it found does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from workflows.data.catalog import list_versions
from workflows.data.publishing import resolve_author
from workflows.data.version import DatasetVersion
from workflows.errors import StorageError
from workflows.store.files import read_json, read_table, write_json, write_table
from workflows.store.store import Store
from workflows.targets.single_label.suspects import LabelCheck, Overlap

CHECK_FILE = "label-check.json"
SUSPECTS_FILE = "label-check.parquet"
CHECK_VERSION = 1
"""Increment it when a check's document changes: those stored by older code are then not shown."""
SPEED_FILE = "speed.json"  # in the folder of features

OPEN, CONFIRMED, CHANGED = "open", "confirmed", "changed"


@dataclass(frozen=True)
class StoredCheck:
    """A check as it was made of one version.

    Attributes:
        version: number of the version.
        weights: where the features' weights are from, in words.
        check: what it found.
    """

    version: int
    weights: str
    check: LabelCheck


@dataclass(frozen=True)
class Speed:
    """How fast the latest check on this machine was.

    Attributes:
        features: seconds for the features of one image.
        fits: seconds for all classifiers, per image and class.
    """

    features: float
    fits: float


@dataclass(frozen=True)
class Estimate:
    """What a check of a version would cost.

    Attributes:
        images: how many labelled images would be judged.
        new: how many of them have no stored features yet.
        seconds: by the speed of the latest check on this machine; None before the first.
    """

    images: int
    new: int
    seconds: float | None


def features_folder(store: Store) -> Path:
    """Return the folder of stored features, which can be deleted at any time."""
    return store.cache_folder / "features"


def estimate(store: Store, version: DatasetVersion) -> Estimate:
    """Return what a check of a version would cost, with the weights of the latest check. Raises StorageError."""
    table = version.table()
    labelled = table[table["label"].notna()]
    files = sorted(features_folder(store).glob("*.npz"), key=lambda path: path.stat().st_mtime)
    known = known_features(files[-1]) if files else {}
    new = len(set(labelled["sha256"]) - known.keys())
    speed = stored_speed(store)
    if speed is None:
        return Estimate(len(labelled), new, None)
    seconds = new * speed.features + len(labelled) * labelled["label"].nunique() * speed.fits
    return Estimate(len(labelled), new, seconds)


def known_features(path: Path) -> dict[str, np.ndarray]:
    """Return the stored features by SHA-256; none from a file that is missing or damaged, since it is a cache."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(zip(stored["contents"].tolist(), stored["features"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}


def store_speed(store: Store, speed: Speed) -> None:
    """Store how fast the latest check was, for the next estimate. Raises StorageError."""
    write_json(features_folder(store) / SPEED_FILE, asdict(speed))


def stored_speed(store: Store) -> Speed | None:
    """Return how fast the latest check was; None before the first."""
    try:
        return Speed(**read_json(features_folder(store) / SPEED_FILE))
    except (StorageError, TypeError):
        return None


def store_check(version: DatasetVersion, check: LabelCheck, weights: str) -> None:
    """Store a check with its version, in place of an earlier one.

    Raises:
        StorageError: the disk is full or refuses.
    """
    facts = {each.name: getattr(check, each.name) for each in fields(check) if each.name != "table"}
    facts["overlaps"] = [asdict(each) for each in check.overlaps]
    (version.folder / CHECK_FILE).unlink(missing_ok=True)  # the table of one check never stands beside another's counts
    write_table(version.folder / SUSPECTS_FILE, check.table)
    document = {"check_version": CHECK_VERSION, "fingerprint": version.fingerprint, "weights": weights, **facts}
    write_json(version.folder / CHECK_FILE, document)


def stored_check(version: DatasetVersion) -> StoredCheck | None:
    """Return the check that is stored with a version; None if there is none that this code can read."""
    if not (version.folder / CHECK_FILE).exists():
        return None
    try:
        document = read_json(version.folder / CHECK_FILE)
        if (document["check_version"], document["fingerprint"]) != (CHECK_VERSION, version.fingerprint):
            return None
        check = LabelCheck(
            table=read_table(version.folder / SUSPECTS_FILE),
            images=int(document["images"]),
            accuracy=float(document["accuracy"]),
            blind=str(document["blind"]),
            left_out=tuple(document["left_out"]),
            few=tuple(document["few"]),
            overlaps=tuple(Overlap(**each) for each in document["overlaps"]),
        )
        return StoredCheck(version.number, str(document["weights"]), check)
    except (StorageError, KeyError, TypeError, ValueError):  # damaged, or of other code: it can be repeated
        return None


def newest_check(store: Store, name: str) -> StoredCheck | None:
    """Return the newest check of a data set, possibly of an older version. Raises DatasetError."""
    found = (stored_check(version) for version in reversed(list_versions(store, name)))
    return next((each for each in found if each is not None), None)


def standing(suspicions: pd.DataFrame, labels: pd.Series, confirmed: Mapping[str, str]) -> pd.DataFrame:
    """Return suspicions with a column `state`: what has become of each since.

    Args:
        suspicions: with columns `image_id` and `label`, such as the table of a check.
        labels: the labels as they are now, with image ids as index; images that were removed are left out.
        confirmed: the labels that somebody confirmed, by image id.

    Returns:
        `state` is `changed` where the image has another label now, `confirmed` where somebody found this label
        right, else `open`.
    """
    table = suspicions[suspicions["image_id"].isin(labels.index)]
    ids, given = table["image_id"], table["label"].to_numpy(dtype=object)
    changed = labels.reindex(ids).to_numpy(dtype=object) != given
    kept = np.array([confirmed.get(image) for image in ids], dtype=object) == given
    state = np.select([changed, kept], [CHANGED, CONFIRMED], OPEN)
    return table.assign(state=state).reset_index(drop=True)


def confirm_labels(store: Store, name: str, labels: Mapping[str, str], author: str | None = None) -> None:
    """Record that these labels (by image id) are right, so that they are not suspected again."""
    store.confirmed_labels.add(name, labels, resolve_author(author))
