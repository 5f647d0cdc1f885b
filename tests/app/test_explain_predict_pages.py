"""The pages Explain and Predict: by their logic, and once in a real browser."""

from __future__ import annotations

import base64
import csv
import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from playwright.sync_api import Page, expect
from pytorch_grad_cam.utils.image import show_cam_on_image
from streamlit.testing.v1 import AppTest

import app.client as clients
from app.client import drops as drops_module
from app.client import uploads as uploads_module
from app.client.drops import Drop, DroppedPhoto, Predicting
from app.client.evaluation import csv_of
from app.client.inference import Inference, Photo, ServerDown
from app.client.uploads import Batch
from app.components.heatmaps import coloured
from app.components.predicted import group
from flows.leash import Mark
from flows.studio_file import Part, StudioFile
from tests.app.browser import settle
from tests.app.conftest import Trained
from tests.app.studio import StartedStudio, eventually, gone, start_studio
from workflows.data.catalog import get_version
from workflows.errors import ImageError, RunError, SourceError, UsageError
from workflows.registry.models import register
from workflows.serving.answers import FilePrediction
from workflows.store.store import Store

VIEWS = Path(clients.__file__).parents[1] / "views"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Iterator[StartedStudio]:
    """A studio over a copy of the trained run's store."""
    home = shutil.copytree(trained.home, tmp_path_factory.mktemp("pages") / "home")
    started = start_studio(Path(home))
    try:
        yield started.wait_for("web", "inference")
    finally:
        family = started.family()
        started.end()
        gone(family)


