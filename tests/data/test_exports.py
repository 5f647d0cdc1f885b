"""What programs export is read as they meant it: files made by the programs themselves (`exports/make.py`).

Each photo's colour tells its number, so that what is checked is the photo and not its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.data.exports.make import CLASSES, PHOTOS, photo
from workflows.data.layouts.documents import LabelFormat
from workflows.data.layouts.registry import FORMATS, read_any
from workflows.data.reasons import SEVERAL
from workflows.data.sources import Scan, scan

EXPORTS = Path(__file__).parent / "exports"
FIXTURES = sorted(path.name for path in EXPORTS.iterdir() if path.is_dir() and path.name[0] not in "._")
DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


@dataclass(frozen=True)
class Expected:
    """What an export gives, where it isn't all that is in it.

    Attributes:
        splits: whether the subsets come through.
        absent: photos that the program leaves out, because they have no label, or which it can't hold.
        waiting: photos that it writes without a label.
        refused: photos with several labels.
        names: of the two classes.
    """

    layout: str
    splits: bool = True
    absent: tuple[int, ...] = ()
    waiting: tuple[int, ...] = (2,)
    refused: tuple[int, ...] = (3,)
    names: tuple[str, ...] = tuple(CLASSES)


EXPECTED = {
    "datasets-csv-label": Expected("imagefolder", absent=(3,), refused=()),
    "datasets-csv-list": Expected("imagefolder"),
    "datasets-jsonl-label": Expected("imagefolder", absent=(3,), refused=()),
    "datasets-jsonl-list": Expected("imagefolder"),
    "datasets-jsonl-number": Expected("imagefolder", absent=(3,), refused=(), names=("0", "1")),
    "datumaro-coco": Expected("coco"),
    "datumaro-cvat": Expected("cvat"),
    "datumaro-datumaro": Expected("datumaro"),
    "datumaro-imagenet_txt": Expected("imagenet-txt"),
    "datumaro-open_images": Expected("open-images", absent=(2,), waiting=()),
    "fiftyone-coco": Expected("coco", splits=False, waiting=(2, 3), refused=()),
    "fiftyone-csv": Expected("fiftyone", waiting=(2, 3), refused=()),
    "fiftyone-cvat": Expected("cvat", splits=False, absent=(2,), waiting=()),
    "fiftyone-directory-tree": Expected("class-folders", splits=False, waiting=(2, 3), refused=()),
    "fiftyone-image-classification": Expected("fiftyone", splits=False, waiting=(2, 3), refused=()),
    "fiftyone-image-classifications-of-classes": Expected("fiftyone", splits=False),
    "label-studio-sdk-CSV": Expected("label-studio", splits=False),
    "label-studio-sdk-JSON": Expected("label-studio", splits=False),
    "label-studio-sdk-JSON_MIN": Expected("label-studio", splits=False),
    "label-studio-sdk-TSV": Expected("label-studio", splits=False),
}


def of(path: Path) -> int:
    """The number of a photo, by its colour."""
    with Image.open(path) as image:
        colour = image.convert("RGB").getpixel((8, 8))
    return next(number for number in range(len(PHOTOS)) if photo(number).getpixel((8, 8)) == colour)


def expectation(fixture: str) -> Expected:
    tool, _, rest = fixture.rpartition("-" + next(part for part in fixture.split("-") if part[0].isdigit()) + "-")
    return EXPECTED[f"{tool}-{rest}"]


def check(found: Scan, root: Path, expected: Expected) -> None:
    given = {of(entry.path): (entry.label, entry.split) for entry in found.entries}
    wanted: dict[int, tuple[str | None, str | None]] = {}
    for number, (subset, labels) in enumerate(PHOTOS):
        if number in expected.waiting:
            wanted[number] = (None, None)
        elif number not in (*expected.absent, *expected.refused):
            wanted[number] = (expected.names[CLASSES.index(labels[0])], subset if expected.splits else None)
    assert given == wanted and len(found.entries) == len(given)
    assert {of(root / place) for place, reason in found.rejected if reason == f"{SEVERAL}: elm, oak tree"} == set(
        expected.refused
    )
    assert len(found.rejected) == len(expected.refused)
    assert found.layout == expected.layout


@pytest.mark.parametrize("fixture", [name for name in FIXTURES if "subset_dirs" not in name])
def test_what_a_program_exported(fixture: str) -> None:
    root = EXPORTS / fixture
    check(scan(root), root, expectation(fixture))


def test_class_folders_with_a_photo_in_two_of_them() -> None:
    """Datumaro copies a photo of two labels into both folders: that is found when the pictures are read."""
    (root,) = EXPORTS.glob("datumaro-*-imagenet_with_subset_dirs")
    found = scan(root)
    assert found.layout == "split-folders" and found.classes == set(CLASSES) and found.splits == {"train", "val"}
    assert sorted(of(entry.path) for entry in found.entries) == [0, 1, 2, 3, 3, 4, 5]
    assert [of(entry.path) for entry in found.entries if entry.label is None] == [2]


@pytest.mark.parametrize("fixture", [name for name in FIXTURES if name.startswith("label-studio")])
def test_labels_given_by_name(fixture: str) -> None:
    """The photos lie elsewhere, without the mark that the server puts before their names."""
    (table,) = (path for path in (EXPORTS / fixture).iterdir() if path.is_file())
    labels = read_any(table)
    assert labels.layout == "label-studio" and {row.label for row in labels.table.rows} == set(CLASSES)
    assert all(row.attributes["side"] in ("train", "val") for row in labels.table.rows)


def test_every_format_was_exported_by_a_program() -> None:
    layouts = {expectation(name).layout for name in FIXTURES if "subset_dirs" not in name}
    assert {item.layout for item in FORMATS} - layouts == {"labels-csv"}  # people write it


def test_every_fixture_is_expected() -> None:
    named = {expectation(name) for name in FIXTURES if "subset_dirs" not in name}
    assert named == set(EXPECTED.values()) and len(FIXTURES) == len(EXPECTED) + 1


@pytest.mark.parametrize("item", FORMATS, ids=lambda item: item.title)
def test_every_format_is_in_the_table(item: LabelFormat) -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in DOCS.read_text(encoding="utf-8").splitlines()]
    assert [", ".join(item.tools), item.title] in rows


def test_the_table_has_no_format_that_is_gone() -> None:
    rows = [line.split("|") for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    titles = {cells[2].strip() for cells in rows} - {"Format", "---"}
    assert titles == {item.title for item in FORMATS} | {"class folders, also below `train`, `val`, `test`"}
    assert all(len(cells) == 6 for cells in rows)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_the_versions_are_named(fixture: str) -> None:
    version = next(part for part in fixture.split("-") if part[0].isdigit())
    assert version in DOCS.read_text(encoding="utf-8")
