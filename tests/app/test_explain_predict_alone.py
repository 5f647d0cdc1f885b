"""The pages Explain and Predict where no inference server runs, and what they do without one."""

from __future__ import annotations

import base64
import csv
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from pytorch_grad_cam.utils.image import show_cam_on_image

import app.client as clients
from app.client import uploads as uploads_module
from app.client.drops import Drop, DroppedPhoto, Predicting
from app.client.evaluation import csv_of
from app.client.inference import Inference, ServerDown
from app.client.uploads import Batch
from app.components.heatmaps import coloured
from app.views.predict.predicted import group, judged, review_marks
from flows.process_identity import ProcessIdentity
from flows.studio_file import Part, StudioFile
from tests.app.conftest import Trained
from tests.app.pages import button_keys, copied, opened, show, sound, words
from tests.app.uploading import arrived, zipped
from tests.texts import mentions
from workflows.errors import SourceError
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.registry.models import register
from workflows.serving.answers import FilePrediction
from workflows.store.store import Store


def test_a_server_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServerDown) as raised:
        Inference(Store(tmp_path / "home")).models()
    assert "inference server" in raised.value.message and "studio" in raised.value.hint


@pytest.fixture
def alone(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with the run, and no studio over it."""
    st.cache_data.clear()
    with opened(copied(trained.home, tmp_path), monkeypatch) as store:
        yield store


def write_studio(store: Store, state: str) -> None:
    """Be a studio whose inference server is in this state and can't be reached."""
    parts = {"inference": Part("inference", state, log="inference.log")}
    nowhere = "http://127.0.0.1:9"
    StudioFile(str(ProcessIdentity.current()), "", "", "", nowhere, "", "", parts).write(store.home)


def test_maps_have_the_colours_of_the_reports() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="PNG")
    ours = np.array(Image.open(io.BytesIO(base64.b64decode(coloured(base64.b64encode(buffer.getvalue()).decode())))))
    theirs = show_cam_on_image(np.zeros((16, 16, 3), np.float32), grey / 255.0, use_rgb=True, image_weight=0.0)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 6


def test_pages_say_that_the_server_is_not_there_and_what_to_do(alone: Store, trained: Trained) -> None:
    test = show("explain", run=trained.run_id)
    assert "inference server" in words(test)
    assert "fieldguide" not in words(test).lower()
    assert button_keys(test)[-2:] == ["explain-down-again", "explain-down-home"]


@pytest.mark.parametrize(("state", "said"), [("starting", "is starting"), ("restarting", "being restarted")])
def test_pages_wait_for_a_server_that_is_on_its_way(alone: Store, trained: Trained, state: str, said: str) -> None:
    write_studio(alone, state)
    test = show("explain", run=trained.run_id)
    assert not test.error
    assert said in test.info[0].value


def test_a_run_without_a_model_leads_on(alone: Store, trained: Trained) -> None:
    record = alone.runs.create("waiting", {})
    for view in ("explain", "predict"):
        test = show(view, run=record.run_id)
        assert not test.error
        assert mentions(words(test), record.run_id, "model")
        assert button_keys(test) == [f"{view}-unready-run", f"{view}-unready-other"]
        other = sound(test.button(key=f"{view}-unready-other").click().run())
        assert trained.run_id in str(other.selectbox[0].value)


def test_a_link_to_a_run_that_is_gone_is_said(alone: Store, trained: Trained) -> None:
    for view in ("explain", "predict"):
        test = show(view, run="no-such_run")
        assert "no-such_run" in words(test)
        assert trained.run_id in str(test.selectbox[0].value)


def test_models_are_offered_before_runs_and_their_champions_answer(alone: Store, trained: Trained) -> None:
    register(alone, "digits", trained.run_id, author="ada", reason="a start")
    test = show("predict")
    assert test.selectbox[0].options == ["digits  (champion: v1)", f"Run {trained.run_id}"]
    assert test.query_params["model"] == "digits"
    chosen = test.selectbox[0].select_index(1).run()
    assert chosen.query_params["run"] == trained.run_id
    assert "model" not in chosen.query_params
    assert show("predict", model="digits:1").selectbox[0].value == "model=digits:1"
    assert show("predict", run=trained.run_id).selectbox[0].value == f"run={trained.run_id}"
    for unknown in ("roses", "digits:7", "<b>", "a:b"):
        test = show("predict", model=unknown)
        (warning,) = test.warning
        assert mentions(warning.value.replace("\\", ""), unknown.partition(":")[0])
        assert test.selectbox[0].value == "model=digits"


def test_an_empty_studio_leads_to_a_first_model(store: Store) -> None:
    for view in ("predict", "explain"):
        assert [button.label for button in show(view).button] == ["Import photos"]


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
    found = judged(table, ReviewThreshold(0.6))
    assert review_marks(found) == ["", "to review", "", ""]
    groups = group(found)
    assert groups["To review"]["number"].tolist() == [1]
    assert groups["Accepted"]["number"].tolist() == [2, 0]
    assert groups["Unreadable"]["number"].tolist() == [3]
