from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support
from streamlit.testing.v1 import AppTest

import app.client as clients
from app.client.evaluation import csv_of
from app.client.heatmaps import HeatMapDrawer
from app.components.address import parse_cell
from app.components.images import errors_first, filtered
from tests.app.pages import VIEWS, fine, opened, prepared, show, words
from tests.benchmarks.studio_records import Size, generate
from workflows.data.catalog import get_version
from workflows.data.thumbnails import thumbnail, thumbnails
from workflows.errors import ImageError, RunError, StorageError
from workflows.store.files import read_json
from workflows.store.store import Store

SIZE = Size(classes=12, images=400, steps=4, full_runs=2, other_runs=3, pictures=8)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with two finished runs of four steps."""
    folder = tmp_path_factory.mktemp("large") / "home"
    generate(Store(folder), SIZE)
    return folder


@pytest.fixture
def store(written: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with opened(written, monkeypatch) as store:
        yield store


@pytest.fixture
def runs(store: Store) -> list[str]:
    """The two full runs, oldest first."""
    return [run.run_id for run in reversed(store.runs.list()) if run.dataset == "birds"]


def page(**query: str) -> AppTest:
    return fine(show("evaluation", **query))


def test_a_step_is_judged_as_scikit_learn_does(store: Store, runs: list[str]) -> None:
    judged = clients.client().evaluation.judged(runs[0], 3)
    labels, predicted = (judged.frame[name].astype(str) for name in ("label", "predicted"))
    assert judged.metrics["top1"] == pytest.approx(accuracy_score(labels, predicted))
    assert judged.metrics["f1_macro"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    names = list(judged.classes)
    assert (judged.matrix == confusion_matrix(labels, predicted, labels=names)).all()
    oracle = precision_recall_fscore_support(labels, predicted, labels=names, zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), oracle, strict=True):
        assert np.allclose(judged.per_class[name], values)


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_final_evaluation_is_what_was_written(store: Store, runs: list[str], split: str) -> None:
    judged = clients.client().evaluation.judged(runs[0], split)  # type: ignore[arg-type]
    written = read_json(store.run_folder(runs[0]) / "evaluation" / "metrics.json")[split]
    assert judged.metrics.pop("top1_ci95") == pytest.approx(written["top1_ci95"])
    assert judged.metrics == pytest.approx({name: written[name] for name in judged.metrics})
    image = str(judged.frame["image_id"][0])
    best = clients.client().evaluation.best_answers(runs[0], image)
    assert best[0] == (judged.frame["predicted"][0], pytest.approx(judged.frame["confidence"][0]))
    assert [share for _, share in best] == sorted((share for _, share in best), reverse=True)


def test_what_can_be_looked_at(store: Store, runs: list[str]) -> None:
    subject = clients.client().evaluation.subject(runs[0])
    assert subject.steps == (1, 2, 3, 4)
    assert subject.finals == ("val", "test")
    assert subject.best_step == 4
    assert len(subject.preview) == 48
    with pytest.raises(RunError, match="no evaluation step 9"):
        clients.client().evaluation.judged(runs[0], 9)


def test_classes_keep_their_place_while_steps_go_by(store: Store, runs: list[str]) -> None:
    evaluation = clients.client().evaluation
    orders = [evaluation.order(runs[0], step, "confusion").tolist() for step in (1, 4)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(12))


def test_a_step_done_again_is_read_again(store: Store, runs: list[str]) -> None:
    evaluation, folder = clients.client().evaluation, store.run_folder(runs[1]) / "training" / "steps"
    before = evaluation.judged(runs[1], 2)
    assert evaluation.judged(runs[1], 2) is before
    (folder / "0002.parquet").write_bytes((folder / "0002.parquet").read_bytes())
    again = evaluation.judged(runs[1], 2)
    assert again is not before
    assert again.metrics == before.metrics


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
    ids = evaluation.judged(runs[0], "test").frame["image_id"].tolist()[:3]
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "blue").save(stream, format="PNG")
    drawn = store.run_folder(runs[0]) / "explanation" / f"{ids[0]}_eigen-cam.png"
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


def test_names_in_downloads_are_no_formulas() -> None:
    assert csv_of(pd.DataFrame({"class": ["=1+1", "rose"], "images": [-1, 2]})) == b"class,images\n'=1+1,-1\nrose,2\n"


def test_a_cell_in_the_address() -> None:
    names = ["a", "b", "a→b", "<b>x</b>"]
    assert parse_cell("a→b", names) == ("a", "b")
    assert parse_cell("a→b→a", names) == ("a→b", "a")
    assert parse_cell("<b>x</b>→b", names) == ("<b>x</b>", "b")
    assert parse_cell("a→c", names) is None
    assert parse_cell("a", names) is None


def test_filters(store: Store, runs: list[str]) -> None:
    frame = clients.client().evaluation.judged(runs[0], 2).frame
    assert len(filtered(frame, "All")) == len(frame)
    assert not filtered(frame, "Wrong")["correct"].any()
    assert (filtered(frame, "Low confidence", 0.6)["confidence"] < 0.6).all()
    for change in ("newly right", "newly wrong"):
        assert set(filtered(frame, change.capitalize())["change"]) <= {change}
    first = errors_first(frame).iloc[0]
    assert not first["correct"]
    assert first["confidence"] == frame.loc[~frame["correct"], "confidence"].max()


@pytest.mark.parametrize("view", ["images", "matrix", "classes", "confidence", "labels"])
@pytest.mark.parametrize("step", ["1", "4", "val", "test"])
def test_every_view_at_every_moment(store: Store, runs: list[str], view: str, step: str) -> None:
    page(run=runs[0], view=view, step=step)


def test_the_slider_drives_the_page_and_the_address(store: Store, runs: list[str]) -> None:
    test = page(run=runs[0])
    assert test.select_slider[0].value == 4  # the step whose weights were kept
    top1 = test.metric[0].value
    fine(test.select_slider[0].set_value(1).run())
    assert test.query_params["step"] in ("1", ["1"])
    expected = clients.client().evaluation.judged(runs[0], 1).metrics["top1"]
    assert test.metric[0].value == f"{100 * expected:.1f} %" != top1


def test_a_deep_link_opens_the_images_of_a_cell(store: Store, runs: list[str]) -> None:
    judged = clients.client().evaluation.judged(runs[0], 3)
    pair = judged.pairs.iloc[0]
    test = page(run=runs[0], step="3", cell=f"{pair['label']}→{pair['predicted']}")
    assert f"— {pair['count']} image" in words(test)
    assert test.select_slider[0].value == 3
    fine(next(button for button in test.button if button.label == "Close").click().run())
    assert "cell" not in test.query_params
    assert "Click a cell" in words(test)


def test_a_deep_link_opens_a_class(store: Store, runs: list[str]) -> None:
    judged = clients.client().evaluation.judged(runs[0], 2)
    name = judged.classes[0]
    either = (judged.frame["label"] == name) | (judged.frame["predicted"] == name)
    assert f"— {either.sum()} image" in words(page(run=runs[0], step="2", class_=name))


def test_a_step_that_is_not_there_is_said(store: Store, runs: list[str]) -> None:
    assert "not recorded" in words(page(run=runs[0], step="77"))


def test_newly_wrong_images_of_all(store: Store, runs: list[str]) -> None:
    frame = clients.client().evaluation.judged(runs[0], 2).frame
    count = int((frame["change"] == "newly wrong").sum())
    assert f"{count} images." in words(page(run=runs[0], step="2", of="all", show="Newly wrong"))


def test_an_image_is_looked_at_relabelled_and_put_on_the_review_list(store: Store, runs: list[str]) -> None:
    frame = errors_first(clients.client().evaluation.judged(runs[0], "test").frame)
    row = frame.iloc[0]
    test = prepared("evaluation", run=runs[0], step="test", view="images")
    test.session_state["preview-maps"] = False
    test.session_state["preview-gallery-0"] = {"selected": [row["image_id"]]}
    fine(test.run())
    label = next(box for box in test.selectbox if box.label == "Label")
    assert label.value == row["predicted"]
    fine(test.button(key="review").click().run())
    assert [each.image_id for each in store.reviews.list("birds")] == [row["image_id"]]
    fine(test.button(key="relabel").click().run())
    version = get_version(store, "birds")
    assert version.number == 2
    table = version.table().set_index("image_id")
    assert table.at[row["image_id"], "label"] == row["predicted"]
    assert store.runs.get(runs[0]).version == 1


def test_suspected_labels_can_be_filtered_and_mended(store: Store, runs: list[str]) -> None:
    suspects = clients.client().evaluation.suspects(runs[0])
    assert suspects["score"].is_monotonic_decreasing
    test = page(run=runs[0], view="labels")
    assert test.button(key="suspects-relabel").disabled


def test_a_run_without_steps_says_so(store: Store) -> None:
    other = next(run.run_id for run in store.runs.list() if run.dataset != "birds")
    assert "no evaluation step yet" in words(page(run=other))


def test_a_run_that_goes_on_is_followed(store: Store, runs: list[str]) -> None:
    store.runs.update(runs[1], state="running")
    try:
        assert "The training goes on" in words(page(run=runs[1]))
    finally:
        store.runs.update(runs[1], state="finished")


def test_no_runs_at_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home, monkeypatch):
        assert "Nothing was trained yet" in words(page())


def test_two_runs_are_compared(store: Store, runs: list[str]) -> None:
    assert "Choose two runs" in words(fine(show("compare")))
    test = fine(show("compare", runs=",".join(runs)))
    assert "better" in words(test) or "No clear difference" in words(test)
    settings = test.dataframe[0].value
    assert "training · seed" in settings["setting"].tolist()
    assert "training · epochs" not in settings["setting"].tolist()


def test_runs_without_common_images_are_refused_in_words(store: Store, runs: list[str]) -> None:
    other = next(run.run_id for run in store.runs.list() if run.dataset != "birds" and run.state == "finished")
    assert "no final evaluation" in words(show("compare", runs=f"{runs[0]},{other}"))


def test_the_web_process_holds_no_torch(store: Store, runs: list[str], written: Path) -> None:
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"test = AppTest.from_file({str(VIEWS / 'evaluation.py')!r}, default_timeout=60)\n"
        f"test.query_params['run'] = {runs[0]!r}\ntest.query_params['view'] = 'matrix'\ntest.run()\n"
        "assert not test.exception\nassert test.metric\n"
        "assert not {'torch', 'ultralytics', 'prefect'} & set(sys.modules), 'too much was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
