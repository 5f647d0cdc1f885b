"""One small real run, made by the command line, that the tests of the verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.photos import digit_folders
from tests.processes import Finished, fieldguide


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
    place = tmp_path_factory.mktemp("person")
    photos = digit_folders(place / "digits")
    options = ("--weights", "none", "--size", 32, "--epochs", 2, "--seed", 0, "--device", "cpu")
    finished = fieldguide(place / "home", "train", photos, *options, "--json")
    assert finished.code == 0, finished.stderr
    return Trained(place / "home", photos, finished)
