"""Pictures of many bands and more than 8 bits, from the command line and in the studio."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import app.client as clients
from tests.app.adding import begun
from tests.app.pages import show, words
from tests.app.trees import ended
from tests.processes import fieldguide
from workflows.data.importing import add_dataset
from workflows.data.rendering import Rendering
from workflows.store.store import Store

page = partial(show, "data")


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """Two classes of pictures of five bands of 16 bits, the bands 1,000, 2,000, … 5,000 bright."""
    for label in ("field", "water"):
        (tmp_path / "fields" / label).mkdir(parents=True)
        for number in range(6):
            noise = np.random.default_rng([len(label), number]).integers(0, 900, (20, 24, 5))
            values = (noise + 1000 * np.arange(1, 6)).astype(np.uint16)
            path = tmp_path / "fields" / label / f"{number}.tif"
            tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", metadata=None)
    return tmp_path / "fields"


def test_bands_on_the_command_line(tmp_path: Path, fields: Path) -> None:
    home = tmp_path / "state"
    added = fieldguide(home, "dataset", "add", "fields", fields, "--bands", "4,3,2", "--json")
    assert added.code == 0, added.stderr
    rendering = Rendering.from_dict(added.document["rendering"])
    assert rendering.bands == (4, 3, 2) and rendering.scales[0].kind == "uint16"
    assert any("4, 3, 2" in note for note in added.document["notes"])
    other = fieldguide(home, "dataset", "add", "fields", fields, "--bands", "1,2,3")
    wrong = fieldguide(home, "dataset", "add", "more", fields, "--bands", "1,2")
    for refused in (other, wrong):
        assert refused.code != 0 and "Traceback" not in refused.stderr and "ands" in refused.stderr
    many = fieldguide(home, "dataset", "add", "more", fields, "--bands", "9", "--json")
    assert many.code != 0 and "band 9" in many.stderr


def test_bands_are_asked_for_in_the_studio_and_what_was_decided_is_shown(store: Store, fields: Path) -> None:
    test = begun(fields)
    test.text_input(key="add--bands").set_value("nonsense").run()
    test.button(key="add--import").click().run()
    assert "Bands must be" in words(test)
    test.text_input(key="add--bands").set_value("5,3,1").run()
    test.button(key="add--import").click().run()
    (job,) = clients.client().jobs.of("fields", "import")
    ended(job)
    datasets = clients.client().datasets
    version = datasets.version("fields")
    rendering = version.rendering()
    assert rendering is not None and rendering.bands == (5, 3, 1)
    assert "0-255" in words(page(dataset="fields")) and "5, 3, 1" in words(page(dataset="fields"))
    content = version.table()["sha256"].iloc[0]
    red, green, blue = np.asarray(Image.open(datasets.thumbnails(version, [content])[content])).reshape(-1, 3).mean(0)
    assert red > green > blue
    assert datasets.photo(version, content) != datasets.thumbnails(version, [content])[content]


def test_photos_of_8_bits_are_not_asked_for_bands(store: Store, tmp_path: Path) -> None:
    from tests.app.trees import write_trees

    test = begun(write_trees(tmp_path / "trees"))
    assert "add--bands" not in {field.key for field in test.text_input}


def test_every_view_of_deep_pictures_opens(store: Store, fields: Path) -> None:
    add_dataset(store, "fields", fields)
    for view in ("photos", "charts", "audit", "classes", "history", "add"):
        assert not page(dataset="fields", view=view).error
