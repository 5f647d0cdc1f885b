"""Retraining for real: more photos win, shuffled labels don't, and whatever cuts it off costs nothing."""

from __future__ import annotations

import html
import random
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.texts import one_mentions
from tests.tiny import write_tiny
from workflows.data.edits import move
from workflows.data.importing import add_dataset
from workflows.errors import ModelError
from workflows.pipeline import create_run, run_pipeline
from workflows.progress import Progress
from workflows.registry.models import champion, promote, register
from workflows.requests import PromotionRules, RetrainSettings, TrainRequest
from workflows.retraining.plan import leaked, leaks_ahead, obstacle, plan_retraining
from workflows.retraining.retrain import retrain
from workflows.store import models as records
from workflows.store.store import Store

CLASSES = ("0", "1", "4", "7")
SETTINGS = {"size": 32, "epochs": 8, "weights": "none", "device": "cpu", "seed": 0}
EAGER = RetrainSettings(epochs=8, device="cpu", rules=PromotionRules(class_drop=0.3))
"""With which more photos win against the champion."""


def grow(source: Path, target: Path, first: int, last: int) -> None:
    """Copy each class's images number `first` to `last` (without) of `source` into `target`."""
    for label in CLASSES:
        (target / label).mkdir(parents=True, exist_ok=True)
        for number in range(first, last):
            shutil.copy(source / label / f"{number}.png", target / label)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("digits") / "all", CLASSES, per_class=150)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Store:
    """A store with a model `digits`, whose champion was trained for one epoch on few images."""
    folder = tmp_path_factory.mktemp("retraining")
    store = Store(folder / "home")
    grow(digits, folder / "photos", 0, 60)
    add_dataset(store, "digits", folder / "photos")
    run = create_run(store, TrainRequest(dataset="digits", **{**SETTINGS, "epochs": 1}))
    run_pipeline(store, run.run_id)
    register(store, "digits", run.run_id)
    return store


@pytest.fixture
def store(prepared: Store, tmp_path: Path) -> Store:
    """A copy of it that a test may change."""
    shutil.copytree(prepared.home, tmp_path / "home")
    return Store(tmp_path / "home")


def test_too_little_news_is_no_reason_and_that_is_recorded(store: Store) -> None:
    decision = retrain(store, "digits", "a test")
    assert (decision.outcome, decision.challenger) == ("unchanged", None)
    assert "0 images differ" in decision.reason
    assert store.models.decisions("digits") == [decision]
    page = store.decision_folder(decision.decision_id) / "report.html"
    assert decision.reason in html.unescape(page.read_text(encoding="utf-8"))


def test_more_photos_win_and_shuffled_labels_do_not(store: Store, digits: Path, tmp_path: Path) -> None:
    grow(digits, tmp_path / "more", 60, 150)
    add_dataset(store, "digits", tmp_path / "more")
    won = retrain(store, "digits", "new photos", EAGER)
    assert won.outcome == "promoted", won.reason
    assert champion(store, "digits").number == won.challenger == 2
    line = store.models.promotions("digits")[-1]
    assert (line.decision_id, line.author, line.previous) == (won.decision_id, "new photos", 1)
    page = (store.decision_folder(won.decision_id) / "report.html").read_text(encoding="utf-8")
    assert won.reason in html.unescape(page) and "data:image/jpeg" in page

    sabotaged = tmp_path / "sabotaged"
    shuffle_labels(store, sabotaged)
    lost = retrain(store, "digits", "strange labels", EAGER)
    assert lost.outcome == "kept", lost.reason
    assert champion(store, "digits").number == 2
    assert lost.document["changes"]["relabelled"] > 0


def shuffle_labels(store: Store, folder: Path) -> None:
    """Give 60 % of the training images another label."""
    from workflows.data.catalog import get_version
    from workflows.data.edits import relabel

    table = get_version(store, "digits").table()
    ids = table.loc[table["split"] == "train", "image_id"].tolist()
    chosen = random.Random(0).sample(ids, int(0.6 * len(ids)))
    labels = table.set_index("image_id")["label"]
    relabel(store, "digits", {each: CLASSES[(CLASSES.index(labels[each]) + 1) % len(CLASSES)] for each in chosen})


def test_a_new_class_is_left_out_of_the_comparison_and_said(store: Store, digits: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "nines", ("9",), per_class=40)
    for label in CLASSES:
        (tmp_path / "nines" / label).mkdir()
        shutil.copy(digits / label / "100.png", tmp_path / "nines" / label)
    add_dataset(store, "digits", tmp_path / "nines")
    plan = plan_retraining(store, "digits", RetrainSettings())
    assert plan.enough and plan.changes["added"] == 44
    assert set(plan.test_images["label"]) == set(CLASSES)
    assert one_mentions(plan.notes, 9)


