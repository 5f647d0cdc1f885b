"""Champion or challenger: the decision, from both models' predictions on the same images.

The burden of proof is on the challenger. It becomes champion only if it is significantly better (McNemar's exact
test on the images that only one of them got right), or, if so configured, not worse by more than a margin (paired bootstrap);
and in either case only if no class loses more than a set amount. A challenger that is only equally good is thus
promoted with at most the error rate given by the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workflows.evaluation.comparison import Comparison, compare
from workflows.requests import PromotionRules
from workflows.targets.base import Target
from workflows.targets.judged import OPTIMISTIC_COMPARISON, HeldOut, counted_images
from workflows.targets.metrics import TOP1
from workflows.words import listed, signed


@dataclass(frozen=True)
class ClassDrop:
    """A class whose recall falls by more than allowed."""

    name: str
    support: int
    champion: float
    challenger: float
    counts: bool
    """Whether it has enough images to prevent the promotion."""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why.

    Attributes:
        promote: the decision.
        reason: the reason in a few sentences, with the figures.
        comparison: the full comparison (A is the champion, B the challenger).
        drops: classes that lose more recall than allowed.
    """

    promote: bool
    reason: str
    comparison: Comparison
    drops: tuple[ClassDrop, ...]

    def document(self) -> dict[str, Any]:
        """Return the decision as plain JSON types."""
        return {
            "promote": self.promote,
            "reason": self.reason,
            "drops": [vars(drop) for drop in self.drops],
            "comparison": self.comparison.document(),
        }


def decide(
    champion: pd.DataFrame,
    challenger: pd.DataFrame,
    rules: PromotionRules | None = None,
    *,
    names: tuple[str, str] = ("the champion", "the challenger"),
    known: Iterable[str] = (),
    target: Target | None = None,
    split: HeldOut = "test",
    resamples: int = 2000,
    seed: int = 0,
) -> Decision:
    """Decide from two tables of predictions for the same images.

    Args:
        champion: predictions of the model in use; see :mod:`workflows.evaluation.predictions`.
        challenger: predictions of the model that may replace it.
        rules: the rules for promotion.
        names: of the two, for the reason.
        known: the classes that they know, if more than those predicted.
        target: what their labels are; None for the default.
        split: which images of the tables; validation images also chose a checkpoint, which the reason says.
        resamples: draws of the paired bootstrap.
        seed: seed of the draws.

    Raises:
        RunError: the two have no image in common.
    """
    rules = rules or PromotionRules()
    comparison = compare(
        champion, challenger, split, names=names, known=known, target=target, resamples=resamples, seed=seed
    )
    drops = class_drops(comparison, rules)
    shown, why = _evidence(comparison, rules)
    vetoes = [drop for drop in drops if drop.counts]
    reason = f"{why} {'But' if shown else 'And'} {_drops_in_words(vetoes, rules)}" if vetoes else why
    return Decision(shown and not vetoes, reason.strip(), comparison, tuple(drops))


def class_drops(comparison: Comparison, rules: PromotionRules) -> list[ClassDrop]:
    """Return the classes whose recall falls by more than `class_drop`, the worst first."""
    table = comparison.classes
    fallen = table[table["difference"] < -rules.class_drop - 1e-9].sort_values("difference")
    return [
        ClassDrop(str(name), int(support), float(a), float(b), int(support) >= rules.class_support)
        for name, support, a, b in fallen[["class", "support", "recall_a", "recall_b"]].itertuples(index=False)
    ]


def _evidence(comparison: Comparison, rules: PromotionRules) -> tuple[bool, str]:
    """Return whether the challenger meets the overall requirement, and the evidence as text."""
    top1 = comparison.metrics.set_index("metric").to_dict("index")[TOP1.name]
    champion, challenger = comparison.names
    mended = int((comparison.changed["change"] == "mended").sum())
    broken = int((comparison.changed["change"] == "broken").sum())
    facts = (
        f"On the same {counted_images(comparison.images, comparison.split)} {challenger} has a {TOP1.title} of {top1['b']:.1%}, {champion} "
        f"of {top1['a']:.1%} (difference {signed(100 * top1['difference'])} points, 95 % interval "
        f"{signed(100 * top1['low'])} to {signed(100 * top1['high'])}); {mended} images are right now that were wrong, "
        f"{broken} wrong that were right (McNemar's exact test: p = {comparison.p_value:.2g})."
    )
    caution = f" {OPTIMISTIC_COMPARISON}" if comparison.split == "val" else ""
    if mended == broken == 0:
        return False, f"{facts} Both get the same images right: there is no improvement.{caution}"
    if rules.require == "better":
        significant = comparison.p_value < rules.level
        shown = mended > broken and significant
        verdict = f"The difference is not significant (level {rules.level:g})."
        if significant:
            verdict = "It is significantly better." if shown else "It is significantly worse."
    else:
        shown = float(top1["low"]) > -rules.margin
        margin = f"within {100 * rules.margin:g} points"
        verdict = f"It is {margin} of {champion}." if shown else f"It is not certain to be {margin} of {champion}."
    return shown, f"{facts} {verdict}{caution}"


def _drops_in_words(drops: Sequence[ClassDrop], rules: PromotionRules) -> str:
    named = (f"{drop.name} ({drop.champion:.0%} to {drop.challenger:.0%})" for drop in drops)
    return f"recall falls by more than {rules.class_drop:.0%} in: {listed(named, full='`drops` of the decision')}."
