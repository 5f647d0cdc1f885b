"""What the tests of the verbs and pages share: an empty store, and one small real run made by the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import app.client as clients
from app.client.datasets import Datasets
from tests.app.pages import copied, opened
from tests.app.trees import write_trees
from tests.once import made_once
from tests.photos import digit_folders
from tests.processes import Finished, fieldguide, installed_fieldguide
from workflows.data.importing import add_dataset
from workflows.store.store import Store


@pytest.fixture(scope="session")
def written() -> Path | None:
    """The state folder that `store` is a copy of; files of tests write one of their own. None stands for an empty one."""
    return None


@pytest.fixture
def store(written: Path | None, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that a test may change, open as the studio's."""
    with opened(home if written is None else copied(written, tmp_path), monkeypatch) as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos of three kinds of trees in class folders, see :func:`tests.app.trees.write_trees`."""
    return write_trees(tmp_path / "trees")


@pytest.fixture
def trees(store: Store, folder: Path) -> Datasets:
    """The client's part for data sets, with these photos imported as `trees`."""
    add_dataset(store, "trees", folder)
    return clients.client().datasets


@dataclass(frozen=True)
class Trained:
    """A state folder with one finished run, the photos it learnt from, and what `train --json` left."""

    home: Path
    photos: Path
    finished: Finished

    @property
    def result(self) -> dict[str, Any]:
        return dict(self.finished.document)

    @property
    def run_id(self) -> str:
        return str(self.result["run_id"])

    def fieldguide(self, *arguments: object, **more: Any) -> Finished:
        """Run a verb on this state folder."""
        return fieldguide(self.home, *arguments, **more)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    def make(place: Path) -> Trained:
        photos = digit_folders(place / "digits")
        options = ("--weights", "none", "--size", 32, "--epochs", 2, "--seed", 0, "--device", "cpu")
        finished = installed_fieldguide(place / "home", "train", photos, *options, "--json")
        assert finished.code == 0, finished.stderr
        return Trained(place / "home", photos, finished)

    return made_once(tmp_path_factory, "person", make)


@pytest.fixture(scope="session")
def photos(trained: Trained) -> list[Path]:
    """The photos that the run learnt from, in the order of their paths."""
    return sorted(trained.photos.rglob("*.png"))
