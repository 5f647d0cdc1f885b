"""What a run's numbers mean, in sentences for people who don't train networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflows.evaluation.confusion import class_codes, most_confused_pairs
from workflows.evaluation.metrics import macro_f1
from workflows.evaluation.statistics import bootstrap_interval
from workflows.report.words import NBSP, count, percent, percent_range

Metrics = Mapping[str, Any]

# Below this many images the interval of a share is wider than about +-10 points.
FEW_IMAGES = 100
FEW_PER_CLASS = 10

SPLIT_NAMES = {"val": "validation", "test": "test"}


def headline(metrics: Metrics, split: str) -> str:
    """Say what top-1 means for photos to come, with its uncertainty."""
    low, high = metrics["top1_ci95"]
    share, images = metrics["top1"], metrics["support"]
    sure = f"On photos like these it will be right for {percent_range(low, high)} (with 95{NBSP}% confidence)"
    if share == 1.0:
        return f"{sure}. Not one of the {count(images, 'photo')} was mistaken."
    odds = 1 / (1 - share)
    often = f"about 1 mistake in {odds:.0f} photos" if odds >= 1.5 else "more mistakes than right answers"
    return f"{sure}: {often}."


def origin_of(split: str) -> str:
    """Say how far the figures of a split can be trusted."""
    if split == "test":
        return (
            "Measured on photos that were put aside before the training: they taught the model nothing, "
            "and they did not choose which of its versions was kept."
        )
    return (
        "Measured on the validation photos. They taught the model nothing, but they chose which of its "
        "versions was kept, so the figures are slightly better than they will be on new photos."
    )


def cautions(metrics: Mapping[str, Metrics | None], split: str, part: pd.DataFrame) -> list[str]:
    """List what a reader must know before trusting the figures."""
    found = []
    main = metrics[split] or {}
    if not metrics.get("test"):
        found.append(
            "This run has no test split: no photos were kept apart that nothing was chosen with. The figures "
            "are those of the validation split. Import the data with a test share (for example --split 70/15/15) "
            "to have an independent figure."
        )
    if main.get("support", 0) < FEW_IMAGES:
        found.append(f"Only {count(main.get('support', 0), 'photo')} in this split: the figures are rough.")
    small = part["label"].astype(object).value_counts()
    small = small[small < FEW_PER_CLASS]
    if len(small):
        found.append(
            f"{count(len(small), 'class has', 'classes have')} fewer than {FEW_PER_CLASS} photos in this split: "
            "figures for single classes say little there. Their intervals show how little."
        )
    return found


def data_cautions(result: Mapping[str, Any]) -> list[str]:
    """List what the audit of the data found that speaks against the figures."""
    return [
        f"The photos’ audit found {'an error' if finding['severity'] == 'error' else 'reason for doubt'}: "
        f"{finding['title']} ({finding['key']})."
        for finding in result.get("findings") or []
        if finding["severity"] in ("error", "warning")
    ]


def findings(metrics: Metrics, part: pd.DataFrame, classes: Sequence[str], suspects: int) -> list[str]:
    """List what is worth knowing first: the baseline, the weakest class, the main mistake, calibration, labels."""
    found = [_baseline(metrics, part), *_weakest(part), *_main_mistake(part), _calibration(metrics)]
    if suspects:
        found.append(f"{count(suspects, 'label looks', 'labels look')} wrong and should be checked by a person.")
    return found


def _baseline(metrics: Metrics, part: pd.DataFrame) -> str:
    most = part["label"].astype(object).value_counts()
    share = float(most.iloc[0]) / len(part)
    better = "The model is" if metrics["top1"] > share else "The model is not better:"
    ours = percent(float(metrics["top1"]))
    return (
        f"Always answering “{most.index[0]}”, the most frequent class, would be right for {percent(share)}. "
        f"{better} right for {ours}."
    )


def _weakest(part: pd.DataFrame) -> list[str]:
    facts = pd.DataFrame({"class": part["label"].astype(object), "right": part["correct"].astype(float)})
    table = facts.groupby("class")["right"].agg(["mean", "size"]).reset_index()
    trusted = table[table["size"] >= FEW_PER_CLASS].sort_values("mean", kind="stable")
    if len(trusted) < 2 or trusted["mean"].iloc[0] == trusted["mean"].iloc[-1]:
        return []
    worst, best = trusted.iloc[0], trusted.iloc[-1]
    return [
        f"Recognised worst: “{worst['class']}”, {percent(worst['mean'])} of its {count(int(worst['size']), 'photo')}. "
        f"Recognised best: “{best['class']}”, {percent(best['mean'])} of {count(int(best['size']), 'photo')}."
    ]


def _main_mistake(part: pd.DataFrame) -> list[str]:
    pairs = most_confused_pairs(part, limit=1)
    if pairs.empty:
        return []
    row = pairs.iloc[0]
    times = "once" if row["count"] == 1 else f"{row['count']:,} times"
    return [
        f"The most frequent mistake: “{row['label']}” taken for “{row['predicted']}”, {times} "
        f"({percent(row['share_of_label'])} of the photos of “{row['label']}”)."
    ]


def _calibration(metrics: Metrics) -> str:
    low, high = metrics["top1_ci95"]
    promised, kept = metrics["average_confidence"], metrics["top1"]
    facts = f"it claims {percent(promised)} on average and is right for {percent(kept)}"
    if low <= promised <= high:
        return f"The model’s confidence agrees with its success, within what this many photos can show: {facts}."
    judgement = "too sure of itself" if promised > kept else "more cautious than it needs to be"
    return f"The model is {judgement}: {facts}."


def f1_interval(part: pd.DataFrame, classes: Sequence[str]) -> tuple[float, float]:
    """Return the bootstrap interval (95 %, 1000 draws) of the mean F1 over classes."""
    labels, predicted = class_codes(part["label"], classes), class_codes(part["predicted"], classes)
    return bootstrap_interval(
        lambda truth, guess: macro_f1(np.asarray(truth), np.asarray(guess), len(classes)),
        labels,
        predicted,
        resamples=1000,
    )
