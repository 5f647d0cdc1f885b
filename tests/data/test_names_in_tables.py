"""Names in a table that are written otherwise than those of the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.label_tables import WANTED, labels_of, photos, table
from tests.texts import one_mentions
from workflows.data.sources import scan
from workflows.errors import SourceError

# ------------------------------------------------------ names written otherwise


def test_names_match_without_regard_to_case_where_one_file_fits(tmp_path: Path) -> None:
    root = photos(tmp_path / "images", "a1.jpg", "A2.jpg", "a2.JPG", "b1.jpg", "b1.JPG")
    file = table(tmp_path / "t.csv", "filename,label", "A1.JPG,ant", "a2.jpg,ant", "b1.jpg,bee")
    found = scan(root, file)
    assert labels_of(found) == {"a1.jpg": "ant", "b1.jpg": "bee"}  # exact where there is one
    reason = dict(found.rejected)["a2.jpg"]
    assert "A2.jpg" in reason and "a2.JPG" in reason
    assert one_mentions(found.notes, "case", 1)


def test_names_without_an_ending_match_the_one_file(tmp_path: Path) -> None:
    root = photos(tmp_path / "images", "a1.jpg", "b.1.jpg", "c.jpg", "c.png", "d.jpg")
    file = table(tmp_path / "t.csv", "filename,label", "a1,ant", "b.1,bee", "c,bee", "D,ant", "d.png,ant")
    found = scan(root, file)
    assert labels_of(found) == {"a1.jpg": "ant", "b.1.jpg": "bee", "d.jpg": "ant"}
    assert set(dict(found.rejected)) == {"c", "d.png"}  # an ending that is given counts


def test_two_spellings_of_one_file_with_two_labels(tmp_path: Path) -> None:
    root = photos(tmp_path / "images")
    with pytest.raises(SourceError, match=r"a1\.jpg"):
        scan(root, table(tmp_path / "t.csv", "filename,label", "a1.jpg,ant", "A1.jpg,bee", "b1.jpg,bee"))


def test_a_name_that_is_nearly_one_is_asked_about(tmp_path: Path) -> None:
    root = photos(tmp_path / "images", "meadow_12.jpg", "meadow_13.jpg", "b.jpg")
    file = table(
        tmp_path / "t.csv", "filename,label", "medow_12.jpg,ant", "meadow_14.jpg,ant", "b.jpg,bee", "meadow_13.jpg,ant"
    )
    found = dict(scan(root, file).rejected)
    assert "meadow_12.jpg" in found["medow_12.jpg"]
    assert "meadow_13.jpg" not in found["meadow_14.jpg"]  # the next of a series is another one


def test_names_relative_to_the_folder_that_holds_all_images(tmp_path: Path) -> None:
    photos(tmp_path / "images")
    table(tmp_path / "train.csv", "id,label", *(f"{Path(name).stem},{label}" for name, label in WANTED.items()))
    assert labels_of(scan(tmp_path)) == {f"images/{name}": label for name, label in WANTED.items()}


# --------------------------------------------------------------- absolute paths


def test_an_absolute_path_inside_the_folder_is_inside(tmp_path: Path) -> None:
    root = photos(tmp_path / "real", "sub/a1.jpg", "b1.jpg")
    link = tmp_path / "link"
    link.symlink_to(root, target_is_directory=True)
    for source in (root, link):
        for written in (root, link):
            file = table(tmp_path / "t.csv", "path,class", f"{written}/sub/a1.jpg,ant", f"{written}/b1.jpg,bee")
            assert labels_of(scan(source, file)) == {"sub/a1.jpg": "ant", "b1.jpg": "bee"}


@pytest.mark.parametrize(
    "name", ["{}/../x.jpg", "{}", "{}x/a1.jpg", "/elsewhere/a1.jpg", "{}/sub/../../x.jpg", "//{}/a1.jpg"]
)
def test_an_absolute_path_elsewhere_is_not(tmp_path: Path, name: str) -> None:
    root = photos(tmp_path / "images")
    file = table(tmp_path / "t.csv", "path,class", "a1.jpg,ant", f"{name.format(root)},bee")
    with pytest.raises(SourceError, match="line 3"):
        scan(root, file)


def test_a_link_out_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    root, outside = photos(tmp_path / "images"), photos(tmp_path / "outside")
    (root / "out").symlink_to(outside, target_is_directory=True)
    file = table(tmp_path / "t.csv", "path,class", f"{root}/a1.jpg,ant", f"{root}/b1.jpg,bee", f"{root}/out/b2.jpg,bee")
    found = scan(root, file)
    assert labels_of(found) == {"a1.jpg": "ant", "b1.jpg": "bee"} and set(dict(found.rejected)) == {"out/b2.jpg"}
