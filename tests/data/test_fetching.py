"""From a card to a data set, against a real server: flowers, pets and CIFAR in small."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.data.test_cifar import batches, pack
from tests.processes import fieldguide
from tests.servers import Behaviour, serving
from tests.texts import numbers
from workflows.data.cards import Card, card_of, known_cards, saved_card
from workflows.data.fetching import fetch
from workflows.data.importing import add_dataset
from workflows.errors import DownloadError, SourceError, StorageError, UsageError
from workflows.store.download import Patience
from workflows.store.store import Store

ONCE = Patience(attempts=1, timeout=5)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def tgz(names: list[str], extra: dict[str, bytes] | None = None) -> bytes:
    """An archive of different pictures under these names."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in ({name: png(number) for number, name in enumerate(names)} | (extra or {})).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


FLOWERS = tgz(
    [f"flower_photos/{label}/{number}.png" for label in ("daisy", "rose") for number in range(6)],
    {"flower_photos/LICENSE.txt": b"All images are licensed"},
)


def card_for(server: Behaviour, **fields: Any) -> Card:
    document = {
        "name": "flowers",
        "title": "Two flowers",
        "about": "Daisies and roses, made by a test for itself.",
        "publisher": "this machine",
        "url": server.url,
        "bytes": len(server.content),
        "checksum": {"sha256": hashlib.sha256(server.content).hexdigest()},
        "origin": "A test",
        "licence": "CC0-1.0",
        "terms": "Do what you want with it.",
        "layout": "class-folders",
        "images": 12,
        "classes": ["daisy", "rose"],
    }
    return Card.model_validate(document | fields)


@pytest.fixture
def server() -> Iterator[Behaviour]:
    with serving(Behaviour(FLOWERS)) as behaviour:
        yield behaviour


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


def test_a_card_becomes_a_data_set_with_its_licence(server: Behaviour, store: Store) -> None:
    card = card_for(server)
    fetched = fetch(store, card)
    assert fetched.report is not None
    assert (fetched.version.name, fetched.version.images) == ("flowers", 12)
    assert list(fetched.version.classes) == ["daisy", "rose"]
    assert saved_card(store, "flowers") == card == fetched.card


def test_what_is_here_is_not_fetched_again(server: Behaviour, store: Store) -> None:
    first = fetch(store, card_for(server))
    server.answers = [404]
    again = fetch(store, card_for(server))
    assert again.report is None
    assert again.version.number == first.version.number
    assert len(server.seen) == 1


def test_a_download_that_was_cut_goes_on(server: Behaviour, store: Store) -> None:
    server.cuts = [1000]
    with pytest.raises(DownloadError):
        fetch(store, card_for(server), patience=ONCE)
    assert store.datasets.list() == []
    assert fetch(store, card_for(server), patience=ONCE).version.images == 12
    assert server.ranges_asked == ["", "bytes=1000-"]


def test_an_import_that_failed_needs_no_new_download(server: Behaviour, store: Store) -> None:
    card = card_for(server)
    (store.home / "datasets").write_text("in the way")
    with pytest.raises(StorageError):
        fetch(store, card)
    (store.home / "datasets").unlink()
    assert fetch(store, card).version.images == 12
    assert len(server.seen) == 1


def test_a_wrong_checksum_leaves_nothing(server: Behaviour, store: Store) -> None:
    with pytest.raises(DownloadError, match="SHA-256"):
        fetch(store, card_for(server, checksum={"sha256": "0" * 64}))
    assert store.datasets.list() == []
    assert not [path for path in (store.cache_folder / "downloads").rglob("*.t*z*") if path.suffix != ".lock"]


def test_an_unknown_checksum_needs_trust_and_is_recorded(server: Behaviour, store: Store) -> None:
    card = card_for(server, checksum={"sha256": None})
    with pytest.raises(UsageError, match="checksum"):
        fetch(store, card)
    assert server.seen == []
    fetched = fetch(store, card, trust=True)
    assert fetched.card.checksum.sha256 == hashlib.sha256(FLOWERS).hexdigest()
    assert fetch(store, card, trust=True).report is None


def test_a_data_set_of_another_origin_is_not_mixed_in(server: Behaviour, store: Store, tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "photos" / label / f"{number}.png").write_bytes(png(100 + number + ord(label[0])))
    add_dataset(store, "flowers", tmp_path / "photos")
    with pytest.raises(UsageError, match="'flowers' exists"):
        fetch(store, card_for(server))
    assert fetch(store, card_for(server), name="blooms").version.name == "blooms"


def test_labels_are_read_from_file_names(store: Store) -> None:
    names = [f"images/{breed}_{number}.png" for breed in ("great_dane", "Ragdoll") for number in range(5)]
    with serving(Behaviour(tgz([*names, "images/readme.png"]))) as server:
        pattern = r"(?P<label>[A-Za-z_]+)_\d+\.png$"
        fields = {"layout": "file-names", "label_pattern": pattern, "classes": ["Ragdoll", "Great Dane"]}
        card = card_for(server, **fields, class_names={"great_dane": "Great Dane"})
        fetched = fetch(store, card)
    assert fetched.version.images == 10
    assert set(fetched.version.classes) == {"Great Dane", "Ragdoll"}


