"""The images of an evaluation: their thumbnails and maps, filtered, looked at, relabelled, suspected."""

from __future__ import annotations

import io
import time
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

import app.client as clients
from app.client.heatmaps import HeatMapDrawer
from app.client.inference import ExplainAnswer
from app.components.heatmaps import ask_for_maps
from app.views.evaluation.images import PER_PAGE, errors_first, filtered
from app.views.evaluation.relabelled import now_labelled
from tests.app.pages import fine, prepared, show_fine, words
from tests.texts import mentions
from workflows.data.catalog import get_version
from workflows.data.edits import relabel
from workflows.data.thumbnails import thumbnail, thumbnails
from workflows.errors import ImageError, RunError, StorageError
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.explanation.methods import DEFAULT_METHODS
from workflows.store.store import Store
from workflows.targets.judged import IMAGES

page = partial(show_fine, "evaluation")


def test_thumbnails_are_small_upright_and_made_once(tmp_path: Path) -> None:
    store, stream = Store(tmp_path / "home"), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (800, 400), "red").save(stream, format="JPEG", exif=exif)
    good, bad = store.blobs.put(stream.getvalue()), store.blobs.put(b"\xff\xd8\xff nothing")
    path = thumbnail(store, good)
    with Image.open(path) as picture:
        assert picture.size == (96, 192)
    made = path.stat().st_mtime_ns
    assert thumbnail(store, good).stat().st_mtime_ns == made
    assert thumbnails(store, [good, bad, good]) == {good: path}
    path.write_bytes(b"")  # what a power cut leaves
    assert thumbnail(store, good).stat().st_size > 0
    with pytest.raises(ImageError):
        thumbnail(store, bad)
    with pytest.raises(StorageError):
        thumbnail(store, "../../etc/passwd")


def test_heatmaps_come_from_the_run_or_the_server_and_trouble_is_said(store: Store, runs: list[str]) -> None:
    evaluation = clients.client().evaluation
    ids = evaluation.evaluated(runs[0], "test").frame["image_id"].tolist()[:3]
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "blue").save(stream, format="PNG")
    drawn = store.run_folder(runs[0]).explanation.heatmap(ids[0], "eigen-cam")
    drawn.parent.mkdir(exist_ok=True)
    drawn.write_bytes(stream.getvalue())
    refused = evaluation.sha256(runs[0], ids[1])

    def explain(run_id: str, sha256: str) -> bytes:
        if sha256 == refused:
            raise RunError("No model.")
        return stream.getvalue()

    drawer = HeatMapDrawer(evaluation, explain)
    asked = [image for image in ids if image == ids[1] or evaluation.sha256(runs[0], image) != refused]
    deadline = time.monotonic() + 20
    while (found := drawer.ask(runs[0], asked)).waiting and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found.waiting == 0
    assert set(found.pictures) == set(asked) - {ids[1]}
    assert found.trouble == "No model."


def test_filters(store: Store, runs: list[str]) -> None:
    frame, review = clients.client().evaluation.evaluated(runs[0], 2).frame, ReviewThreshold(0.6)
    assert len(filtered(frame, "All", review)) == len(frame)
    assert filtered(frame, "Wrong", review).index.tolist() == frame.index[~frame["correct"]].tolist()
    assert filtered(frame, "To review", review).index.tolist() == frame.index[frame["confidence"] < 0.6].tolist()
    for step, change in ((2, "newly right"), (4, "newly wrong")):
        changing = clients.client().evaluation.evaluated(runs[0], step).frame
        found = filtered(changing, change.capitalize(), review)
        assert not found.empty and found.index.tolist() == changing.index[changing["change"] == change].tolist()
    first = errors_first(frame).iloc[0]
    assert not first["correct"]
    assert first["confidence"] == frame.loc[~frame["correct"], "confidence"].max()


def test_newly_wrong_images_of_all(store: Store, runs: list[str]) -> None:
    frame = clients.client().evaluation.evaluated(runs[0], 4).frame
    count = int((frame["change"] == "newly wrong").sum())
    assert count > 1 and mentions(words(page(run=runs[0], step="4", show="Newly wrong")), f"{count} images")


