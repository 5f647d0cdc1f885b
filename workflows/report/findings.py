"""The meaning of a run's metrics, in sentences for people who do not train networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflows.report.words import NBSP, count, percent, percent_range
from workflows.statistics import bootstrap_interval
from workflows.store.run_result import RunResult
from workflows.targets.judged import OPTIMISTIC
from workflows.targets.metrics import AVERAGE_CONFIDENCE, TOP1
from workflows.targets.single_label.confusion import most_confused_pairs
from workflows.targets.single_label.labels import class_codes
from workflows.targets.single_label.metrics import macro_f1

Metrics = Mapping[str, Any]

# Below this many images the interval of a share is wider than about +-10 points.
FEW_IMAGES = 100
FEW_PER_CLASS = 10


def headline(metrics: Metrics, split: str) -> str:
    """Return what top-1 means for new photos, with its uncertainty."""
    low, high = metrics["top1_ci95"]
    share, images = metrics[TOP1.name], metrics["support"]
    sure = f"On photos like these it will be right for {percent_range(low, high)} (with 95{NBSP}% confidence)"
    if share == 1.0:
        return f"{sure}. All {count(images, 'photo')} were recognised correctly."
    odds = 1 / (1 - share)
    often = f"about 1 mistake in {odds:.0f} photos" if odds >= 1.5 else "more mistakes than correct predictions"
    return f"{sure}: {often}."


def origin_of(split: str) -> str:
    """Return how far the metrics of a split can be trusted."""
    if split == "test":
        return (
            "Measured on photos that were set aside before the training: the model was not trained on them, "
            "and they were not used to choose its best weights."
        )
    return f"Measured on the validation photos, which the model was not trained on. {OPTIMISTIC}"


def cautions(metrics: Mapping[str, Metrics | None], split: str, part: pd.DataFrame) -> list[str]:
    """Return what a reader must know before trusting the metrics."""
    found = []
    main = metrics[split] or {}
    if not metrics.get("test"):
        found.append(
            "This run has no test split: no photos were set aside for an independent evaluation. The metrics "
            "are those of the validation split. Set test images aside (fieldguide dataset resplit NAME --split "
            "70/15/15, or on the page of the run) and train again to get an independent result."
        )
    if main.get("support", 0) < FEW_IMAGES:
        found.append(f"Only {count(main.get('support', 0), 'photo')} in this split: the metrics are imprecise.")
    small = part["label"].astype(object).value_counts()
    small = small[small < FEW_PER_CLASS]
    if len(small):
        found.append(
            f"{count(len(small), 'class has', 'classes have')} fewer than {FEW_PER_CLASS} photos in this split: "
            "their metrics are imprecise, as their intervals show."
        )
    return found


def data_cautions(result: RunResult) -> list[str]:
    """Return the audit's findings that cast doubt on the metrics."""
    return [
        f"The photos’ audit found {'an error' if finding['severity'] == 'error' else 'a possible problem'}: "
        f"{finding['title']} ({finding['key']})."
        for finding in result.findings
        if finding["severity"] in ("error", "warning")
    ]


def findings(metrics: Metrics, part: pd.DataFrame, classes: Sequence[str], suspects: int) -> list[str]:
    """Return the main findings: the baseline, the weakest class, the main mistake, calibration, labels."""
    found = [_baseline(metrics, part), *_weakest(part), *_main_mistake(part), _calibration(metrics)]
    if suspects:
        found.append(f"{count(suspects, 'label looks', 'labels look')} wrong and should be checked.")
    return found


def _baseline(metrics: Metrics, part: pd.DataFrame) -> str:
    most = part["label"].astype(object).value_counts()
    share = float(most.iloc[0]) / len(part)
    better = "The model is" if metrics[TOP1.name] > share else "The model is not better:"
    ours = percent(float(metrics[TOP1.name]))
    return (
        f"Always predicting “{most.index[0]}”, the most frequent class, would be right for {percent(share)}. "
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
        f"Worst recognised: “{worst['class']}”, {percent(worst['mean'])} of its {count(int(worst['size']), 'photo')}. "
        f"Best recognised: “{best['class']}”, {percent(best['mean'])} of {count(int(best['size']), 'photo')}."
    ]


def _main_mistake(part: pd.DataFrame) -> list[str]:
    pairs = most_confused_pairs(part, limit=1)
    if pairs.empty:
        return []
    row = pairs.iloc[0]
    times = "once" if row["count"] == 1 else f"{row['count']:,} times"
    return [
        f"The most frequent mistake: “{row['label']}” predicted as “{row['predicted']}”, {times} "
        f"({percent(row['share_of_label'])} of the photos of “{row['label']}”)."
    ]


def _calibration(metrics: Metrics) -> str:
    low, high = metrics["top1_ci95"]
    promised, actual = metrics[AVERAGE_CONFIDENCE.name], metrics[TOP1.name]
    facts = f"it is {percent(promised)} on average, and {percent(actual)} are right"
    if low <= promised <= high:
        return f"The model’s confidence agrees with its accuracy, within what this many photos can show: {facts}."
    tendency = "overconfident" if promised > actual else "underconfident"
    return f"The model is {tendency}: its confidence is off, {facts}."


def f1_interval(part: pd.DataFrame, classes: Sequence[str]) -> tuple[float, float]:
    """Return the bootstrap interval (95 %, 1000 draws) of the mean F1 over classes."""
    labels, predicted = class_codes(part["label"], classes), class_codes(part["predicted"], classes)
    return bootstrap_interval(
        lambda truth, guess: macro_f1(np.asarray(truth), np.asarray(guess), len(classes)),
        labels,
        predicted,
        resamples=1000,
    )
