"""Promotion by hand: first what the champion's frozen images say about it, then a record of both.

The comparison takes the predictions that the runs have stored, so it needs no network: images that the version was trained
on, or has no prediction for, are left out and counted. Where nothing is left, the reason is given instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.publishing import resolve_author
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, ModelError, RunError, StorageError
from workflows.evaluation.predictions import common_target, read_predictions
from workflows.registry.models import frozen_images, frozen_split, get_model, promotable, promote
from workflows.retraining.decision import Decision, PromotionRules, decide
from workflows.retraining.plan import changes_between
from workflows.retraining.recording import brief_of, record_decision
from workflows.store.files import read_table
from workflows.store.models import DecisionRecord, ModelVersion
from workflows.store.names import counted
from workflows.store.store import Store
from workflows.targets.metrics import TOP1

TRIGGER = "by hand"


@dataclass(frozen=True)
class Evidence:
    """What is known of a version against the champion that it would replace.

    Attributes:
        version: the version.
        champion: the version in use; None if there is none.
        decision: their comparison on the champion's frozen images (A is the champion), and what the rules of a retraining
            would make of it; None if they can't be compared.
        missing: why there is no comparison; empty if there is one.
        notes: which frozen images the comparison leaves out, and why.
        frozen: the champion's frozen images; None if there is no comparison.
    """

    version: ModelVersion
    champion: ModelVersion | None
    decision: Decision | None
    missing: str
    notes: tuple[str, ...] = ()
    frozen: pd.DataFrame | None = None

    @property
    def worse(self) -> bool:
        """Whether the version gets fewer of the frozen images right than the champion, by chance or not."""
        if self.decision is None:
            return False
        metrics = self.decision.comparison.metrics
        return bool((metrics.loc[metrics["metric"] == TOP1.name, "difference"] < 0).any())

    @property
    def words(self) -> str:
        """Return the comparison in sentences, or why there is none."""
        return self.decision.reason if self.decision is not None else self.missing


def evidence(store: Store, model: str, number: int, *, resamples: int = 2000) -> Evidence:
    """Return how a version compares with the champion on the champion's frozen images.

    Args:
        resamples: draws of the paired bootstrap.

    Raises:
        ModelError: unknown model or version.
    """
    version, current = get_model(store, model, number), store.models.champions().get(model)
    if current is None:
        return Evidence(version, None, None, "The model has no champion to compare with.")
    champion = get_model(store, model, current)
    if current == number:
        return Evidence(version, champion, None, "It is the champion.")
    try:
        frozen = frozen_images(store, champion)
        sides, notes = _sides(store, champion, version, frozen)
        if sides is None:
            said = " ".join(notes)
            return Evidence(version, champion, None, f"There is no comparison on the champion's frozen images. {said}")
        decision = _decide(store, champion, version, sides, frozen, resamples)
    except (DatasetError, RunError, StorageError) as error:
        return Evidence(version, champion, None, f"There is no comparison: {error.message}")
    return Evidence(version, champion, decision, "", tuple(notes), frozen)


def promote_by_hand(
    store: Store, model: str, number: int, *, reason: str = "", author: str | None = None, accept_worse: bool = False
) -> DecisionRecord | None:
    """Make a version the champion, and record the comparison with the one before as a decision.

    Args:
        reason: why, as text.
        author: who promotes it; by default the user.
        accept_worse: promote it even if it gets fewer of the champion's frozen images right.

    Returns:
        The decision; None if the model had no champion to decide about.

    Raises:
        ModelError: unknown, already the champion, changed concurrently, or worse without `accept_worse`.
    """
    found = evidence(store, model, number)
    if found.worse and not accept_worse:
        raise ModelError(
            f"{found.version} is worse than the champion. {found.words}",
            "To promote it all the same, say so: --accept-worse, or the tick beside the button on the page Models.",
        )
    if found.champion is None or found.champion.number == number:
        promote(store, model, number, reason=reason, author=author)
        return None
    promotable(store, model, number)
    return _record(store, found, reason, author)


def _sides(
    store: Store, champion: ModelVersion, version: ModelVersion, frozen: pd.DataFrame
) -> tuple[tuple[pd.DataFrame, pd.DataFrame] | None, list[str]]:
    """Return both models' stored predictions for frozen images that can be compared, and what is left out of them."""
    records = read_table(store.run_folder(version.run_id).records)
    learnt = frozen["sha256"].isin(_of(records, "train"))
    labels = _labels(store, champion)
    current = frozen["image_id"].map(labels) if labels is not None else frozen["label"]
    changed = current.astype(object).fillna("") != frozen["label"].astype(object)
    usable = set(frozen.loc[~learnt & ~changed, "image_id"])
    frames = [_predictions(store, each) for each in (champion, version)]
    both = usable.intersection(*(set(frame["image_id"]) for frame in frames))
    notes = [
        f"{counted(number, 'frozen image')} {why}."
        for number, why in (
            (int(learnt.sum()), f"left out because {version} was trained on them"),
            (int((~learnt & changed).sum()), "left out because they were relabelled or removed since"),
            (len(usable) - len(both), "left out because the runs have not stored predictions of both models for them"),
        )
        if number
    ]
    chose = int(frozen.loc[frozen["image_id"].isin(both), "sha256"].isin(_of(records, "val")).sum())
    if chose and frozen_split(frozen) == "test":
        notes.append(
            f"{chose} of the compared images also chose the checkpoint of {version}: its accuracy is optimistic."
        )
    if not both:
        return None, notes
    split = frozen_split(frozen)
    first, second = (frame[frame["image_id"].isin(both)].assign(split=split) for frame in frames)
    return (first, second), notes


