"""The pages Explain and Predict with their inference server: by their logic, and once in a real browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from playwright.sync_api import Page, expect

import app.client as clients
from app.client import drops as drops_module
from app.client.drops import Drop, Predicting
from app.client.inference import Inference, Photo
from app.views.predict.predicted import group, judged
from tests.app.browser import settle
from tests.app.conftest import Trained
from tests.app.pages import button_keys, opened, show, sound, words
from tests.app.studio import StartedStudio, eventually, running_studio
from tests.app.uploading import arrived, zipped
from tests.processes import fieldguide
from workflows.data.catalog import get_version
from workflows.errors import ImageError, RunError, SourceError, UsageError
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.store.store import Store

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Iterator[StartedStudio]:
    """A studio over a copy of the trained run's store."""
    home = shutil.copytree(trained.home, tmp_path_factory.mktemp("pages") / "home")
    with running_studio(Path(home), "web", "inference") as started:
        yield started


@pytest.fixture
def store(up: StartedStudio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Makes the studio's home this process's own."""
    with opened(up.home, monkeypatch) as store:
        yield store


def test_many_photos_are_sent_in_parts_and_answered_in_order(
    store: Store, trained: Trained, photos: list[Path]
) -> None:
    sent = [Photo(path.name, path.stat().st_size, path.read_bytes) for path in photos[:40]]
    told: list[int] = []

    def note(stage: str, done: int, total: int, text: str = "") -> None:
        told.append(done)

    inference = Inference(store)
    answers = inference.predict(trained.run_id, iter(sent), top=2, progress=note, total=40)
    assert [answer.file for answer in answers] == [photo.name for photo in sent]
    assert told == [16, 32, 40]
    alone = inference.predict(trained.run_id, sent[7:8])[0]
    assert alone.confidence == pytest.approx(answers[7].confidence, abs=1e-5)


def test_errors_of_the_server_are_ours(store: Store, trained: Trained) -> None:
    inference = Inference(store)
    with pytest.raises(RunError):
        inference.model("nothing")
    with pytest.raises(ImageError):
        inference.explain(trained.run_id, b"no photo")
    with pytest.raises(UsageError, match="no class"):
        inference.explain(trained.run_id, b"no photo", targets=["rose"])
    bad = inference.predict(trained.run_id, [Photo("a.jpg", 3, lambda: b"abc")])
    assert bad[0].error


def test_explain_opens_the_image_that_the_address_names(store: Store, trained: Trained) -> None:
    row = clients.client().evaluation.evaluated(trained.run_id, "test").frame.iloc[0]
    image_id = str(row["image_id"])
    test = show("explain", run=trained.run_id, image=image_id)
    assert not test.error
    assert str(row["path"]) in words(test) and f"**{row['predicted']}**" in words(test)
    assert {"next-explain-0", "next-explain-1"} <= set(button_keys(test))  # to the mistakes, to other photos


def test_explain_compares_the_predicted_class_and_the_label_of_a_mistake(store: Store, trained: Trained) -> None:
    answers = clients.client().evaluation.evaluated(trained.run_id, "test").frame
    for _, row in answers.iterrows():
        test = show("explain", run=trained.run_id, image=str(row["image_id"]))
        wanted = [str(row["predicted"]), *([] if row["correct"] else [str(row["label"])])]
        assert test.multiselect[0].value == wanted
        if not row["correct"]:
            return


def test_explain_filters_images_and_says_when_none_is_like_that(store: Store, trained: Trained) -> None:
    test = show("explain", run=trained.run_id)
    everything = test.selectbox(key="explain-split").set_value("all").run()
    assert "60 images" in words(everything)
    found = everything.selectbox(key="explain-class").set_value("1").run()
    assert "20 images" in words(found)
    none = sound(found.text_input(key="explain-search").set_value("no such (name").run())
    assert none.info and not re.search(r"\d images", words(none))


def test_explain_knows_no_image_of_another_run(store: Store, trained: Trained) -> None:
    (warning,) = show("explain", run=trained.run_id, image="<script>").warning
    assert "script" in warning.value


def test_every_layer_can_be_looked_at(store: Store, trained: Trained) -> None:
    test = show("explain", run=trained.run_id)
    layers = test.selectbox(key=f"explain-layer-{trained.run_id}")
    assert len(layers.options) == 4
    for place in range(4):
        layers = test.selectbox(key=f"explain-layer-{trained.run_id}").select_index(place)
        test = layers.run()
        assert not test.exception
        assert not test.error


def test_explain_says_what_to_do_about_a_run_whose_model_is_gone(store: Store, trained: Trained) -> None:
    st.cache_data.clear()
    model = store.run_folder(trained.run_id).model.path
    hidden = model.rename(model.with_name("hidden"))
    try:
        test = show("explain", run=trained.run_id)
    finally:
        hidden.rename(model)
    assert "fieldguide" not in words(test)
    assert button_keys(test)[-2:] == ["explain-broken-run", "explain-broken-train"]


def test_a_photo_that_is_too_large_is_told_of_and_not_sent(
    store: Store, trained: Trained, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drops_module, "MAX_PHOTO_BYTES", 9_999)
    batch = arrived(("a.png", photos[0].read_bytes()), ("b.png", bytes(10_000)), ("c.png", photos[1].read_bytes()))
    job = clients.client().drops.predict(trained.run_id, batch)
    eventually(lambda: job.finished)
    assert [bool(result.error) for result in job.results] == [False, True, False]
    assert "larger than" in str(job.results[1].error)
    with pytest.raises(SourceError, match="larger than"):
        clients.client().drops.content(job.drop.photos[1])


def test_predictions_come_in_the_background_and_photos_to_review_become_unlabelled_images(
    store: Store, trained: Trained, photos: list[Path]
) -> None:
    drops = clients.client().drops
    job = drops.predict(
        trained.run_id, arrived(*[(path.name, path.read_bytes()) for path in photos[:9]], ("bad.jpg", b"bad"))
    )
    drop = job.drop
    eventually(lambda: job.finished)
    table = job.table()
    assert table["file"].tolist() == [photo.name for photo in drop.photos]
    groups = group(judged(table, ReviewThreshold(1.01)))
    assert len(groups["To review"]) == 9
    assert groups["Unreadable"]["file"].tolist() == ["bad.jpg"]
    assert groups["To review"]["confidence"].is_monotonic_increasing
    report = drops.send_to_annotation("to-label", [drop.photos[n] for n in groups["To review"]["number"]])
    version = get_version(store, "to-label")
    assert report.version.number == version.number == 1
    assert version.table()["label"].isna().all()
    assert sorted(version.table()["path"]) == sorted(path.name for path in photos[:9])
    assert not list((store.cache_folder / "drops").glob("to-annotate-*"))


@pytest.mark.slow
def test_every_way_to_predict_says_the_same_of_what_is_to_be_reviewed(
    store: Store, trained: Trained, photos: list[Path], tmp_path: Path
) -> None:
    photos = photos[:: len(photos) // 12][:12]  # of all classes
    sent = [Photo(path.name, path.stat().st_size, path.read_bytes) for path in photos]
    inference = Inference(store)
    found = sorted(one.confidence or 0.0 for one in inference.predict(trained.run_id, sent))
    # in the widest gap: ways to predict may differ in the last digits
    middle = sum(max(pairwise(found), key=lambda pair: pair[1] - pair[0])) / 2
    clients.client().models.set_threshold(trained.run_id, middle, "some of them")
    eventually(lambda: not inference.model(trained.run_id).review.is_default)
    served = inference.predict(trained.run_id, sent)
    expected = [found.to_review for found in served]
    assert 0 < sum(map(bool, expected)) < len(expected)
    command = ("predict", trained.run_id, *photos, "--device", "cpu", "--json", "--csv", tmp_path / "out.csv")
    printed = fieldguide(store.home, *command).document
    assert [one["to_review"] for one in printed] == expected
    assert {one["threshold"] for one in printed} == {middle}
    assert pd.read_csv(tmp_path / "out.csv")["to_review"].tolist() == expected
    job = Predicting(trained.run_id, arrived(), Drop((), ()))
    job.results += served
    assert judged(job.table(), clients.client().models.threshold(trained.run_id))["to_review"].tolist() == expected
    explained = [inference.explain(trained.run_id, path.read_bytes()).to_review for path in photos]
    assert explained == expected
    clients.client().models.set_threshold(trained.run_id, None, "as before")


def test_somebody_explains_an_image_and_predicts_photos(
    up: StartedStudio, page: Page, trained: Trained, photos: list[Path], tmp_path: Path
) -> None:
    page.goto(f"{up.url}/explain?run={trained.run_id}")
    expect(page.get_by_text("What the network saw")).to_be_visible()
    shown = page.locator(".stack img.map:visible").first
    page.locator(".bar input").fill("80")
    expect(shown).to_have_css("opacity", "0.8")
    settle(page)
    page.locator("button.tile").nth(1).click()
    page.wait_for_url("**image=*")
    settle(page)
    expect(page.get_by_text("What the network saw")).to_be_visible()
    expect(page.locator(".bar output")).to_have_text("80 %")
    expect(page.get_by_text("similarity").first).to_be_visible()

    archive = tmp_path / "photos.zip"
    archive.write_bytes(zipped(**{path.name: path.read_bytes() for path in photos[:5]}))
    page.goto(f"{up.url}/predict?run={trained.run_id}")
    page.locator("input.pick-files").set_input_files([archive, photos[-1]])
    expect(page.get_by_text("All (6)")).to_be_visible()
    expect(page.get_by_role("button", name="Register it as a model")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_text("Download as CSV").click()
    assert len(Path(os.fspath(download.value.path())).read_text().splitlines()) == 7