def test_an_image_is_looked_at_relabelled_and_put_on_the_review_list(store: Store, runs: list[str]) -> None:
    frame = errors_first(clients.client().evaluation.evaluated(runs[0], "test").frame)
    row = frame.iloc[0]
    test = prepared("evaluation", run=runs[0], step="test", view="images")
    test.session_state["preview-maps"] = False
    test.session_state["preview-gallery-0"] = {"selected": [row["image_id"]]}
    fine(test.run())
    label = next(box for box in test.selectbox if box.label == "Label")
    assert label.value == row["label"] != row["predicted"]
    assert test.button(key="relabel").disabled  # nothing is relabelled to what a model thinks by one careless click
    assert IMAGES["test"] in words(test) and "which judge the models" in words(test)
    fine(test.button(key="review").click().run())
    assert [each.image_id for each in store.reviews.list("birds")] == [row["image_id"]]
    fine(test.button(key="accept-prediction").click().run())
    version = get_version(store, "birds")
    assert version.number == 2
    table = version.table().set_index("image_id")
    assert table.at[row["image_id"], "label"] == row["predicted"]
    assert store.runs.get(runs[0]).version == 1
    again = next(button for button in test.button if button.key == "next-evaluation-0")
    assert "1 corrected label" in again.label  # the way on comes first
    fine(test.button(key="relabelled-undo").click().run())
    restored = get_version(store, "birds")
    assert restored.table().set_index("image_id").at[row["image_id"], "label"] == row["label"]
    assert "relabelled-undo" not in {button.key for button in test.button}  # only labels are taken back from here
    assert "corrected" not in next(button for button in test.button if button.key == "next-evaluation-0").label


def test_what_others_relabelled_is_marked_too(store: Store, runs: list[str]) -> None:
    row = errors_first(clients.client().evaluation.evaluated(runs[0], "test").frame).iloc[0]
    assert now_labelled(clients.client().evaluation.subject(runs[0])) == {}
    relabel(store, "birds", {row["image_id"]: row["predicted"]})
    assert now_labelled(clients.client().evaluation.subject(runs[0])) == {row["image_id"]: row["predicted"]}
    keys = {button.key for button in page(run=runs[0], step="test", view="images").button}
    assert "relabelled-undo" in keys


def test_a_mistake_shows_its_maps_or_says_why_there_are_none(store: Store, runs: list[str]) -> None:
    """Without an inference server the class maps can't be had; a right answer needs none."""
    frame = errors_first(clients.client().evaluation.evaluated(runs[0], "test").frame)
    said = []
    for place in (0, len(frame) - 1):
        row = frame.iloc[place]
        test = prepared("evaluation", run=runs[0], step="test", view="images", show="All")
        test.session_state["preview-maps"] = False
        test.session_state["preview-gallery-0"] = {"selected": [row["image_id"]]}
        test.session_state["preview-page"] = place // PER_PAGE + 1
        read = words(fine(test.run()))
        assert ("right" if row["correct"] else "the label is") in read
        said.append("maps of the classes are missing" in read)
    assert said == [True, False]


def test_maps_are_requested_once_for_a_photo_and_a_threshold(
    store: Store, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[object] = []

    def explain(*request: object) -> ExplainAnswer:
        requests.append(request)
        return ExplainAnswer.model_construct(label=str(len(requests)))

    monkeypatch.setattr(clients.client().inference, "explain", explain)
    answers = [
        ask_for_maps(runs[0], "0" * 64, ("wren",), None, DEFAULT_METHODS, threshold) for threshold in (0.5, 0.5, 0.7)
    ]
    assert [answer.label for answer in answers] == ["1", "1", "2"]


def test_suspected_labels_can_be_corrected(store: Store, runs: list[str]) -> None:
    suspects = clients.client().evaluation.suspects(runs[0])
    assert suspects["score"].is_monotonic_decreasing
    test = page(run=runs[0], view="labels")
    assert test.button(key="suspects-relabel").disabled
    assert not test.button(key="suspects-check").disabled
    first = suspects.iloc[0]
    test = prepared("evaluation", run=runs[0], view="labels")
    test.session_state["suspects-0"] = {"selected": [first["image_id"]]}
    fine(fine(test.run()).button(key="suspects-relabel").click().run())
    labels = get_version(store, "birds").table().set_index("image_id")["label"]
    assert labels[first["image_id"]] == first["suggested"] != first["label"]


def test_a_suspect_whose_label_is_kept_does_not_come_back(store: Store, runs: list[str]) -> None:
    suspect = clients.client().evaluation.suspects(runs[0]).iloc[0]
    test = prepared("evaluation", run=runs[0], view="labels")
    test.session_state["suspects-0"] = {"selected": [suspect["image_id"]]}
    fine(fine(test.run()).button(key="suspects-keep").click().run())
    assert store.confirmed_labels.of("birds") == {suspect["image_id"]: suspect["label"]}
    again = prepared("evaluation", run=runs[0], view="labels")
    again.session_state["suspects-0"] = {"selected": [suspect["image_id"]]}
    assert fine(again.run()).button(key="suspects-keep").disabled  # it can't be chosen any more
