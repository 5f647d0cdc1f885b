"""Which of two models is better, and how significant the difference is.

Both must have answered the same images: the differences are taken image by image, so that easy and hard
images, which both models share, do not blur them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflows.errors import RunError
from workflows.statistics import discordant_p, holm_adjusted, mcnemar_exact, resampled
from workflows.store.files import read_table
from workflows.store.run_folder import RunFolder
from workflows.targets.base import Target
from workflows.targets.judged import IMAGES, counted_images
from workflows.targets.metrics import TOP1, Metric
from workflows.targets.registry import target_named
from workflows.words import signed

# The usual significance level, used for every verdict.
SIGNIFICANT = 0.05


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
            bootstrap interval, 95 %), `better` ("a", "b" or "" where the interval contains 0).
        p_value: McNemar's exact test that both are right equally often.
        classes: One row per class with images: `class`, `support`, `recall_a`, `recall_b`, `difference`, `only_a`,
            `only_b` (images that one alone gets right), `p_value`, `p_adjusted` (Holm, over all classes),
            `better`.
        absent: Classes that the models know and that have no image here: they have no recall to compare, and
            the means over classes leave them out.
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
    absent: tuple[str, ...] = ()

    @property
    def winner(self) -> str:
        """Which model is better by more than chance, `a` or `b`; empty if neither is."""
        if self.p_value >= SIGNIFICANT or self.changed.empty:
            return ""
        mended = int((self.changed["change"] == "mended").sum())
        return "b" if 2 * mended > len(self.changed) else "a"

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
            "absent": list(self.absent),
        }


def compare(
    frame_a: pd.DataFrame,
    frame_b: pd.DataFrame,
    split: str = "test",
    *,
    names: tuple[str, str] = ("A", "B"),
    known: Iterable[str] = (),
    target: Target | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two predictions tables on the images of a split that both contain with the same label.

    Args:
        frame_a: Predictions of model A (the one in use).
        frame_b: Predictions of model B (the one that may replace it).
        split: Which images.
        names: What to call the two in the verdict.
        known: The classes that the models know, where that is more than was answered.
        target: What their labels are; None for the default.
        resamples: Draws of the paired bootstrap.
        seed: Seed of the draws.

    Raises:
        RunError: The two have no image of the split in common.
    """
    target = target or target_named()
    paired, left_out = _paired(frame_a, frame_b, split, target)
    right_a, right_b = paired["correct_a"].to_numpy(dtype=bool), paired["correct_b"].to_numpy(dtype=bool)
    p_value = mcnemar_exact(right_a, right_b)
    metrics = _metric_differences(paired, target, resamples, seed)
    return Comparison(
        split=split,
        names=names,
        images=len(paired),
        left_out=left_out,
        metrics=metrics,
        p_value=p_value,
        classes=_class_differences(paired),
        changed=_changed(paired),
        verdict=_verdict(names, counted_images(len(paired), split), right_a, right_b, metrics, p_value),
        absent=_absent(paired, known),
    )


