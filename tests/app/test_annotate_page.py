"""The page Annotate and the client behind it: labels are kept at once, become versions, and can be taken back."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import app.client as clients
from app.client import annotation as annotation_module
from app.client.annotation import Annotation, queue_ids, queues
from tests.app.pages import button_keys, fine, opened, show, words
from tests.benchmarks.studio_records import Size, generate
from tests.texts import mentions, numbers
from workflows.data.edits import relabel, remove
from workflows.data.importing import add_dataset
from workflows.data.sources import Reading
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, UsageError
from workflows.store.store import Store

NAME = "insects"
PHOTOS = 12


@pytest.fixture
def store(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with twelve photos that have no label."""
    place = tmp_path / "in"
    place.mkdir()
    for number in range(PHOTOS):
        stream = io.BytesIO()
        values = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(values).save(stream, format="PNG")
        (place / f"{number:02d}.png").write_bytes(stream.getvalue())
    with opened(home, monkeypatch) as store:
        add_dataset(store, NAME, place, reading=Reading(unlabelled=True))
        yield store


@pytest.fixture
def ids(store: Store) -> list[str]:
    return [str(each) for each in newest().table()["image_id"]]


@pytest.fixture
def annotation(store: Store) -> Annotation:
    return Annotation(store)


def newest() -> DatasetVersion:
    return clients.client().datasets.version(NAME)


def labels() -> dict[str, str | None]:
    table = newest().table()
    return dict(zip(table["image_id"], table["label"].astype(object).where(table["label"].notna(), None), strict=True))


def journal(store: Store) -> Path:
    return store.home / "annotations" / NAME / "journal.jsonl"


# ------------------------------------------------------------------- the client


def test_a_label_is_on_disk_before_the_next_photo_is_shown(
    annotation: Annotation, store: Store, ids: list[str]
) -> None:
    annotation.give(NAME, ids[0], " ant ")
    assert json.loads(journal(store).read_text()) == {"image": ids[0], "label": "ant"}
    assert Annotation(Store(store.home)).pending(NAME) == {ids[0]: "ant"}
    assert newest().number == 1
    with pytest.raises(UsageError):
        annotation.give(NAME, ids[1], "  ")


def test_a_label_that_is_taken_back_leaves_what_was_before(annotation: Annotation, ids: list[str]) -> None:
    annotation.give(NAME, ids[0], "ant")
    annotation.give(NAME, ids[0], "bee")
    annotation.take_back(NAME, ids[0], "bee", "ant")
    assert annotation.pending(NAME) == {ids[0]: "ant"}
    annotation.record(NAME)
    annotation.take_back(NAME, ids[0], "ant", None)  # it is in a version by now
    assert annotation.pending(NAME) == {ids[0]: None}
    annotation.give(NAME, ids[1], "ant")
    annotation.give(NAME, ids[1], "bee")  # somebody else's, in between
    annotation.take_back(NAME, ids[1], "ant", None)
    assert annotation.pending(NAME)[ids[1]] is None


def test_many_labels_become_one_version_with_the_last_word_for_each(annotation: Annotation, ids: list[str]) -> None:
    for image, label in zip(ids, ["ant", "bee", "ant", "bee"], strict=False):
        annotation.give(NAME, image, label)
    annotation.give(NAME, ids[1], "ant")
    version = annotation.record(NAME)
    assert version is not None
    assert (version.number, version.action, version.reason) == (2, "relabel", "labelled 4 images by hand")
    assert [labels()[image] for image in ids[:5]] == ["ant", "ant", "ant", "bee", None]
    assert annotation.pending(NAME) == {}
    assert annotation.record(NAME) is None
    assert newest().number == 2


def test_what_was_removed_meanwhile_is_left_out(annotation: Annotation, store: Store, ids: list[str]) -> None:
    annotation.give(NAME, ids[0], "ant")
    annotation.give(NAME, ids[1], "bee")
    remove(store, NAME, [ids[0]])
    version = annotation.record(NAME)
    assert version is not None
    assert version.images == PHOTOS - 1
    assert labels()[ids[1]] == "bee"


def test_a_recording_that_was_cut_off_goes_on(annotation: Annotation, store: Store, ids: list[str]) -> None:
    annotation.give(NAME, ids[0], "ant")
    annotation.give(NAME, ids[1], "ant")
    journal(store).replace(journal(store).with_name("recording.jsonl"))  # killed behind the first step
    annotation.give(NAME, ids[1], "bee")
    with journal(store).open("a") as file:
        file.write('{"image": "' + ids[2])  # power failed within a line
    again = Annotation(Store(store.home))
    assert again.pending(NAME) == {ids[0]: "ant", ids[1]: "bee"}
    again.record(NAME)
    assert [labels()[image] for image in ids[:3]] == ["ant", "bee", None]
    assert again.pending(NAME) == {}


