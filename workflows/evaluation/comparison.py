"""Which of two models is better, and how sure that is.

Both must have answered the same images: the differences are taken image by image, so that easy and hard
images, which both models share, do not blur them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflows.errors import RunError
from workflows.evaluation.calibration import expected_calibration_error
from workflows.evaluation.confusion import class_codes
from workflows.evaluation.statistics import discordant_p, holm_adjusted, mcnemar_exact, resampled

# The usual level; every verdict in words is made with it.
SIGNIFICANT = 0.05

# Metrics for which less is better.
ERRORS = frozenset({"ece", "log_loss"})


@dataclass(frozen=True)
class Comparison:
    """What was found out about model B against model A on the same images of one split.

    Attributes:
        split: The split compared.
        names: What to call A and B.
        images: Images compared: in both tables, with the same label.
        left_out: Images of the split that only A or only B answered, and those whose label has changed
            in between: `only_a`, `only_b`, `relabelled`.
        metrics: One row per metric: `metric`, `a`, `b`, `difference` (b - a), `low`, `high` (its paired
            bootstrap interval, 95 %), `better` ("a", "b" or "" where the interval holds 0).
        p_value: McNemar's exact test that both are right equally often.
        classes: One row per class: `class`, `support`, `recall_a`, `recall_b`, `difference`, `only_a`,
            `only_b` (images that one alone gets right), `p_value`, `p_adjusted` (Holm, over all classes),
            `better`.
        changed: Images right with one model and wrong with the other: `image_id`, `path`, `label`,
            `predicted_a`, `predicted_b`, `confidence_a`, `confidence_b`, `change` ("mended", "broken").
        verdict: The result in one sentence.
    """

    split: str
    names: tuple[str, str]
    images: int
    left_out: dict[str, int]
    metrics: pd.DataFrame
    p_value: float
    classes: pd.DataFrame
    changed: pd.DataFrame
    verdict: str

    def document(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "split": self.split,
            "a": self.names[0],
            "b": self.names[1],
            "images": self.images,
            "left_out": self.left_out,
            "metrics": self.metrics.to_dict("records"),
            "p_value": self.p_value,
            "classes": self.classes.to_dict("records"),
            "changed": self.changed.to_dict("records"),
            "verdict": self.verdict,
        }


def compare(
    frame_a: pd.DataFrame,
    frame_b: pd.DataFrame,
    split: str = "test",
    *,
    names: tuple[str, str] = ("A", "B"),
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two predictions tables on the images of a split that both hold with the same label.

    Args:
        frame_a: Predictions of model A (the one in use).
        frame_b: Predictions of model B (the one that may replace it).
        split: Which images.
        names: What to call the two in the verdict.
        resamples: Draws of the paired bootstrap.
        seed: Seed of the draws.

    Raises:
        RunError: The two have no image of the split in common.
    """
    paired, left_out = _paired(frame_a, frame_b, split)
    right_a, right_b = paired["correct_a"].to_numpy(dtype=bool), paired["correct_b"].to_numpy(dtype=bool)
    p_value = mcnemar_exact(right_a, right_b)
    return Comparison(
        split=split,
        names=names,
        images=len(paired),
        left_out=left_out,
        metrics=_metric_differences(paired, resamples, seed),
        p_value=p_value,
        classes=_class_differences(paired),
        changed=_changed(paired),
        verdict=_verdict(names, right_a, right_b, p_value),
    )


