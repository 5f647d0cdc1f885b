"""Finding data sets, their versions, and images in them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import pandas as pd

from workflows.data.rendering import Rendering
from workflows.data.version import DatasetVersion, version_of
from workflows.errors import DatasetError
from workflows.store.answers import DatasetAnswer
from workflows.store.files import read_json
from workflows.store.names import counted
from workflows.store.store import Store


def get_version(store: Store, name: str, number: int | None = None) -> DatasetVersion:
    """Return a version of a data set; the newest if no number is given.

    Raises:
        DatasetError: unknown name or number; the message lists similar names.
    """
    records = store.datasets.versions(name)
    if not records:
        known = [record.dataset for record in store.datasets.newest()]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        shown = "List all: `fieldguide dataset list`." if known else "Import one: `fieldguide dataset add NAME FOLDER`."
        raise DatasetError(f"No data set is called {name!r}.", f"{hint}{shown}")
    if number is None:
        return version_of(store, records[-1])
    for record in records:
        if record.number == number:
            return version_of(store, record)
    raise DatasetError(
        f"Data set {name!r} has no version {number}.",
        f"It has versions 1 to {records[-1].number}; the last is the newest.",
    )


def list_datasets(store: Store) -> list[DatasetVersion]:
    """Return the newest version of every data set, by name."""
    return [version_of(store, record) for record in store.datasets.newest()]


def list_versions(store: Store, name: str) -> list[DatasetVersion]:
    """Return all versions of a data set, oldest first.

    Raises:
        DatasetError: unknown name.
    """
    get_version(store, name)
    return [version_of(store, record) for record in store.datasets.versions(name)]


def find_images(version: DatasetVersion, names: Iterable[str]) -> dict[str, str]:
    """Return the ids of images given by id or by path, in the given order.

    Raises:
        DatasetError: a name matches no image, or more than one.
    """
    table = version.table()[["image_id", "path"]]
    ids, by_path = set(table["image_id"]), table.groupby("path")["image_id"].agg(list)
    found: dict[str, str] = {}
    unknown: list[str] = []
    for name in names:
        same = [name] if name in ids else by_path.get(name, [])
        if len(same) > 1:
            raise DatasetError(
                f"{len(same)} images of {version} are called {name!r}:", "Give their ids instead.", problems=same
            )
        if same:
            found[name] = same[0]
        else:
            unknown.append(name)
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(by_path.index), n=3, cutoff=0.6)
        raise DatasetError(
            f"{counted(len(unknown), 'image is', 'images are')} not in {version}:",
            f"Did you mean {', '.join(near)}?"
            if near
            else f"List its images: fieldguide dataset labels {version.name}",
            problems=unknown,
        )
    return found


def labels_of(version: DatasetVersion) -> pd.DataFrame:
    """Return one row for each image: `filename` (its path), `label`, `split`; empty strings where there is none."""
    table = version.table().rename(columns={"path": "filename"})
    return table[["filename", "label", "split"]].fillna("")


def rendering_of_run(store: Store, run_id: str) -> Rendering | None:
    """Return how the raw samples of a run's images are rendered; None if unknown, or if the run is older than renderings.

    Raises:
        StorageError: the run's files are damaged.
    """
    folder = store.run_folder(run_id)
    for path in (folder.model.card, folder.training.job):
        if path.exists():
            written = read_json(path).get("rendering")
            return Rendering.from_dict(written) if written else None
    path = folder.answer("dataset")
    if not path.exists():
        return None
    found = DatasetAnswer.model_validate(read_json(path))
    try:
        return get_version(store, found.name, found.version).rendering()
    except DatasetError:  # deleted
        return None
