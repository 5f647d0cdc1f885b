"""Champion or challenger: the decision, from both models' predictions on the same images.

The burden of proof lies with the challenger. It becomes champion only if it is better than by luck (McNemar's exact
test on the images that change sides), or, if asked so, at least surely not worse than by a margin (paired bootstrap);
and in either case only if no class loses more than a set amount. Two models that are equally good are thus told
apart from a better one with the error that the level allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from workflows.evaluation.comparison import Comparison, compare

Requirement = Literal["better", "not-worse"]


class PromotionRules(BaseModel):
    """What a challenger must show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    require: Requirement = Field(
        "better", description="`better`: more images right than luck explains; `not-worse`: surely within the margin."
    )
    level: float = Field(0.05, gt=0, lt=0.5, description="Level of McNemar's exact test (two-sided).")
    margin: float = Field(0.01, ge=0, lt=1, description="With `not-worse`: how much top-1 accuracy may be lost.")
    class_drop: float = Field(0.10, ge=0, le=1, description="How much recall no class may lose more than.")
    class_support: int = Field(10, ge=1, description="Classes with fewer test images can't veto; they are only named.")


@dataclass(frozen=True)
class ClassDrop:
    """A class whose recall falls by more than allowed."""

    name: str
    support: int
    champion: float
    challenger: float
    counts: bool
    """Whether it has enough images to forbid the promotion."""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why.

    Attributes:
        promote: the answer.
        reason: it in one or a few sentences, with the numbers.
        comparison: all that was found out (A is the champion, B the challenger).
        drops: classes that lose more recall than allowed.
    """

    promote: bool
    reason: str
    comparison: Comparison
    drops: tuple[ClassDrop, ...]

    def document(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
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
    resamples: int = 2000,
    seed: int = 0,
) -> Decision:
    """Decide from two predictions tables of the same images (all in split `test`).

    Args:
        champion: predictions of the model in use; see :mod:`workflows.evaluation.predictions`.
        challenger: predictions of the one that may replace it.
        rules: what the challenger must show.
        names: what to call the two.
        resamples: draws of the paired bootstrap.
        seed: seed of the draws.

    Raises:
        RunError: the two have no image in common.
    """
    rules = rules or PromotionRules()
    comparison = compare(champion, challenger, "test", names=names, resamples=resamples, seed=seed)
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
    """Return whether the challenger has shown what is required on the whole, and that in words."""
    top1 = comparison.metrics.set_index("metric").to_dict("index")["top1"]
    champion, challenger = comparison.names
    mended = int((comparison.changed["change"] == "mended").sum())
    broken = int((comparison.changed["change"] == "broken").sum())
    facts = (
        f"On the same {comparison.images} test images {challenger} has a top-1 accuracy of {top1['b']:.1%}, {champion} "
        f"of {top1['a']:.1%} (difference {100 * top1['difference']:+.1f} points, 95 % interval "
        f"{100 * top1['low']:+.1f} to {100 * top1['high']:+.1f}); {mended} images are right now that were wrong, "
        f"{broken} wrong that were right (McNemar's exact test: p = {comparison.p_value:.2g})."
    )
    if mended == broken == 0:
        return False, f"{facts} Both get the same images right: nothing is gained."
    if rules.require == "better":
        told_apart = comparison.p_value < rules.level
        shown = mended > broken and told_apart
        verdict = f"That is not surely better (level {rules.level:g})."
        if told_apart:
            verdict = "That is better than by luck." if shown else "That is worse, and not by bad luck."
    else:
        shown = float(top1["low"]) > -rules.margin
        asked = f"within {100 * rules.margin:g} points"
        verdict = f"That is surely {asked}." if shown else f"It is not sure that it is {asked} of {champion}."
    return shown, f"{facts} {verdict}"


def _drops_in_words(drops: Sequence[ClassDrop], rules: PromotionRules) -> str:
    named = ", ".join(f"{drop.name} ({drop.champion:.0%} to {drop.challenger:.0%})" for drop in drops[:5])
    more = f" and {len(drops) - 5} more" if len(drops) > 5 else ""
    return f"recall falls by more than {rules.class_drop:.0%} in: {named}{more}."