def _paired(frame_a: pd.DataFrame, frame_b: pd.DataFrame, split: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Join both tables on the images; count what has to be left out."""
    columns = ["image_id", "path", "label", "predicted", "confidence", "correct", "log_loss"]
    a, b = (frame.loc[frame["split"] == split, columns] for frame in (frame_a, frame_b))
    both = a.merge(b, on="image_id", suffixes=("_a", "_b"), validate="one_to_one")
    same = both[both["label_a"].astype(object) == both["label_b"].astype(object)]
    if same.empty:
        raise RunError(
            f"The two runs have no image of the split {split} in common.",
            hint="Compare runs on the same data set, or evaluate one on the other's data: fieldguide evaluate RUN --data NAME",
        )
    left_out = {
        "only_a": len(a) - len(both),
        "only_b": len(b) - len(both),
        "relabelled": len(both) - len(same),
    }
    return same.rename(columns={"label_a": "label", "path_a": "path"}).reset_index(drop=True), left_out


@dataclass(frozen=True)
class _Answers:
    """One model's answers as arrays over the paired images."""

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    losses: NDArray[np.float64]
    class_count: int

    def take(self, rows: NDArray[np.int64]) -> _Answers:
        columns = (self.labels[rows], self.predicted[rows], self.confidence[rows], self.losses[rows])
        return _Answers(*columns, self.class_count)

    def metrics(self) -> NDArray[np.float64]:
        """Return the values named in `_METRICS`."""
        correct = self.labels == self.predicted
        support, taken, right = (
            np.bincount(codes, minlength=self.class_count)
            for codes in (self.labels, self.predicted, self.labels[correct])
        )
        occurs = (support + taken) > 0
        recall = (right / np.maximum(support, 1))[occurs].mean()
        precision = (right / np.maximum(taken, 1))[occurs].mean()
        f1 = (2 * right / np.maximum(support + taken, 1))[occurs].mean()
        ece = expected_calibration_error(self.confidence, correct)
        return np.array([correct.mean(), precision, recall, f1, self.confidence.mean(), ece, self.losses.mean()])


_METRICS = ("top1", "precision_macro", "recall_macro", "f1_macro", "average_confidence", "ece", "log_loss")


def _answers(paired: pd.DataFrame, side: str, classes: Sequence[str]) -> _Answers:
    return _Answers(
        class_codes(paired["label"], classes),
        class_codes(paired[f"predicted_{side}"], classes),
        paired[f"confidence_{side}"].to_numpy(dtype=np.float64),
        paired[f"log_loss_{side}"].to_numpy(dtype=np.float64),
        len(classes),
    )


def _metric_differences(paired: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Difference of every metric with its paired bootstrap interval."""
    classes = sorted({str(name) for column in ("label", "predicted_a", "predicted_b") for name in paired[column]})
    a, b = _answers(paired, "a", classes), _answers(paired, "b", classes)
    drawn = resampled(len(paired), resamples, seed)
    draws = np.array([b.take(rows).metrics() - a.take(rows).metrics() for rows in drawn])
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    values_a, values_b = a.metrics(), b.metrics()
    table = pd.DataFrame(
        {"metric": _METRICS, "a": values_a, "b": values_b, "difference": values_b - values_a, "low": low, "high": high}
    )
    rises, falls = table["low"] > 0, table["high"] < 0
    less_is_better = table["metric"].isin(ERRORS)
    judged = table["metric"] != "average_confidence"  # neither more nor less of it is better
    table["better"] = ""
    table.loc[judged & ((rises & ~less_is_better) | (falls & less_is_better)), "better"] = "b"
    table.loc[judged & ((falls & ~less_is_better) | (rises & less_is_better)), "better"] = "a"
    return table


def _class_differences(paired: pd.DataFrame) -> pd.DataFrame:
    """Recall of every class with both models, and whether the difference is more than luck."""
    right_a, right_b = paired["correct_a"].astype(bool), paired["correct_b"].astype(bool)
    facts = pd.DataFrame(
        {
            "class": paired["label"].astype(object),
            "recall_a": right_a.astype(float),
            "recall_b": right_b.astype(float),
            "only_a": (right_a & ~right_b).astype(int),
            "only_b": (right_b & ~right_a).astype(int),
        }
    )
    groups = facts.groupby("class", sort=True)
    table = groups[["recall_a", "recall_b"]].mean().join(groups[["only_a", "only_b"]].sum())
    table.insert(0, "support", groups.size())
    table.insert(3, "difference", table["recall_b"] - table["recall_a"])
    table["p_value"] = [discordant_p(int(a), int(b)) for a, b in zip(table["only_a"], table["only_b"], strict=True)]
    table["p_adjusted"] = holm_adjusted(table["p_value"])
    clear = table["p_adjusted"] < SIGNIFICANT
    table["better"] = np.where(clear, np.where(table["difference"] > 0, "b", "a"), "")
    return table.sort_values("difference", ascending=False, kind="stable").reset_index()


def _changed(paired: pd.DataFrame) -> pd.DataFrame:
    """List the images that one model alone gets right."""
    right_a, right_b = paired["correct_a"].to_numpy(dtype=bool), paired["correct_b"].to_numpy(dtype=bool)
    columns = ["image_id", "path", "label", "predicted_a", "predicted_b", "confidence_a", "confidence_b"]
    table = paired.loc[right_a != right_b, columns].copy()
    table["change"] = np.where(right_b[right_a != right_b], "mended", "broken")
    return table.sort_values(["change", "confidence_b", "image_id"], ascending=[True, False, True]).reset_index(
        drop=True
    )


def _verdict(names: tuple[str, str], right_a: NDArray[np.bool_], right_b: NDArray[np.bool_], p_value: float) -> str:
    """Say in one sentence who is better."""
    mended, broken = int((right_b & ~right_a).sum()), int((right_a & ~right_b).sum())
    points = abs(float(right_b.mean() - right_a.mean())) * 100
    better, worse = (names[1], names[0]) if mended >= broken else (names[0], names[1])
    facts = f"of {len(right_a)} images {names[1]} mends {mended} and breaks {broken} (McNemar's exact test, p = {p_value:.2g})"
    if p_value < SIGNIFICANT:
        return f"{better} is better than {worse} by {points:.1f} points of top-1: {facts}."
    return f"No clear difference between {names[0]} and {names[1]} in top-1 ({points:.1f} points): {facts}."