def test_splits_are_read_from_file_names_and_a_foreign_label_file_is_left_alone(store: Store) -> None:
    names = [
        f"set/{split}/{label}/{label}_{number}.png"
        for split, count in (("train", 5), ("val", 3))
        for label in ("n01", "n02")
        for number in range(count)
    ]
    noisy = {"set/noisy.csv": b"path,label\n" + b"".join(f"{name[4:]},n02\n".encode() for name in names)}
    with serving(Behaviour(tgz(names, noisy))) as server:
        pattern = r"(?P<split>train|val)/(?P<label>n\d\d)/[^/]+\.png$"
        fields = {"layout": "file-names", "label_pattern": pattern, "class_names": {"n01": "daisy", "n02": "rose"}}
        fetched = fetch(store, card_for(server, **fields))
    counts = fetched.version.split_counts()
    assert dict(counts.sum()) | {"test": 0} == {"train": 10, "val": 6, "test": 0}
    assert list(fetched.version.classes) == ["daisy", "rose"]


def test_a_pattern_that_fits_nothing_is_said(server: Behaviour, store: Store) -> None:
    with pytest.raises(SourceError, match="pattern"):
        fetch(store, card_for(server, layout="file-names", label_pattern=r"(?P<label>x)\.gif$"))


def test_a_zip_with_names_and_one_that_is_no_archive(store: Store) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(12):
            archive.writestr(f"{'rose' if number % 2 else 'daisy'}_{number}.png", png(number))
    fields = {"layout": "file-names", "label_pattern": r"(?P<label>[a-z]+)_\d+\.png$"}
    with serving(Behaviour(stream.getvalue())) as server:
        assert fetch(store, card_for(server, **fields)).version.images == 12
    with serving(Behaviour(b"login page" * 50)) as server, pytest.raises(SourceError, match="archive"):
        fetch(store, card_for(server, name="page", **fields))


def test_cifar_in_small(store: Store, tmp_path: Path) -> None:
    archive = pack(tmp_path / "cifar.tar.gz", {name: rows.tobytes() for name, rows in batches().items()})
    with serving(Behaviour(archive.read_bytes())) as server:
        fields = {"layout": "cifar-binary", "classes": card_of("cifar10").classes, "images": 240}
        fetched = fetch(store, card_for(server, **fields))
    assert fetched.version.images == 240
    assert dict(fetched.version.split_counts().sum()) == {"train": 160, "val": 40, "test": 40}
    assert list(fetched.version.classes) == card_of("cifar10").classes


def test_own_cards_lie_where_the_environment_says(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDGUIDE_CARDS", str(tmp_path / "cards"))
    with pytest.raises(StorageError, match="FIELDGUIDE_CARDS"):
        known_cards()
    (tmp_path / "cards").mkdir()
    write_card(tmp_path / "cards", card_for(server, name="roses"))
    assert "roses" in {card.name for card in known_cards()}
    write_card(tmp_path / "cards", card_for(server, name="flowers"))
    with pytest.raises(StorageError, match="'flowers'"):
        known_cards()


def write_card(folder: Path, card: Card) -> None:
    text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False)
    (folder / f"{card.name}.yaml").write_text(text, encoding="utf-8")


def test_the_command_fetches_shows_the_licence_and_lists(server: Behaviour, home: Path, tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    write_card(tmp_path / "cards", card_for(server, name="roses"))
    cards = str(tmp_path / "cards")
    server.cuts = [3000]
    done = fieldguide(home, "dataset", "fetch", "roses", "--as", "mine", "--json", FIELDGUIDE_CARDS=cards)
    assert done.code == 0, done.stderr
    assert done.document["fetched"] and done.document["report"]["accepted"] == 12
    assert done.document["card"]["licence"] == "CC0-1.0"
    assert done.stderr.index("CC0-1.0") < done.stderr.index("download")
    before = len(server.seen)
    assert before == 2
    again = fieldguide(home, "dataset", "fetch", "roses", "--as", "mine", FIELDGUIDE_CARDS=cards)
    assert numbers(again.stdout)[:2] == [1, 12]
    assert len(server.seen) == before
    shown = fieldguide(home, "dataset", "show", "mine", "--json", FIELDGUIDE_CARDS=cards)
    assert shown.document["licence"] == "CC0-1.0"
    listed = fieldguide(home, "dataset", "fetch", "--json", FIELDGUIDE_CARDS=cards)
    assert {card["name"]: card["datasets"] for card in listed.document}["roses"] == ["mine"]
    assert json.loads((home / "datasets" / "mine" / "card.json").read_text())["name"] == "roses"


def test_a_bad_wish_is_words_and_a_code(home: Path) -> None:
    done = fieldguide(home, "dataset", "fetch", "flowers", "--as", "../up")
    assert done.code == 2
    assert "'../up'" in done.stderr and "Traceback" not in done.stderr


def test_what_comes_along_is_not_fetched(store: Store) -> None:
    with pytest.raises(UsageError, match="installation"):
        fetch(store, card_of("digits"))