def test_a_recording_killed_behind_the_version_makes_no_second(
    annotation: Annotation, store: Store, ids: list[str]
) -> None:
    annotation.give(NAME, ids[0], "ant")
    relabel(store, NAME, {ids[0]: "ant"})
    version = annotation.record(NAME)
    assert version is not None
    assert version.number == newest().number == 2


def test_labels_become_a_version_by_themselves_after_a_pause(store: Store, ids: list[str]) -> None:
    patient = Annotation(store, idle_seconds=0.2)
    patient.give(NAME, ids[0], "ant")
    patient.give(NAME, ids[1], "bee")
    end = time.monotonic() + 60
    while patient.pending(NAME) and time.monotonic() < end:
        time.sleep(0.05)
    assert labels()[ids[1]] == "bee"
    assert newest().number == 2


def test_many_pending_labels_do_not_wait_for_a_pause(
    store: Store, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotation_module, "MOST_PENDING", 3)
    annotation = Annotation(store, idle_seconds=1000)
    for image in ids[:3]:
        annotation.give(NAME, image, "ant")
    end = time.monotonic() + 60
    while annotation.pending(NAME) and time.monotonic() < end:
        time.sleep(0.05)
    assert newest().reason == "labelled 3 images by hand"


def test_many_people_label_at_once_and_nothing_is_lost(store: Store, ids: list[str]) -> None:
    annotation = Annotation(store)

    def work(part: list[str], label: str) -> None:
        for image in part:
            annotation.give(NAME, image, label)
            annotation.record(NAME)

    threads = [
        threading.Thread(target=work, args=(ids[start::3], label)) for start, label in enumerate(["ant", "bee", "wasp"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    annotation.record(NAME)
    for start, label in enumerate(["ant", "bee", "wasp"]):
        assert {labels()[image] for image in ids[start::3]} == {label}


def test_labels_for_a_data_set_that_is_gone_are_said(annotation: Annotation, ids: list[str]) -> None:
    annotation.give(NAME, ids[0], "ant")
    clients.client().datasets.delete(NAME)
    with pytest.raises(DatasetError):
        annotation.record(NAME)
    annotation.forget(NAME)
    assert annotation.pending(NAME) == {}


def test_classes_named_beforehand_can_be_given(annotation: Annotation, ids: list[str]) -> None:
    assert annotation.name_classes(NAME, ["wasp", " ant", "", "wasp"]) == ["wasp", "ant"]
    assert annotation.name_classes(NAME, ["ant", "bee"]) == ["bee"]
    annotation.give(NAME, ids[0], "moth")
    assert annotation.classes(newest()) == ["ant", "bee", "moth", "wasp"]
    annotation.unname_class(NAME, "bee")
    assert annotation.classes(newest()) == ["ant", "moth", "wasp"]
    with pytest.raises(UsageError):
        annotation.name_classes(NAME, ["a\x07b"])


def test_queues(annotation: Annotation, store: Store, ids: list[str]) -> None:
    datasets = clients.client().datasets
    annotation.give(NAME, ids[0], "ant")
    annotation.give(NAME, ids[1], "ant")
    version = annotation.record(NAME)
    assert version is not None
    datasets.add_to_review(NAME, [ids[5], ids[2]])
    offered = queues(datasets, version)
    assert list(offered) == ["unlabelled", "review", "all", "class:ant"]
    assert numbers(offered["unlabelled"]) == [10]
    assert set(queue_ids(datasets, annotation, version, "review")) == {ids[2], ids[5]}
    assert queue_ids(datasets, annotation, version, "class:ant") == ids[:2]
    assert queue_ids(datasets, annotation, version, "all") == ids
    annotation.give(NAME, ids[2], "bee")
    assert queue_ids(datasets, annotation, version, "unlabelled") == ids[3:]


def test_what_the_newest_model_is_least_sure_of_comes_first(store: Store) -> None:
    size = Size(classes=6, images=120, steps=2, full_runs=1, other_runs=2, pictures=4)
    [run] = generate(store, size)
    client = clients.client()
    version = client.datasets.version("birds")
    assert "least-confident" in queues(client.datasets, version)
    queue = queue_ids(client.datasets, client.annotation, version, "least-confident")
    answers = pd.concat([client.evaluation.evaluated(run, split).frame for split in ("val", "test")])
    confidence = answers.set_index("image_id")["confidence"].reindex(queue)
    assert len(queue) == len(answers)
    assert confidence.is_monotonic_increasing


# --------------------------------------------------------------------- the page


def page(**query: str) -> AppTest:
    return fine(show("annotate", dataset=NAME, **query))


def press(test: AppTest, start: str) -> AppTest:
    """Press the button whose text begins like this."""
    return fine(next(button for button in test.button if button.label.startswith(start)).click().run())


def test_ten_photos_are_labelled_and_become_one_version(store: Store, ids: list[str]) -> None:
    clients.client().annotation.name_classes(NAME, ["ant", "bee"])
    test = page()
    assert "0 of 12" in words(test)
    for number in range(10):
        press(test, "ant" if number % 2 else "bee")
    assert "10 of 12 · 10 labelled" in words(test)
    assert newest().number == 1
    press(test, "Finish")
    assert newest().number == 2
    assert [labels()[image] for image in ids] == ["bee", "ant"] * 5 + [None, None]


def test_back_skip_undo_and_review(store: Store, ids: list[str]) -> None:
    annotation = clients.client().annotation
    annotation.name_classes(NAME, ["ant", "bee"])
    test = page()
    press(test, "ant")
    press(test, "Skip")
    press(test, "bee")
    assert annotation.pending(NAME) == {ids[0]: "ant", ids[2]: "bee"}
    press(test, "Undo")
    assert annotation.pending(NAME) == {ids[0]: "ant"}
    assert mentions(words(test), "2 of 12", "1 labelled", "1 skipped")
    press(test, "Back")
    assert "1 of 12" in words(test)
    press(test, "Review later")
    assert list(clients.client().datasets.reviews(NAME)) == [ids[1]]
    press(test, "Undo")
    assert "0 of 12" in words(test)
    assert annotation.pending(NAME) == {}
    assert journal(store).read_text() == ""
    assert annotation.record(NAME) is None and newest().number == 1  # all was taken back


def test_a_class_without_a_key_can_be_chosen(store: Store, ids: list[str]) -> None:
    assert not [key for key in button_keys(page()) if key.startswith("hot-")]
    clients.client().annotation.name_classes(NAME, [f"species {number:02d}" for number in range(11)])
    test = page()
    fine(test.selectbox(key=f"other-{ids[0]}").set_value("species 10").run())
    assert clients.client().annotation.pending(NAME) == {ids[0]: "species 10"}
    assert "1 of 12 · 1 labelled" in words(test)


def test_a_queue_can_be_opened_by_its_address_and_its_end_is_said(store: Store, ids: list[str]) -> None:
    clients.client().datasets.add_to_review(NAME, [ids[4]], "blurred?")
    clients.client().annotation.name_classes(NAME, ["ant"])
    test = page(queue="review")
    assert "blurred?" in words(test)
    press(test, "ant")
    assert "annotate-data" in button_keys(test)
    assert clients.client().datasets.reviews(NAME) == {}
    press(test, "Undo")
    assert "0 of 1" in words(test)
    assert clients.client().datasets.reviews(NAME) == {ids[4]: "blurred?"}
    assert clients.client().annotation.pending(NAME) == {}


def test_the_end_of_a_queue_leads_on_once_its_labels_are_in_a_version(store: Store, ids: list[str]) -> None:
    clients.client().datasets.add_to_review(NAME, [ids[4]], "blurred?")
    clients.client().annotation.name_classes(NAME, ["ant"])
    test = page(queue="review")
    press(test, "ant")
    assert "next-annotate-0" not in button_keys(test)
    press(test, "Finish")
    assert "next-annotate-0" in button_keys(test)


def test_an_image_can_be_opened_by_its_address(store: Store, ids: list[str]) -> None:
    assert "7 of 12" in words(page(image=ids[7]))


def test_more_classes_than_keys(store: Store, ids: list[str]) -> None:
    clients.client().annotation.name_classes(NAME, [f"species {number}" for number in range(30)])
    test = page()
    assert len([button for button in test.button if button.label.startswith("species")]) == 9
    assert len(test.multiselect[0].value) == 9


def test_photos_that_vanish_meanwhile_are_passed_over(store: Store, ids: list[str]) -> None:
    clients.client().annotation.name_classes(NAME, ["ant"])
    test = page()
    remove(store, NAME, ids[1:3])
    press(test, "ant")
    assert "3 of 12" in words(test)


def test_without_a_data_set_the_way_to_one_is_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home, monkeypatch):
        assert [button.label for button in show("annotate").button] == ["Import photos"]
