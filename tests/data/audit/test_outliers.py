"""Images that are unlike the rest from the outside."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.data.audit.pictures import audited, found, keys, photo, photos
from tests.data.conftest import encoded, write
from workflows.data.audit.outliers import FAR, robust_distance
from workflows.data.audit.run import scores
from workflows.data.catalog import get_version
from workflows.store.store import Store


def test_the_odd_ones_are_named(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "set", cats=15, dogs=15)
    write(source / "cats" / "large.png", encoded(photo(9001, size=(480, 400))))
    write(source / "cats" / "panorama.png", encoded(photo(9002, size=(144, 24))))
    write(source / "dogs" / "grey.png", encoded(photo(9003).convert("L")))
    write(source / "dogs" / "jpeg.jpg", encoded(photo(9004), "JPEG"))
    report = audited(store, source)
    paths = get_version(store, "set").table().set_index("image_id")["path"]
    named = {finding.key: [paths[image] for image in finding.image_ids] for finding in report.findings}
    expected = {
        "odd-size": ["cats/large.png"],
        "odd-aspect": ["cats/panorama.png"],
        "odd-mode": ["dogs/grey.png"],
        "odd-format": ["dogs/jpeg.jpg"],
    }
    assert {key: named[key] for key in expected} == expected
    assert {keys(report)[key] for key in expected} == {"info"}
    assert found(report, "odd-mode").facts["kinds"] == {"L": 1}

    table = scores(store, get_version(store, "set"))
    assert len(table) == report.images
    assert table.loc[table["is_odd_size"], "image_id"].map(paths).tolist() == ["cats/large.png"]
    assert (table.loc[~table["is_odd_size"], "odd_size_score"] <= FAR).all()


def test_two_camps_are_no_outliers(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "set"
    for number in range(30):
        kind, image = ("png", photo(number)) if number % 3 else ("jpg", photo(number, size=(200, 160)))
        write(source / "ab"[number % 2] / f"{number}.{kind}", encoded(image, "PNG" if kind == "png" else "JPEG"))
    assert not {"odd-size", "odd-format"} & set(keys(audited(store, source)))


def test_in_a_small_set_nothing_is_odd(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "set", cats=5, dogs=5)
    write(source / "cats" / "large.png", encoded(photo(9001, size=(480, 400))))
    assert not {"odd-size", "odd-format"} & set(keys(audited(store, source)))


def test_robust_distance_is_not_moved_by_what_it_finds() -> None:
    values = pd.Series([1.0, 2.0, 3.0, 4.0, 5.0, 1000.0])
    distance = robust_distance(values, least=0.1)
    assert distance.iloc[5] == pytest.approx((1000 - 3.5) / (1.4826 * 1.5))
    assert robust_distance(pd.Series([7.0] * 5 + [8.0]), least=0.5).tolist() == [0, 0, 0, 0, 0, 2]
