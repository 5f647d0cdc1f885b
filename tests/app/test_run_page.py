from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import app.client as clients
from app.client.live import MOST_KEPT, MOST_POINTS, BatchLog, LiveRuns, StepSeen, thin
from app.views.run.charts import gap_band
from app.views.run.status import said_and_hint, share_of_all
from tests.app.pages import copied, opened, show, words
from tests.benchmarks.studio_records import Size, generate
from tests.texts import mentions
from workflows.errors import RunError
from workflows.graph.workflow import load_template
from workflows.store.files import write_table
from workflows.store.run_folder import TrainingFolder
from workflows.store.store import Store
from workflows.training.recorder import Recorder

page = partial(show, "run")
SIZE = Size(classes=4, images=60, steps=3, full_runs=1, other_runs=40, pictures=2)
EPOCHS = 8

Curve = list[tuple[float, float]]
curves = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300).map(
    lambda values: [(float(place), value) for place, value in enumerate(values)]
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the records of many runs."""
    folder = tmp_path_factory.mktemp("runs") / "home"
    generate(Store(folder), SIZE)
    return folder


@pytest.fixture
def store(written: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with opened(written, monkeypatch) as store:
        yield store


def line(epoch: int, batch: int, loss: float = 1.0, time: float = 0.0) -> str:
    values = {"epoch": epoch, "batch": batch, "batches": 10, "loss": loss, "learning_rate": 1e-3}
    return json.dumps({**values, "images_per_second": 100.0, "time": time}) + "\n"


def begun(store: Store, **columns: Any) -> tuple[str, Recorder]:
    """A recorded run with its workflow, and what writes down its training."""
    run_id = store.runs.create("birds", {"dataset": "birds"}).run_id
    workflow = load_template("fast-photos").with_settings("training", epochs=EPOCHS)
    store.runs.update(run_id, workflow=workflow.model_dump(mode="json"), dataset="birds", version=1, **columns)
    folder = store.run_folder(run_id).training
    return run_id, Recorder(
        folder,
        lambda step, values: store.runs.record_step(run_id, step, values),
        lambda step: store.runs.forget_steps(run_id, step),
    )


def train(recorder: Recorder, epochs: range, val: Curve | None = None) -> None:
    """Write down what a training would."""
    for epoch in epochs:
        loss = 1.0 / epoch
        batch = {"epoch": epoch, "batch": 10, "batches": 10, "loss": loss, "learning_rate": 1e-3}
        recorder.batch({**batch, "images_per_second": 123.0})
        values = {"train/loss": loss, "val/loss": dict(val or [])[epoch] if val else loss + 0.1, "val/top1": 0.5}
        recorder.step(epoch, values, pd.DataFrame({"image_id": ["a"]}))
    recorder.flush()


# ------------------------------------------------------------------ downsampling


@given(curves, st.integers(4, 60))
def test_a_thinned_line_keeps_its_ends_and_extremes(points: Curve, most: int) -> None:
    kept = thin(points, most)
    assert len(kept) <= max(most, 1)
    assert set(kept) <= set(points)
    assert kept == sorted(kept, key=lambda point: point[0])
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    values = [value for _, value in kept]
    assert (min(values), max(values)) == (min(y for _, y in points), max(y for _, y in points))


def test_a_line_cannot_be_thinned_to_nothing() -> None:
    with pytest.raises(ValueError, match="extremes"):
        thin([(0.0, 1.0)] * 10, 3)


# ----------------------------------------------------------- incremental reading


@given(st.lists(st.integers(0, 2000), max_size=8))
def test_the_log_is_read_wherever_the_writer_was_caught(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    whole = "".join(line(1 + number // 10, 1 + number % 10, number / 7, number) for number in range(15)).encode()
    path = tmp_path_factory.mktemp("log") / "batches.jsonl"
    log = BatchLog(path)
    assert not log.read()  # not there yet
    for cut in sorted(min(cut, len(whole)) for cut in cuts):
        path.touch()
        with path.open("ab") as file:
            file.write(whole[path.stat().st_size : cut])
        assert not log.read()
    with path.open("ab") as file:
        file.write(whole[path.stat().st_size if path.exists() else 0 :])
    log.read()
    assert log.loss == [((number + 1) / 10, number / 7) for number in range(15)]
    assert log.last["time"] == 14


def test_a_damaged_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "batches.jsonl"
    path.write_text(line(1, 1) + '{"epoch": 1, "ba\n' + '{"epoch": 1}\nnull\n' + line(1, 2, float("nan")) + line(1, 3))
    log = BatchLog(path)
    log.read()
    assert [done for done, _ in log.loss] == [0.1, 0.3]


def test_a_rewound_log_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "batches.jsonl"
    recorder = Recorder(TrainingFolder(tmp_path), lambda *_: None, lambda _: None)
    for epoch in (1, 2, 3):
        recorder.batch({"epoch": epoch, "batch": 10, "batches": 10, "loss": 1.0})
    log = BatchLog(path)
    assert not log.read()
    recorder.rewind(1)
    assert log.read()
    assert [done for done, _ in log.loss] == [1.0]
    assert not log.read()


def test_a_long_training_needs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "batches.jsonl"
    lines = [
        line(1 + number // 10, 1 + number % 10, 1 + (number == 3333) * 50 - (number == 7777)) for number in range(9000)
    ]
    log = BatchLog(path)
    for start in range(0, len(lines), 3000):
        with path.open("a") as file:
            file.writelines(lines[start : start + 3000])
        log.read()
    assert len(log.loss) <= MOST_KEPT
    values = [value for _, value in thin(log.loss)]
    assert len(values) <= MOST_POINTS
    assert (max(values), min(values)) == (51, 0)


def test_the_time_left_is_told_from_the_pace(tmp_path: Path) -> None:
    path = tmp_path / "batches.jsonl"
    log = BatchLog(path)
    log.read()
    assert log.seconds_left(8) is None
    # two epochs in 40 seconds, a night's rest, then two more in 20 seconds
    path.write_text("".join(line(1 + n // 10, 1 + n % 10, 1.0, 2.0 * n) for n in range(20)))
    log.read()
    assert log.seconds_left(8) == pytest.approx(6 * 20)
    with path.open("a") as file:
        file.writelines(line(3 + n // 10, 1 + n % 10, 1.0, 30_000.0 + n) for n in range(20))
    log.read()
    assert log.seconds_left(8) == pytest.approx(4 * 10)
    assert log.seconds_left(4) is None  # only later steps are under way


def test_the_band_between_the_losses_never_turns_over() -> None:
    band = gap_band([(1, 2.0), (2, 1.0), (3, 0.5)], [(1, 1.5), (2, 1.5), (4, 1.0)])
    assert band == [(1, 1.5, 1.5), (2, 1.0, 1.5)]


def test_a_recorded_error_is_taken_apart() -> None:
    assert said_and_hint("It broke.\nMend it.\nThen go on.") == ("It broke.", "Mend it. Then go on.")
    assert said_and_hint("Two errors:\n  - a\n  - b\nLook.") == ("Two errors:\n  - a\n  - b", "Look.")
    assert said_and_hint("KeyError: 'x'") == ("KeyError: 'x'", "")
    assert said_and_hint("") == ("", "")


# ------------------------------------------------------------------- the live view


def test_a_look_shows_what_came_since_the_last(store: Store) -> None:
    run_id, recorder = begun(store)
    live, other = clients.client().live, LiveRuns(store)
    train(recorder, range(1, 4))
    first = live.look(run_id)
    assert [step for step, _ in first.steps["val/loss"]] == [1, 2, 3]
    assert (first.epochs, first.done, first.batch["images_per_second"]) == (EPOCHS, 3, 123)
    train(recorder, range(4, 6))
    assert [step for step, _ in live.look(run_id).steps["train/loss"]] == [1, 2, 3, 4, 5]
    # another process goes on from epoch 2, and does 3 again
    recorder.rewind(2)
    train(recorder, range(3, 4), val=[(3, 9.0)])
    assert live.look(run_id).steps["val/loss"][2:] == [(3, 9.0)] == other.look(run_id).steps["val/loss"][2:]
    with pytest.raises(RunError):
        live.look("no-such-run")


def test_the_log_is_plain_text(store: Store) -> None:
    run_id, _ = begun(store)
    live = clients.client().live
    assert live.log(run_id) == ""
    path = store.run_folder(run_id).log
    path.write_bytes(b"\x1b[31mred\x1b[0m\n10 %\r20 %\r30 %\r\n<b>x</b>\x07 \xff\n")
    assert live.log(run_id).split("\n") == ["red", "30 %", "<b>x</b>  \N{REPLACEMENT CHARACTER}"]
    path.write_bytes(b"x" * 200_000 + b"\n" + b"end\n" * 1000)
    assert live.log(run_id).split("\n")[0] == "end"
    with pytest.raises(RunError):
        live.log("../../etc")


# ------------------------------------------------------------------------ the page


def test_a_running_training_is_shown_with_what_can_be_done(store: Store) -> None:
    run_id, recorder = begun(store, device="cpu")
    store.run_folder(run_id).log.write_text("**not bold**")
    with store.runs.alive(run_id):
        train(recorder, range(1, 7), val=[(1, 1.0), (2, 0.6), (3, 0.5), (4, 0.6), (5, 0.7), (6, 0.8)])
        shown = page(run=run_id)
        assert any("60.0 %" in warning.value and "epoch 3" in warning.value for warning in shown.warning)
        assert [code.value for code in shown.code] == ["**not bold**"]
        titles = {metric.label: metric.value for metric in shown.metric}
        assert titles["Images/s"] == "123"
        assert titles["Best top-1"] == "50.0 %"
        shown.button(key="live-finish").click().run()
        assert store.runs.finish_requested(run_id)
        assert shown.button(key="live-finish").disabled
        shown.button(key="live-cancel").click().run()
        assert store.runs.cancel_requested(run_id)
        assert shown.button(key="live-cancel").disabled
    store.runs.update(run_id, state="cancelled", error=f"Run {run_id} was cancelled.")
    shown = page(run=run_id)
    assert mentions(words(shown), run_id, "checkpoint")
    shown.button(key="live-resume").click().run()
    assert store.runs.get(run_id).state == "pending"
    assert "`fieldguide up`" in words(shown)
    shown.button(key="live-cancel").click().run()
    assert store.runs.get(run_id).state == "cancelled"


def test_a_failed_run_says_what_to_do(store: Store) -> None:
    run_id, _ = begun(store, state="failed", error="The disk is full.\nFree some space.")
    shown = page(run=run_id)
    assert "The disk is full." in words(shown)
    assert "Free some space." in words(shown)
    shown.button(key="live-delete").click().run()
    assert not [run for run in store.runs.list() if run.run_id == run_id]


@given(
    done=st.integers(0, 6),
    stages=st.lists(st.sampled_from(["data", "training", "evaluation"]), min_size=1, max_size=6, unique=True),
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_the_bar_of_a_run_never_falls_back(done: int, stages: list[str], shares: list[float]) -> None:
    """Not within a step, nor from one to the next."""
    done = min(done, len(stages) - 1)

    def seen(finished: int, share: float) -> float:
        steps = tuple(StepSeen(key, key, 1.0 if place < finished else None) for place, key in enumerate(stages))
        return share_of_all(steps, share)

    first, second = sorted(shares)
    assert 0 <= seen(done, first) <= seen(done, second) <= seen(done + 1, 0.0) + 1e-9
    assert seen(len(stages), 0.0) == pytest.approx(1.0)


def test_a_finished_run_leads_on(store: Store) -> None:
    finished = next(run for run in store.runs.list() if run.dataset == "birds" and run.state == "finished")
    shown = page(run=finished.run_id)
    keys = {button.key for button in shown.button}
    assert {"live-to-evaluation", "live-to-explain", "live-to-predict", "live-again"} <= keys
    assert "live-cancel" not in keys


def test_an_unknown_run_is_said_to_be_unknown(store: Store) -> None:
    assert "'nonsense-1'" in words(page(run="nonsense-1"))


def test_the_list_is_narrowed(store: Store) -> None:
    shown = page()
    total = len(store.runs.list())
    assert f"{total} of {total}" in words(shown)
    assert len(shown.dataframe[0].value) == 25
    failed = [run.run_id for run in store.runs.list() if run.state == "failed"]
    shown.button_group(key="runs-states").set_value(["failed"]).run()
    assert set(shown.dataframe[0].value["Run"]) == set(failed)
    shown.text_input(key="runs-text").set_value(failed[0].upper()).run()
    assert shown.dataframe[0].value["Run"].tolist() == [failed[0]]
    shown.text_input(key="runs-text").set_value("50%_").run()
    assert not shown.dataframe and not shown.exception


def test_pages_of_the_list_follow_each_other(store: Store) -> None:
    runs = clients.client().runs
    every = runs.ids(limit=1000)
    assert [run.run_id for start in range(0, len(every), 7) for run in runs.newest(7, skip=start)] == every
    assert sum(runs.counts(dataset="birds").values()) == len(runs.newest(1000, dataset="birds")) > 0


def test_what_a_run_left_is_found_where_it_is_now(store: Store) -> None:
    run_id, _ = begun(store)
    report = store.run_folder(run_id).report
    store.runs.update(
        run_id, result={"artifacts": {"report": f"/elsewhere/runs/{run_id}/report.html", "model": "/gone"}}
    )
    runs = clients.client().runs
    assert runs.artifact(run_id, "report") is None
    report.write_text("x")
    assert runs.artifact(run_id, "report") == report
    assert runs.artifact(run_id, "model") is None
    with pytest.raises(RunError, match="is pending"):
        runs.delete(run_id)


def test_f1_of_a_training_says_which_class_it_is_without(written: Path, tmp_path: Path) -> None:
    store = Store(copied(written, tmp_path))
    run = next(run.run_id for run in store.runs.list() if store.run_folder(run.run_id).records.exists())
    path = store.run_folder(run).records
    assert LiveRuns(store).look(run).absent == ()
    records = pd.read_parquet(path)
    gone = str(records["label"].iloc[0])
    write_table(path, records[(records["split"].astype(str) != "val") | (records["label"].astype(str) != gone)])
    assert LiveRuns(store).look(run).absent == (gone,)
