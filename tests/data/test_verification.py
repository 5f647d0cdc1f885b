"""The journal and the measured facts: written once, read again, never trusted blindly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data.conftest import MakeImages, encoded, picture, write
from workflows.data.edits import remove
from workflows.data.facts import FACTS_FILE, stored_measures, version_measures
from workflows.data.importing import add_dataset
from workflows.data.measures import measure_file
from workflows.data.verification import Journal, VerifiedImage
from workflows.errors import StorageError
from workflows.store.store import Store


def test_the_journal_gives_back_what_was_noted(tmp_path: Path) -> None:
    from workflows.data.images import decode
    from workflows.data.measures import measure
    from workflows.data.sources import SourceEntry

    path = write(tmp_path / "a.jpg", encoded(picture("a"), "JPEG"))
    content = path.read_bytes()
    decoded = decode(content)
    entry = SourceEntry(path, "a.jpg", "a", None, {}, len(content), 0)
    image = VerifiedImage(entry, "0" * 64, decoded.facts, measures=measure(decoded, content))
    journal = tmp_path / "journal.jsonl"
    with Journal(journal, {}) as writing:
        writing.note([image, VerifiedImage(entry, reason="damaged")])
    known = Journal(journal, {}).known
    assert list(known) == ["0" * 64]
    assert (known["0" * 64].facts, known["0" * 64].measures) == (image.facts, image.measures)


def test_a_journal_without_measures_is_no_reason_to_trust(tmp_path: Path) -> None:
    facts = {"width": 24, "height": 16, "mode": "RGB", "format": "PNG", "orientation": 1, "converted": False}
    journal = write(tmp_path / "journal.jsonl", (json.dumps({"sha256": "0" * 64, **facts}) + "\n").encode())
    assert Journal(journal, {}).known == {}


def test_measures_lie_beside_the_version(store: Store, make_images: MakeImages) -> None:
    version = add_dataset(store, "set", make_images(a=8, b=8)).version
    table = version_measures(version, store.blobs)
    assert set(table["sha256"]) == set(version.table()["sha256"]) and len(table) == 16
    row = table.iloc[0]
    assert row["phash"] == measure_file(store.blobs.path(row["sha256"])).phash


@pytest.mark.parametrize("damage", ["missing", "half", "other columns", "an earlier version's"])
def test_lost_measures_are_made_again(store: Store, make_images: MakeImages, damage: str) -> None:
    version = add_dataset(store, "set", make_images(a=8, b=8)).version
    before = version_measures(version, store.blobs)
    path = version.folder / FACTS_FILE
    if damage == "missing":
        path.unlink()
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:100])
    else:
        before.drop(columns="sharpness" if damage == "other columns" else "detail").to_parquet(path)
    assert version_measures(version, store.blobs).equals(before)
    assert stored_measures(version.folder).equals(before)


def test_measures_are_taken_over_by_edits(
    store: Store, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add_dataset(store, "set", make_images(a=8, b=8)).version
    second = remove(store, "set", [first.table()["image_id"].iloc[0]])
    monkeypatch.setattr("workflows.data.facts.measure_file", lambda *_: pytest.fail("measured again"))
    assert len(version_measures(second, store.blobs)) == 15


def test_a_damaged_stored_image_is_named(store: Store, make_images: MakeImages) -> None:
    version = add_dataset(store, "set", make_images(a=8, b=8)).version
    blob = store.blobs.path(version.table()["sha256"].iloc[0])
    blob.chmod(0o644)
    blob.write_bytes(b"nothing")
    (version.folder / FACTS_FILE).unlink()
    with pytest.raises(StorageError, match=blob.name) as caught:
        version_measures(version, store.blobs)
    assert "doctor --verify" in caught.value.hint
