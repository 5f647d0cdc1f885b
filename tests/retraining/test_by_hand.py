"""Promotion by hand: the comparison on the champion's frozen images, and what becomes of a worse version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.homes import copy_run
from tests.tiny import TrainedRun
from workflows.data.edits import relabel
from workflows.errors import ModelError
from workflows.evaluation.predictions import read_predictions
from workflows.registry.models import champion, frozen_images, register
from workflows.retraining.by_hand import evidence, promote_by_hand
from workflows.statistics import discordant_p
from workflows.store.files import read_table, write_table
from workflows.store.store import Store
from workflows.targets.metrics import TOP1

MODEL = "digits"
LOST = 4


@pytest.fixture
def store(trained: TrainedRun, tmp_path: Path) -> Store:
    """A store whose model has the trained run as its champion, and a version that gets four more images wrong."""
    run = trained.copied(tmp_path / "home")
    register(run.store, MODEL, run.run_id)
    register(run.store, MODEL, copy_run(run.store, run.run_id, wrong=LOST))
    return run.store


def test_a_version_is_compared_on_the_frozen_images(store: Store) -> None:
    found = evidence(store, MODEL, 2)
    assert found.decision is not None and found.worse and not found.missing and not found.notes
    comparison = found.decision.comparison
    assert (comparison.split, comparison.images) == ("test", len(frozen_images(store, champion(store, MODEL))))
    row = comparison.metrics.set_index("metric").loc[TOP1.name]
    assert row["difference"] == pytest.approx(-LOST / comparison.images)
    assert row["low"] <= row["difference"] <= row["high"] <= 0
    assert comparison.p_value == pytest.approx(discordant_p(LOST, 0))
    assert f"p = {comparison.p_value:.2g}" in found.words and "95 % interval" in found.words


def test_a_worse_version_is_promoted_only_if_that_is_confirmed_and_it_is_recorded(store: Store) -> None:
    with pytest.raises(ModelError, match="worse"):
        promote_by_hand(store, MODEL, 2, reason="it is smaller")
    assert champion(store, MODEL).number == 1 and store.models.decisions(MODEL) == []
    decision = promote_by_hand(store, MODEL, 2, reason="it is smaller", author="ada", accept_worse=True)
    assert decision is not None and champion(store, MODEL).number == 2
    assert store.models.decisions(MODEL) == [decision]
    assert (decision.outcome, decision.champion, decision.challenger) == ("promoted", 1, 2)
    assert decision.document["accepted_worse"] is True
    assert decision.reason.startswith("it is smaller.")
    assert decision.document["decision"]["comparison"]["images"] > 0
    line = store.models.promotions(MODEL)[-1]
    assert (line.decision_id, line.author, line.reason) == (decision.decision_id, "ada", "it is smaller")
    page = store.decision_folder(decision.decision_id) / "report.html"
    assert f"{LOST} wrong that were right" in page.read_text(encoding="utf-8")


def test_a_better_one_needs_no_confirmation(store: Store) -> None:
    promote_by_hand(store, MODEL, 2, accept_worse=True)
    assert not evidence(store, MODEL, 1).worse
    decision = promote_by_hand(store, MODEL, 1)
    assert decision is not None and decision.document["accepted_worse"] is False


def test_where_it_was_trained_on_all_frozen_images_there_is_no_comparison_but_the_reason(store: Store) -> None:
    path = store.run_folder(store.models.versions(MODEL)[1].run_id).records
    records = read_table(path)
    write_table(path, records.assign(split=records["split"].astype(str).replace("test", "train")))
    found = evidence(store, MODEL, 2)
    frozen = frozen_images(store, champion(store, MODEL))
    assert found.decision is None and not found.worse
    assert f"{len(frozen)} frozen images left out because {MODEL} v2 was trained on them" in found.missing
    decision = promote_by_hand(store, MODEL, 2)
    assert decision is not None and decision.document["decision"] is None and found.missing in decision.reason


def test_without_stored_predictions_the_reason_is_given(store: Store) -> None:
    store.run_folder(store.models.versions(MODEL)[1].run_id).evaluation.predictions.unlink()
    found = evidence(store, MODEL, 2)
    assert found.decision is None and "no stored predictions" in found.missing


def test_images_relabelled_since_do_not_judge(store: Store) -> None:
    frozen = frozen_images(store, champion(store, MODEL))
    first = frozen.iloc[0]
    frame, _ = read_predictions(store.run_folder(champion(store, MODEL).run_id).evaluation.predictions)
    other = next(name for name in ("0", "1", "4") if name != first["label"])
    relabel(store, champion(store, MODEL).dataset, {first["image_id"]: other})
    found = evidence(store, MODEL, 2)
    assert found.decision is not None and found.decision.comparison.images == len(frozen) - 1
    assert len(found.notes) == 1 and found.notes[0].startswith("1 frozen image left out")
    assert first["image_id"] in set(frame["image_id"])


def test_the_champion_itself_is_refused(store: Store) -> None:
    with pytest.raises(ModelError, match="already"):
        promote_by_hand(store, MODEL, 1)