def _paired(
    frame_a: pd.DataFrame, frame_b: pd.DataFrame, split: str, target: Target
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Join both tables on the images; count what has to be left out."""
    columns = [name for name in target.answer_columns if name != "split"]
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
    same = same.drop(columns=["label_b", "path_b"]).rename(columns={"label_a": "label", "path_a": "path"})
    return same.reset_index(drop=True), left_out


def left_out_words(found: Comparison, causes: Sequence[tuple[str, int]]) -> str:
    """Return how many images a comparison leaves out, and why; empty if it leaves none out.

    Args:
        causes: of :func:`left_out_causes`; without them, only what the predictions show is said.
    """
    total = sum(found.left_out.values())
    if not total:
        return ""
    if not causes:
        alone, moved = found.left_out["only_a"] + found.left_out["only_b"], found.left_out["relabelled"]
        causes = [("were predicted by only one of the two", alone), ("have another label in each", moved)]
    reasons = "; ".join(f"{number:,} {cause}" for cause, number in causes if number)
    return f"{total:,} {IMAGES.get(found.split, 'images')} left out: {reasons}."


def left_out_of_runs(found: Comparison, first: RunFolder, second: RunFolder) -> list[tuple[str, int]]:
    """Return :func:`left_out_causes` of a comparison of two runs; empty if none is left out or a list of images is gone."""
    if not any(found.left_out.values()) or not (first.records.is_file() and second.records.is_file()):
        return []
    columns = ["image_id", "split", "label"]
    tables = read_table(first.records, columns), read_table(second.records, columns)
    return left_out_causes(tables[0], tables[1], found.split, found.names)


def left_out_causes(
    records_a: pd.DataFrame, records_b: pd.DataFrame, split: str, names: tuple[str, str]
) -> list[tuple[str, int]]:
    """Return why images of a split can't be compared, in words, each with how many there are; the most frequent first.

    Args:
        records_a: the images of the first run: `image_id`, `split`, `label`.
        records_b: those of the second.
        split: the split that is compared.
        names: what to call the two.
    """
    both = records_a.merge(records_b, on="image_id", how="outer", suffixes=("_a", "_b"))[
        ["split_a", "split_b", "label_a", "label_b"]
    ].astype(object)
    causes: Counter[str] = Counter()
    for side, other, name in (("a", "b", names[1]), ("b", "a", names[0])):
        alone = both[(both[f"split_{side}"] == split) & (both[f"split_{other}"] != split)]
        where = alone[f"split_{other}"].where(alone[f"split_{other}"].notna(), "")
        for place, number in where.value_counts().items():
            causes[_cause(str(place), name)] += int(number)
    shared = both[(both["split_a"] == split) & (both["split_b"] == split)]
    causes["have another label in each"] = int((shared["label_a"] != shared["label_b"]).sum())
    return [(cause, number) for cause, number in causes.most_common() if number]


def _cause(place: str, name: str) -> str:
    if not place:
        return f"are not in the data of {name}"
    if place == "train":
        return f"were trained on by {name}"
    return f"are {IMAGES[place]} of {name}"


def _metric_differences(paired: pd.DataFrame, target: Target, resamples: int, seed: int) -> pd.DataFrame:
    """Difference of every metric with its paired bootstrap interval."""
    classes = sorted({str(name) for column in ("label", "predicted_a", "predicted_b") for name in paired[column]})
    a, b = (target.paired_answers(_side(paired, side), classes) for side in ("a", "b"))
    drawn = resampled(len(paired), resamples, seed)
    draws = np.array([b.take(rows).metrics() - a.take(rows).metrics() for rows in drawn])
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    values_a, values_b = a.metrics(), b.metrics()
    table = pd.DataFrame(
        {"metric": [metric.name for metric in target.compared], "a": values_a, "b": values_b}
        | {"difference": values_b - values_a, "low": low, "high": high}
    )
    table["better"] = [_better(metric, *bounds) for metric, *bounds in zip(target.compared, low, high, strict=True)]
    return table


def _side(paired: pd.DataFrame, side: str) -> pd.DataFrame:
    """Return the answers of one model under the names that they have in its own table."""
    return paired.rename(columns=lambda name: name.removesuffix(f"_{side}"))


def _better(metric: Metric, low: float, high: float) -> str:
    """Return which model is surely better by a metric, from the interval of B minus A."""
    rises, falls = low > 0, high < 0
    if not metric.better or not (rises or falls):
        return ""
    return "b" if rises == (metric.better == "more") else "a"


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


def _absent(paired: pd.DataFrame, known: Iterable[str]) -> tuple[str, ...]:
    """Return the classes that were known or answered, but have no image."""
    answered = {str(name) for side in ("a", "b") for name in paired[f"predicted_{side}"]}
    return tuple(sorted((answered | set(known)) - set(paired["label"].astype(str))))


def _changed(paired: pd.DataFrame) -> pd.DataFrame:
    """List the images that one model alone gets right."""
    right_a, right_b = paired["correct_a"].to_numpy(dtype=bool), paired["correct_b"].to_numpy(dtype=bool)
    columns = ["image_id", "path", "label", "predicted_a", "predicted_b", "confidence_a", "confidence_b"]
    table = paired.loc[right_a != right_b, columns].copy()
    table["change"] = np.where(right_b[right_a != right_b], "mended", "broken")
    return table.sort_values(["change", "confidence_b", "image_id"], ascending=[True, False, True]).reset_index(
        drop=True
    )


def _verdict(
    names: tuple[str, str],
    images: str,
    right_a: NDArray[np.bool_],
    right_b: NDArray[np.bool_],
    metrics: pd.DataFrame,
    p_value: float,
) -> str:
    """Say in one sentence who is better."""
    mended, broken = int((right_b & ~right_a).sum()), int((right_a & ~right_b).sum())
    top1 = metrics.set_index("metric").to_dict("index")[TOP1.name]
    # both ends as what the better one gains
    low, high = (top1["low"], top1["high"]) if mended >= broken else (-top1["high"], -top1["low"])
    points = f"{100 * abs(top1['difference']):.1f} points of top-1 (95 % interval {signed(100 * low)} to {signed(100 * high)})"
    better, worse = (names[1], names[0]) if mended >= broken else (names[0], names[1])
    facts = (
        f"of {images} {names[1]} fixes {mended} errors and makes {broken} new ones "
        f"(McNemar's exact test, p = {p_value:.2g})"
    )
    if p_value < SIGNIFICANT:
        return f"{better} is better than {worse} by {points}: {facts}."
    if mended == broken:
        return f"No difference between {names[0]} and {names[1]} in top-1: {facts}."
    return f"No clear difference between {names[0]} and {names[1]}; {better} is ahead by {points}: {facts}."
