"""The shortcut check: can the label be predicted without looking at what the image shows?

A network may learn such a shortcut instead of the object: one that was trained to detect tanks is said to have
learnt cloudy and sunny days. Small classifiers predict the label from trivial facts of each image only; images that
are bound together (copies, groups) are never on both sides of the cross-validation. Their success is
measured for each class by the area under the ROC curve against all other classes (0.5 = chance, 1 = always), because
in a set of many classes, a single one that is given away hardly changes the accuracy.

How it is rated depends on the facts. The file (size, format, camera, …) should be unrelated to the label. Light and
sharpness should be weakly related, but classes may really differ: on real photos of flowers and insects their AUC is at most 0.76,
and 0.96 once one class is darkened by a fifth. Colour is often part of the content (0.80 there), so it is reported and
hardly ever a warning; so are light and sharpness where all images are drawings on black or white, whose mean brightness
is the amount of ink. File names are reported and never a warning: no network sees them, and many tools write the class there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workflows.data.audit.findings import AuditInput, Check, CheckResult, Finding, Severity
from workflows.data.audit.trivial import FACTS, Family, TrivialFact, bound_together, trivial_table

MAX_IMAGES = 5_000
MAX_CLASSES = 100
MIN_IMAGES = 20
"""Images that a class needs to be included."""

FOLDS = 5
TREES = 60
SEED = 0
RESAMPLES = 2_000

DRAWN = 0.25
"""Share of black and white in the median image of a class of drawings; photos have less than 0.1."""

SUSPICIOUS = 0.90
CERTAIN = 0.98

# Thresholds of each severity for the lower bound of the AUC of the class given away most; None = never.
_ERROR: dict[Family, float | None] = {"file": CERTAIN, "light": None, "colour": None, "name": None}
_WARNING: dict[Family, float | None] = {"file": SUSPICIOUS, "light": SUSPICIOUS, "colour": CERTAIN, "name": None}

_FAMILY_WORDS: dict[Family, str] = {
    "file": "size, shape, format and origin of the files",
    "light": "brightness, contrast and sharpness",
    "colour": "average colour and saturation together",
    "name": "file names",
}


@dataclass(frozen=True)
class Guess:
    """How well the label was predicted from some facts, on images that the classifier had not seen.

    Attributes:
        accuracy: balanced accuracy, the mean over classes of the recall.
        interval: its 95 % bootstrap interval.
        label: the class that is given away most.
        auc: its area under the ROC curve against all others.
        low: lower end of that area's one-sided 95 % interval.
    """

    accuracy: float
    interval: tuple[float, float]
    label: str
    auc: float
    low: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, rounded."""
        low, high = self.interval
        interval = [round(low, 4), round(high, 4)]
        figures = {"accuracy": round(self.accuracy, 4), "interval": interval, "auc": round(self.auc, 4)}
        return {**figures, "auc_low": round(self.low, 4), "label": self.label}


@dataclass(frozen=True)
class ShortcutCheck:
    """The outcome of the check.

    Attributes:
        images: number of images used.
        chance: accuracy of random guessing.
        everything: prediction from all facts together, without the file names.
        families: prediction from the facts of one kind.
        facts: prediction from a single fact, by its name.
        drawings: whether the images of all classes are mostly black or white background.
    """

    images: int
    chance: float
    everything: Guess
    families: dict[Family, Guess] = field(default_factory=dict)
    facts: dict[str, Guess] = field(default_factory=dict)
    drawings: bool = False

    def worst(self, family: Family) -> Guess:
        """Return the best prediction from facts of one kind: from all together, or from a single one."""
        single = [self.facts[fact.name] for fact in FACTS if fact.family == family]
        return max([self.families[family], *single], key=lambda guess: guess.low)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "images": self.images,
            "chance": round(self.chance, 4),
            "drawings": self.drawings,
            "everything": self.everything.to_dict(),
            "families": {name: guess.to_dict() for name, guess in self.families.items()},
            "facts": {name: guess.to_dict() for name, guess in self.facts.items()},
        }


def check_shortcut(given: AuditInput) -> CheckResult:
    """Find whether trivial facts give labels away, and which."""
    outcome = shortcut_check(given.labelled)
    if outcome is None:
        return CheckResult()
    family, severity = _verdict(outcome)
    if severity is None and outcome.everything.interval[0] <= outcome.chance:
        return CheckResult()
    return CheckResult((_finding(outcome, family, severity, given.labelled),))