def test_a_champion_that_changed_meanwhile_is_not_replaced(store: Store, digits: Path, tmp_path: Path) -> None:
    grow(digits, tmp_path / "more", 60, 150)
    add_dataset(store, "digits", tmp_path / "more")
    rival = create_run(store, TrainRequest(dataset="digits", **{**SETTINGS, "epochs": 1, "seed": 1}))
    run_pipeline(store, rival.run_id)

    def train(store: Store, run_id: str, progress: Progress) -> None:
        run_pipeline(store, run_id, progress)
        promote(store, "digits", register(store, "digits", rival.run_id).number, author="ada")

    decision = retrain(store, "digits", "a test", EAGER, run_training=train)
    assert (decision.outcome, decision.champion, decision.challenger) == ("stopped", 1, 3)
    assert decision.document["decision"]["promote"] is True, "it would have been promoted"
    assert champion(store, "digits").number == 2
    assert [line.number for line in store.models.promotions("digits")] == [1, 2]
    assert store.models.decisions("digits") == [decision]


def test_a_retraining_that_is_killed_while_it_is_recorded_promotes_nothing(
    store: Store, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(digits, tmp_path / "more", 60, 150)
    add_dataset(store, "digits", tmp_path / "more")
    crown, crowned = records._crown, []

    def killed(*arguments: Any, **values: Any) -> bool:
        crowned.append(crown(*arguments, **values))
        raise KeyboardInterrupt

    decision_id = store.models.new_decision_id("digits")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(records, "_crown", killed)
        retrain(store, "digits", "a test", EAGER, decision_id=decision_id)
    assert crowned == [True], "it was about to be the champion"
    assert champion(store, "digits").number == 1
    assert store.models.decisions("digits") == []
    decision = retrain(store, "digits", "a test", EAGER, decision_id=decision_id)
    assert (decision.outcome, champion(store, "digits").number) == ("promoted", decision.challenger)
    assert [line.decision_id for line in store.models.promotions("digits")] == [None, decision_id]


@pytest.mark.slow
def test_a_retraining_that_was_cut_off_goes_on_with_its_challenger(store: Store, digits: Path, tmp_path: Path) -> None:
    grow(digits, tmp_path / "more", 60, 90)
    add_dataset(store, "digits", tmp_path / "more")
    settings = RetrainSettings(epochs=1, device="cpu")
    started: list[str] = []

    def cut(store: Store, run_id: str, progress: Progress) -> None:
        started.append(run_id)
        raise KeyboardInterrupt

    decision_id = store.models.new_decision_id("digits")
    with pytest.raises(KeyboardInterrupt):
        retrain(store, "digits", "a test", settings, decision_id=decision_id, run_training=cut)
    assert store.models.decisions("digits") == []
    decision = retrain(store, "digits", "a test", settings, decision_id=decision_id)
    assert decision.challenger_run == started[0]
    assert retrain(store, "digits", "a test", settings, decision_id=decision_id) == decision  # it is done once
    assert len(store.models.decisions("digits")) == 1


def test_test_images_that_were_trained_on_are_found(store: Store) -> None:
    plan = plan_retraining(store, "digits", RetrainSettings())
    clean = pd.read_parquet(store.run_folder(plan.champion.run_id).records)
    assert leaked(plan.test_images, clean) == []
    tainted = clean.assign(split="train")
    assert leaked(plan.test_images, tainted) == sorted(plan.test_images["path"])


def test_a_retraining_that_would_learn_its_test_images_stops_before_it_trains(store: Store) -> None:
    settings = RetrainSettings(min_changes=0)
    assert obstacle(store, "digits", settings) == ""
    frozen = plan_retraining(store, "digits", settings).test_images
    moved = frozen.groupby("label").head(1)
    move(store, "digits", dict.fromkeys(moved["image_id"], "train"))
    plan = plan_retraining(store, "digits", settings)
    leaking = leaks_ahead(store, plan)
    assert leaking == sorted(moved["path"])
    assert leaking[0] in obstacle(store, "digits", settings)

    def train(store: Store, run_id: str, progress: Progress) -> None:
        raise AssertionError("nothing may be trained")

    decision = retrain(store, "digits", "a test", settings, run_training=train)
    assert (decision.outcome, decision.challenger) == ("stopped", None)
    assert leaking[0] in decision.reason
    assert "'birds'" in obstacle(store, "birds", settings)


def test_an_unknown_model_is_said(home: Path) -> None:
    with pytest.raises(ModelError, match="'nothing'"):
        retrain(Store(), "nothing")