def _of(records: pd.DataFrame, split: str) -> set[str]:
    """Return the contents of a split's images."""
    return set(records.loc[records["split"] == split, "sha256"])


def _labels(store: Store, champion: ModelVersion) -> pd.Series | None:
    """Return the newest labels by image id; None if the data set was deleted."""
    newest = _stored(store, champion.dataset)
    return None if newest is None else newest.table().set_index("image_id")["label"]


def _stored(store: Store, dataset: str, number: int | None = None) -> DatasetVersion | None:
    """Return a version of a data set, the newest by default; None if it was deleted."""
    try:
        return get_version(store, dataset, number)
    except DatasetError:
        return None


def _predictions(store: Store, version: ModelVersion) -> pd.DataFrame:
    path = store.run_folder(version.run_id).evaluation.predictions
    if not path.is_file():
        raise RunError(f"the run of {version} has no stored predictions.")
    return read_predictions(path)[0]


def _decide(
    store: Store,
    champion: ModelVersion,
    version: ModelVersion,
    sides: tuple[pd.DataFrame, pd.DataFrame],
    frozen: pd.DataFrame,
    resamples: int,
) -> Decision:
    paths = [store.run_folder(each.run_id).evaluation.predictions for each in (champion, version)]
    return decide(
        *sides,
        PromotionRules(),
        names=(f"the champion (v{champion.number})", f"version {version.number}"),
        known={*champion.card["classes"], *version.card["classes"]},
        target=common_target(*paths),
        split=frozen_split(frozen),
        resamples=resamples,
    )


def _record(store: Store, found: Evidence, reason: str, author: str | None) -> DecisionRecord:
    champion, version = found.champion, found.version
    assert champion is not None
    accepted = " It was promoted all the same, as confirmed." if found.worse else ""
    said = f"{reason.strip() or 'Promoted by hand'}. {found.words}{accepted}"
    before, after = (_stored(store, each.dataset, each.version) for each in (champion, version))
    changes = None  # between data sets, and where one was deleted, they can't be counted
    if before is not None and after is not None and before.name == after.name:
        changes = changes_between(store, champion, after)
    facts = {
        "decision_id": store.models.new_decision_id(version.model),
        "model": version.model,
        "trigger": TRIGGER,
        "outcome": "promoted",
        "reason": said,
        "accepted_worse": found.worse,
        "champion": brief_of(champion),
        "challenger": {**brief_of(version), "started_from": ""},
        "data": {"name": version.dataset, "version": version.version},
        "changes": changes,
        "notes": list(found.notes),
        "rules": PromotionRules().model_dump(),
        "decision": found.decision and found.decision.document(),
    }
    promoted = {"author": author or resolve_author(), "reason": reason or "promoted by hand"}
    images = found.frozen if found.frozen is not None else pd.DataFrame(columns=["image_id", "sha256"])
    return record_decision(store, facts, images, None if before is None else before.rendering(), promoted)