def shortcut_check(images: pd.DataFrame) -> ShortcutCheck | None:
    """Predict the labels of images from trivial facts.

    Args:
        images: labelled rows with their measured facts, see :class:`AuditInput`.

    Returns:
        None if there are fewer than two classes of at least `MIN_IMAGES` distinct images.
    """
    sample = _sample(images)
    labels, classes = pd.factorize(sample["label"], sort=True)
    if len(classes) < 2:
        return None
    table, folds = trivial_table(sample), _folds(labels, bound_together(sample))
    columns = {fact.name: list(fact.columns) for fact in FACTS}
    families = {
        family: [column for fact in FACTS if fact.family == family for column in fact.columns]
        for family in _FAMILY_WORDS
    }
    shown = [column for family, names in families.items() if family != "name" for column in names]
    names = [str(name) for name in classes]

    def guess(chosen: Sequence[str], trees: int) -> Guess:
        return _guess(table[list(chosen)].to_numpy(np.float32), labels, names, folds, trees)

    return ShortcutCheck(
        images=len(sample),
        chance=1 / len(classes),
        everything=guess(shown, TREES),
        families={family: guess(chosen, TREES) for family, chosen in families.items()},
        facts={name: guess(chosen, 1) for name, chosen in columns.items()},
        drawings=_are_drawings(sample),
    )


def _are_drawings(images: pd.DataFrame) -> bool:
    ground = images["dark_share"] + images["bright_share"]
    return bool(ground.groupby(images["label"]).median().min() >= DRAWN)


def _sample(images: pd.DataFrame) -> pd.DataFrame:
    """Return at most `MAX_IMAGES` images of at most `MAX_CLASSES` classes, in equal numbers as far as possible."""
    sizes = images["label"].value_counts()
    sizes = sizes[sizes >= MIN_IMAGES].sort_index().sort_values(ascending=False, kind="stable").head(MAX_CLASSES)
    chosen = images[images["label"].isin(sizes.index)]
    if len(chosen) <= MAX_IMAGES:
        return chosen.reset_index(drop=True)
    share = MAX_IMAGES // len(sizes)
    shuffled = chosen.sample(frac=1.0, random_state=SEED)
    return shuffled.groupby("label").head(share).sort_index().reset_index(drop=True)


