"""Home: the next step of a data set from import to schedule, what is due, and what has drifted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import app.client as clients
from app.client.attention import Attention
from app.components.next_steps import leads_of, mistakes_of, path_line
from flows.scheduling import add_schedule, pause, resume, run_now
from tests.app.homes import MODEL, write_model
from tests.app.pages import copied, opened, show, words
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.edits import relabel
from workflows.data.importing import add_dataset
from workflows.registry.models import register
from workflows.store.recent import RecentAnswers
from workflows.store.store import Store

page = partial(show, "home")


@pytest.fixture(scope="module")
def with_model(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Path:
    """A store with a data set, a run and the model `digits`."""
    return write_model(tmp_path_factory.mktemp("home-page") / "home", tiny_source).home


@pytest.fixture
def full(with_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A copy that a test may change."""
    with opened(copied(with_model, tmp_path), monkeypatch) as store:
        yield store


def next_of(dataset: str) -> str:
    """The next step of a data set, whose button is on its page, too."""
    progress = clients.client().attention.progress(dataset)
    assert progress is not None and leads_of(progress)
    return progress.next


def test_an_empty_home_shows_the_way(store: Store) -> None:
    shown = page()
    assert [button.label for button in shown.button if str(button.key).startswith("step-")] == [
        "Import",
        "Look",
        "Train",
        "Evaluate",
        "Register",
        "Schedule",
    ]
    assert clients.client().attention.next_step() is None
    assert path_line(None).startswith("**▶ Import**")


def test_the_next_step_goes_from_photos_to_a_schedule(tiny_source: Path, full: Store) -> None:
    name = full.runs.list()[0].dataset
    assert name is not None
    with_model = next_of(name)
    assert with_model == "schedule"
    assert "**▶ Schedule**" in words(page()) and page().button("next-home-0").label == "Schedule its retraining"
    version = get_version(full, name)
    image = version.table().iloc[0]
    other = next(label for label in version.classes if label != image["label"])
    relabel(full, name, {str(image["image_id"]): other})
    assert next_of(name) == "look", "the new version has not been audited"
    audit(full, get_version(full, name))
    assert next_of(name) == "train", "the newest version is not trained on"
    waiting = full.runs.create(name, {"dataset": name})
    full.runs.update(waiting.run_id, dataset=name)
    assert next_of(name) == "watch"
    full.runs.update(waiting.run_id, state="finished", version=version.number + 1)
    assert next_of(name) == "evaluate"
    schedule = add_schedule(full, MODEL, cron="0 3 * * 1")
    assert next_of(name) == ""
    assert "is retrained on a schedule" in words(page())
    pause(full, schedule)
    assert next_of(name) == "evaluate", "a paused schedule keeps nothing up to date"
    resume(full, full.schedules.get(schedule.id))
    add_dataset(full, "later", tiny_source)
    progress = clients.client().attention.next_step()
    assert progress is not None and (progress.dataset, progress.next) == ("later", "look")
    full.schedules.remove(schedule.id)


def test_what_is_due_is_shown_the_next_first(full: Store) -> None:
    every = add_schedule(full, MODEL, every_seconds=7200)
    weekly = add_schedule(full, MODEL, cron="0 3 * * 1", timezone="Asia/Kolkata")
    held = add_schedule(full, MODEL, every_seconds=60)
    pause(full, held)
    keys = [str(button.key) for button in page().button if str(button.key).startswith("due-show-")]
    assert keys == [f"due-show-{every.id}", f"due-show-{weekly.id}"]
    run_now(full, weekly)
    keys = [str(button.key) for button in page().button if str(button.key).startswith("due-show-")]
    assert keys[0] == f"due-show-{weekly.id}", "what is under way comes first"


def test_a_model_that_sees_other_photos_is_named(full: Store) -> None:
    run_id = full.models.versions(MODEL)[0].run_id
    assert clients.client().attention.drifted() == []
    RecentAnswers(full.home).add(run_id, [("0", 0.999)] * 150)
    [(model, reasons)] = clients.client().attention.drifted()
    assert model == MODEL and reasons
    assert page().button(f"drift-retrain-{MODEL}")
    shutil.rmtree(full.run_folder(run_id).evaluation.path)
    assert Attention(full).drifted() == [], "what can't be judged is no drift"


def test_a_registered_run_is_not_offered_again(full: Store) -> None:
    run_id = full.models.versions(MODEL)[0].run_id
    register(full, "second", run_id)
    assert {version.model for version in clients.client().models.of_run(run_id)} == {MODEL, "second"}


def test_mistakes_are_shown_on_the_images_that_the_accuracy_is_of(full: Store) -> None:
    run = full.runs.list()[0].run_id
    assert mistakes_of(run).query == {"run": run, "step": "test"}
    with_none = full.runs.create("untested", {})
    assert mistakes_of(with_none.run_id).query == {"run": with_none.run_id}