@pytest.fixture
def store(up: StartedStudio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Makes the studio's home this process's own."""
    monkeypatch.setenv("FIELDGUIDE_HOME", str(up.home))
    clients._only.cache_clear()
    yield Store(up.home)
    clients._only.cache_clear()


@pytest.fixture(scope="module")
def photos(trained: Trained) -> list[Path]:
    return sorted(trained.photos.rglob("*.png"))


def opened(view: str, **query: str) -> AppTest:
    test = AppTest.from_file(str(VIEWS / f"{view}.py"), default_timeout=90)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def words(test: AppTest) -> str:
    return "\n".join(str(part.value) for part in (*test.markdown, *test.caption, *test.error, *test.warning))


# ------------------------------------------------------------ the client


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


def test_a_server_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServerDown) as raised:
        Inference(Store(tmp_path / "home")).models()
    assert "start it again" in raised.value.hint


# ------------------------------------------------------------ Explain


def test_explain_opens_the_image_that_the_address_names(store: Store, trained: Trained) -> None:
    records = clients.client().evaluation.records(trained.run_id)
    image_id = str(records.index[records["split"] == "test"][0])
    test = opened("explain", run=trained.run_id, image=image_id)
    assert not test.exception
    assert not test.error
    assert records.at[image_id, "path"].replace(".", "\\.") in words(test)
    assert "The model says" in words(test)


def test_explain_compares_the_predicted_class_and_the_label_of_a_mistake(store: Store, trained: Trained) -> None:
    answers = clients.client().evaluation.judged(trained.run_id, "test").frame
    for _, row in answers.iterrows():
        test = opened("explain", run=trained.run_id, image=str(row["image_id"]))
        wanted = [str(row["predicted"]), *([] if row["correct"] else [str(row["label"])])]
        assert test.multiselect[0].value == wanted
        if not row["correct"]:
            return


def test_explain_filters_images_and_says_when_none_is_like_that(store: Store, trained: Trained) -> None:
    test = opened("explain", run=trained.run_id)
    everything = test.selectbox(key="explain-split").set_value("all").run()
    assert "60 images" in words(everything)
    found = everything.selectbox(key="explain-class").set_value("1").run()
    assert "20 images" in words(found)
    none = found.text_input(key="explain-search").set_value("no such (name").run()
    assert not none.exception
    assert "No image is like that" in "\n".join(part.value for part in none.info)


def test_explain_knows_no_image_of_another_run(store: Store, trained: Trained) -> None:
    assert "has no image" in words(opened("explain", run=trained.run_id, image="<script>")).replace("\\", "")


def test_every_layer_can_be_looked_at(store: Store, trained: Trained) -> None:
    test = opened("explain", run=trained.run_id)
    layers = test.selectbox(key=f"explain-layer-{trained.run_id}")
    assert len(layers.options) == 4
    for place in range(4):
        layers = test.selectbox(key=f"explain-layer-{trained.run_id}").select_index(place)
        test = layers.run()
        assert not test.exception
        assert not test.error


def test_maps_have_the_colours_of_the_reports() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="PNG")
    ours = np.array(Image.open(io.BytesIO(base64.b64decode(coloured(base64.b64encode(buffer.getvalue()).decode())))))
    theirs = show_cam_on_image(np.zeros((16, 16, 3), np.float32), grey / 255.0, use_rgb=True, image_weight=0.0)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 6


@pytest.fixture
def alone(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with the run, and no studio over it."""
    home = Path(shutil.copytree(trained.home, tmp_path / "home"))
    monkeypatch.setenv("FIELDGUIDE_HOME", str(home))
    for kept in (clients._only.cache_clear, st.cache_data.clear):
        kept()
    yield Store(home)
    clients._only.cache_clear()


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def write_studio(store: Store, state: str) -> None:
    """Be a studio whose inference server is in this state and can't be reached."""
    parts = {"inference": Part("inference", state, log="inference.log")}
    nowhere = "http://127.0.0.1:9"
    StudioFile(str(Mark.mine()), "", "", "", nowhere, "", "", parts).write(store.home)


def test_pages_say_that_the_server_is_not_there_and_what_to_do(alone: Store, trained: Trained) -> None:
    test = opened("explain", run=trained.run_id)
    assert not test.exception
    assert "inference server is not running" in words(test)
    assert "fieldguide" not in words(test).lower()
    assert labels(test)[-2:] == ["Try again", "What runs, and what needs attention"]


@pytest.mark.parametrize(("state", "said"), [("starting", "is starting"), ("restarting", "being started again")])
def test_pages_wait_for_a_server_that_is_on_its_way(alone: Store, trained: Trained, state: str, said: str) -> None:
    write_studio(alone, state)
    test = opened("explain", run=trained.run_id)
    assert not test.exception
    assert not test.error
    assert said in test.info[0].value


def test_a_run_without_a_model_leads_on(alone: Store, trained: Trained) -> None:
    record = alone.runs.create("waiting", {})
    for view in ("explain", "predict"):
        test = opened(view, run=record.run_id)
        assert not test.exception
        assert not test.error
        assert "is not finished" in words(test)
        assert labels(test) == ["Watch it", "Ask another one"]
        other = test.button[1].click().run()
        assert not other.exception
        assert trained.run_id in str(other.selectbox[0].value)


def test_a_link_to_a_run_that_is_gone_is_said(alone: Store, trained: Trained) -> None:
    for view in ("explain", "predict"):
        test = opened(view, run="no-such_run")
        assert not test.exception
        assert "no-such_run" in words(test).replace("\\", "")
        assert trained.run_id in str(test.selectbox[0].value)


def test_explain_says_what_to_do_about_a_run_whose_model_is_gone(store: Store, trained: Trained) -> None:
    st.cache_data.clear()
    model = store.run_folder(trained.run_id) / "model"
    hidden = model.rename(model.with_name("hidden"))
    try:
        test = opened("explain", run=trained.run_id)
    finally:
        hidden.rename(model)
    assert not test.exception
    assert "fieldguide" not in words(test)
    assert labels(test)[-2:] == ["Open the run", "Set up a training"]


# ------------------------------------------------------------ Predict


def arrived(*files: tuple[str, bytes]) -> Batch:
    """Upload files as a browser does."""
    uploads = clients.client().uploads
    batch = uploads.open()
    for name, content in files:
        coming = uploads.begin(batch, name, len(content))
        coming.write_bytes(content)
        uploads.finish(batch, name, coming)
    return batch


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_models_are_offered_before_runs_and_their_champions_answer(alone: Store, trained: Trained) -> None:
    register(alone, "digits", trained.run_id, author="ada", reason="a start")
    test = opened("predict")
    assert not test.exception
    assert test.selectbox[0].options == ["digits  (champion: v1)", f"Run {trained.run_id}"]
    assert test.query_params["model"] == "digits"
    chosen = test.selectbox[0].select_index(1).run()
    assert chosen.query_params["run"] == trained.run_id
    assert "model" not in chosen.query_params
    assert opened("predict", model="digits:1").selectbox[0].value == "model=digits:1"
    assert opened("predict", run=trained.run_id).selectbox[0].value == f"run={trained.run_id}"
    for unknown in ("roses", "digits:7", "<b>", "a:b"):
        test = opened("predict", model=unknown)
        assert not test.exception
        assert "renamed or removed" in words(test)
        assert test.selectbox[0].value == "model=digits"


def test_an_empty_studio_leads_to_a_first_model(home: Path) -> None:
    clients._only.cache_clear()
    for view in ("predict", "explain"):
        test = opened(view)
        assert not test.exception
        assert labels(test) == ["Bring in photos"]
    clients._only.cache_clear()


def test_photos_and_archives_are_taken_in(store: Store, photos: list[Path]) -> None:
    drops = clients.client().drops
    content = photos[0].read_bytes()
    archive = zipped(**{"a/one.png": content, "a/b/two.png": photos[1].read_bytes(), "readme.txt": b"hello"})
    batch = arrived(("day/x.png", content), ("notes.txt", b"x"), ("all.zip", archive))
    drop = drops.take(batch)
    assert [photo.name for photo in drop.photos] == ["b/two.png", "day/x.png", "one.png"]
    assert [photo.path.read_bytes() for photo in drop.photos] == [photos[1].read_bytes(), content, content]
    assert all(photo.path.is_relative_to(batch.folder) for photo in drop.photos)
    assert sorted(name for name, _ in drop.ignored) == ["all.zip: readme.txt", "notes.txt"]
    assert drops.take(batch) is drop
    assert batch.bytes == 1 + sum(photo.size for photo in drop.photos)
    clients.client().uploads.discard(batch)
    assert not batch.folder.exists()


@pytest.mark.parametrize(
    "content", [b"", b"no zip", zipped(**{"../../evil.png": b"x"}), zipped(**{"notes.txt": b"nothing"})]
)
def test_an_archive_that_is_refused_leaves_nothing(store: Store, content: bytes) -> None:
    drops, batch = clients.client().drops, arrived(("holiday.zip", content))
    for _ in range(2):
        with pytest.raises(SourceError) as raised:
            drops.take(batch)
        assert "holiday.zip" in raised.value.message or "photo" in raised.value.message
        assert str(batch.folder) not in raised.value.message
        assert raised.value.hint
    assert not list((batch.folder / "unpacked").glob("*"))


def test_an_archive_that_would_unpack_beyond_the_bound_is_refused(
    store: Store, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", photos[0].read_bytes())
        archive.writestr("b.png", os.urandom(1_000) * 20)
    batch = arrived(("all.zip", buffer.getvalue()))
    monkeypatch.setattr(uploads_module, "dropped_bytes", lambda: batch.bytes + 10_000)
    with pytest.raises(SourceError, match="together"):
        clients.client().drops.take(batch)
    assert not list((batch.folder / "unpacked").glob("*"))


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


def test_predictions_come_in_the_background_and_doubtful_photos_become_unlabelled_images(
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
    groups = group(table, 1.01)
    assert len(groups["Doubtful"]) == 9
    assert groups["Unreadable"]["file"].tolist() == ["bad.jpg"]
    assert groups["Doubtful"]["confidence"].is_monotonic_increasing
    report = drops.send_to_annotation("to-label", [drop.photos[n] for n in groups["Doubtful"]["number"]])
    version = get_version(store, "to-label")
    assert report.version.number == version.number == 1
    assert version.table()["label"].isna().all()
    assert sorted(version.table()["path"]) == sorted(path.name for path in photos[:9])
    assert not list((store.cache_folder / "drops").glob("to-annotate-*"))


def test_a_prediction_can_be_stopped(store: Store, trained: Trained, photos: list[Path]) -> None:
    drops = clients.client().drops
    batch = arrived(*[(path.name, path.read_bytes()) for path in photos[:40]])
    job = Predicting(trained.run_id, batch, drops.take(batch))
    job.stop()
    drops._work(job)
    assert job.finished
    assert not job.results


def test_the_csv_is_no_spreadsheet_program(tmp_path: Path) -> None:
    job = Predicting("run", Batch("", tmp_path), Drop((DroppedPhoto("=cmd()", tmp_path, 1),), ()))
    job.results.append(FilePrediction(file="=cmd()", label="@rose", confidence=0.5, top=[]))
    row = next(csv.DictReader(io.StringIO(csv_of(job.table()).decode())))
    assert row["file"] == "'=cmd()"
    assert row["label"] == "'@rose"


def test_groups_split_at_the_threshold() -> None:
    table = pd.DataFrame(
        {"confidence": [0.9, 0.2, 0.6, float("nan")], "error": ["", "", "", "damaged"], "number": range(4)}
    )
    groups = group(table, 0.6)
    assert groups["Doubtful"]["number"].tolist() == [1]
    assert groups["Sure"]["number"].tolist() == [2, 0]
    assert groups["Unreadable"]["number"].tolist() == [3]


# ------------------------------------------------------------ in a browser


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
    expect(page.get_by_text("alike").first).to_be_visible()

    archive = tmp_path / "photos.zip"
    archive.write_bytes(zipped(**{path.name: path.read_bytes() for path in photos[:5]}))
    page.goto(f"{up.url}/predict?run={trained.run_id}")
    page.locator("input.pick-files").set_input_files([archive, photos[-1]])
    expect(page.get_by_text("All (6)")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_text("Download as CSV").click()
    assert len(Path(os.fspath(download.value.path())).read_text().splitlines()) == 7