def _folds(labels: np.ndarray, groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    return list(splitter.split(np.zeros(len(labels)), labels, groups))


def _guess(
    facts: np.ndarray, labels: np.ndarray, names: Sequence[str], folds: list[tuple[np.ndarray, np.ndarray]], trees: int
) -> Guess:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.tree import DecisionTreeClassifier

    common = {"min_samples_leaf": 5, "class_weight": "balanced", "random_state": SEED}
    chances = np.zeros((len(labels), len(names)))
    if (facts != facts[0]).any():
        for seen, unseen in folds:
            model = (
                DecisionTreeClassifier(max_leaf_nodes=32, **common)
                if trees == 1
                else ExtraTreesClassifier(trees, **common)
            ).fit(facts[seen], labels[seen])
            chances[np.ix_(unseen, model.classes_)] = model.predict_proba(facts[unseen])
    counts = np.bincount(labels, minlength=len(names))
    tied = chances == chances.max(axis=1, keepdims=True)
    hits = (tied / tied.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]  # a tie is a random choice
    recalls = np.bincount(labels, weights=hits, minlength=len(names)) / counts
    areas, lows = _areas(chances, labels, counts)
    most = int(lows.argmax())
    return Guess(float(recalls.mean()), _interval(recalls, counts), names[most], float(areas[most]), float(lows[most]))


def _areas(chances: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each class's AUC against all others, and the lower end of its one-sided 95 % interval.

    Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982).
    """
    from scipy.stats import rankdata

    ranks = rankdata(chances, axis=0)
    others = len(labels) - counts
    sums = np.array([ranks[labels == index, index].sum() for index in range(len(counts))])
    area = (sums - counts * (counts + 1) / 2) / (counts * others)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (counts - 1) * (one - area**2) + (others - 1) * (two - area**2)
    # an area of exactly 1 has no spread by the formula; n perfect predictions are bounded by 0.05^(1/n)
    low = np.minimum(area - 1.645 * np.sqrt(spread / (counts * others)), 0.05 ** (1 / counts))
    return area, low


def _interval(recalls: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean recall; drawing n images with replacement is a binomial."""
    generator = np.random.default_rng(SEED)
    drawn = generator.binomial(counts, np.clip(recalls, 0, 1), (RESAMPLES, len(counts))) / counts
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _verdict(outcome: ShortcutCheck) -> tuple[Family, Severity | None]:
    """Return the kind of facts that gives most away, and its severity (None: as in ordinary photos)."""
    verdicts: tuple[tuple[Severity, dict[Family, float | None]], ...] = (("error", _ERROR), ("warning", _WARNING))
    lows = {family: outcome.worst(family).low for family in outcome.families}
    for severity, bounds in verdicts:
        guilty = [family for family, low in lows.items() if (bound := bounds[family]) is not None and low >= bound]
        if outcome.drawings:
            guilty = [family for family in guilty if family != "light"]
        if guilty:
            return max(guilty, key=lambda family: lows[family]), severity
    return max((family for family in lows if family != "name"), key=lambda family: lows[family]), None


def _finding(outcome: ShortcutCheck, family: Family, severity: Severity | None, images: pd.DataFrame) -> Finding:
    guess, everything = outcome.worst(family), outcome.everything
    fact = max((fact for fact in FACTS if fact.family == family), key=lambda fact: outcome.facts[fact.name].low)
    classes = sorted(set(images["label"]))
    given_away = f"class {guess.label!r} away" if len(classes) > 2 else " and ".join(map(repr, classes)) + " away"
    concerned = images["image_id"] if len(classes) == 2 else images.loc[images["label"] == guess.label, "image_id"]
    mild = f"{everything.accuracy:.0%} of the labels can be guessed without looking at the subject ({outcome.chance:.0%} by chance)"
    return Finding(
        key="tank",
        severity=severity or "info",
        title=f"{_capital(fact.words)} gives {given_away}" if severity else mild,
        explanation=_figures(outcome, family, fact),
        advice=_advice(severity, fact.words, guess.label, outcome.drawings),
        image_ids=tuple(concerned) if severity else (),
        score=round(guess.low, 4),
        threshold=_ERROR[family] if severity == "error" else _WARNING[family],
        facts={**outcome.to_dict(), "fact": fact.name, "family": family, "label": guess.label},
    )


def _figures(outcome: ShortcutCheck, family: Family, fact: TrivialFact) -> str:
    everything, joint, single = outcome.everything, outcome.families[family], outcome.facts[fact.name]
    low, high = everything.interval
    text = (
        "A simple classifier predicted the class from outward facts alone (file, light, colour), without seeing what "
        f"the photos show. It is right for {everything.accuracy:.0%} of photos that are new to it (95 % interval: {low:.0%} to "
        f"{high:.0%}, all classes weighted equally), where random guessing would be right for {outcome.chance:.0%}. "
        f"{strongest(family, joint, fact, single)}"
    )
    bound = _WARNING[family]
    if bound is not None and not (outcome.drawings and family == "light"):
        text += f" Where that is at least {100 * bound:.0f} of 100 (lower 95 % bound), it counts as a warning."
    names = outcome.families["name"]
    if names.interval[0] > outcome.chance:
        text += f" From the file names {names.accuracy:.0%} can be predicted; the model never sees them, so they do not count."
    return text


def strongest(family: Family, joint: Guess, fact: TrivialFact, single: Guess) -> str:
    """Say what gives most away: facts of one kind together, or one of them alone, whichever tells more.

    A single fact can tell more than all together: few images are lost among many facts.
    """
    alone = single.low >= joint.low
    guess = single if alone else joint
    what = f"{_capital(fact.words)} gives" if alone else f"{_capital(_FAMILY_WORDS[family])} give"
    it = "it shows" if alone else "they show"
    text = (
        f"{what} the most away: given a photo of {guess.label!r} and one of another class, {it} which is which in "
        f"{100 * guess.auc:.0f} of 100 cases (chance: 50)."
    )
    return (
        text
        if alone
        else f"{text} Of them, {fact.words} tells the most; by itself, {100 * single.auc:.0f} of 100 for {single.label!r}."
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _advice(severity: Severity | None, words: str, label: str, drawings: bool) -> str:
    if severity is None and drawings:
        return (
            "Nothing to do: on a plain background, brightness and contrast are the amount of ink, which is part of what the "
            "photos show. A model that has learnt the subject is right far more often than this."
        )
    if severity is None:
        return (
            "Nothing to do: real photos differ this much. A model that has learnt the subject is right far more often than "
            "this."
        )
    return (
        f"The model may learn {words} instead of what the photos show, and then fail on new ones. Add photos of "
        f"{label!r} and of the other classes that were taken in the same way (same camera, place, light and processing). If the "
        f"classes differ in {words} by nature, there is nothing to do."
    )


CHECKS: tuple[Check, ...] = (check_shortcut,)
