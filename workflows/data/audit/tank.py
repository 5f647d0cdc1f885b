"""The tank test: can the label be guessed without looking at what the photo shows?

Named after the tale of a network that was to tell photos with tanks from photos without, and told cloudy days
from sunny ones. Small classifiers get nothing but trivial facts of each photo and must guess the label; photos that
are bound together (copies, groups) are never on both sides of the cross-validation. How much they can tell is
measured for each class by the area under the ROC curve against all other classes (0.5 = chance, 1 = always), because
in a set of many classes one that is given away hardly moves the accuracy.

What it means depends on the facts. The file (size, format, camera, …) should know nothing of the label. Light and
sharpness should know little, but do differ honestly: on real photos of flowers and insects their AUC is at most 0.76,
and 0.96 once one class is darkened by a fifth. Colour is content as often as not (0.80 there), so it is told and
hardly ever blamed; so are light and sharpness where all pictures are drawings on black or white, whose mean brightness
is the amount of ink. File names are told and never blamed: no network sees them, and many tools write the class there.
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
"""Photos that a class needs to take part."""

FOLDS = 5
TREES = 60
SEED = 0
RESAMPLES = 2_000

DRAWN = 0.25
"""Share of black and white in the median picture of a drawn class; photos have less than 0.1."""

SUSPICIOUS = 0.90
CERTAIN = 0.98

# Where the verdict begins, as lower bound of the AUC of the class given away most; None = never that bad.
_ERROR: dict[Family, float | None] = {"file": CERTAIN, "light": None, "colour": None, "name": None}
_WARNING: dict[Family, float | None] = {"file": SUSPICIOUS, "light": SUSPICIOUS, "colour": CERTAIN, "name": None}

_FAMILY_WORDS: dict[Family, str] = {
    "file": "size, shape, format and origin of the files",
    "light": "brightness, contrast and sharpness",
    "colour": "average colour",
    "name": "file names",
}


@dataclass(frozen=True)
class Guess:
    """How well the label was guessed from some facts, on photos that the guesser had not seen.

    Attributes:
        accuracy: balanced accuracy, the mean over classes of the share guessed right.
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
class TankTest:
    """The outcome of the test.

    Attributes:
        images: number of photos that were looked at.
        chance: accuracy of guessing blindly.
        everything: guesses from all facts of the photos together, without the file names.
        families: guesses from the facts of one kind.
        facts: guesses from a single fact, by its name.
        drawings: whether the pictures of all classes are mostly black or white ground.
    """

    images: int
    chance: float
    everything: Guess
    families: dict[Family, Guess] = field(default_factory=dict)
    facts: dict[str, Guess] = field(default_factory=dict)
    drawings: bool = False

    def worst(self, family: Family) -> Guess:
        """Return the best guess from facts of one kind: from all together, or from a single one."""
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


def check_tank(given: AuditInput) -> CheckResult:
    """Find whether trivial facts give labels away, and which."""
    outcome = tank_test(given.labelled)
    if outcome is None:
        return CheckResult()
    family, severity = _verdict(outcome)
    if severity is None and outcome.everything.interval[0] <= outcome.chance:
        return CheckResult()
    return CheckResult((_finding(outcome, family, severity, given.labelled),))


def tank_test(images: pd.DataFrame) -> TankTest | None:
    """Guess the labels of photos from trivial facts.

    Args:
        images: labelled rows with their measured facts, see :class:`AuditInput`.

    Returns:
        None where there are not two classes of at least `MIN_IMAGES` photos that differ.
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

    return TankTest(
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
    """Return at most `MAX_IMAGES` photos of at most `MAX_CLASSES` classes, in equal numbers as far as they go."""
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
    hits = (tied / tied.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]  # a tie is a blind choice
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
    # an area of exactly 1 has no spread by the formula; what n perfect photos can show is bounded by 0.05^(1/n)
    low = np.minimum(area - 1.645 * np.sqrt(spread / (counts * others)), 0.05 ** (1 / counts))
    return area, low


def _interval(recalls: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean recall; drawing n photos with repetition is a binomial."""
    generator = np.random.default_rng(SEED)
    drawn = generator.binomial(counts, np.clip(recalls, 0, 1), (RESAMPLES, len(counts))) / counts
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _verdict(outcome: TankTest) -> tuple[Family, Severity | None]:
    """Return the kind of facts that is worst, and how bad that is (None: as on honest photos)."""
    verdicts: tuple[tuple[Severity, dict[Family, float | None]], ...] = (("error", _ERROR), ("warning", _WARNING))
    lows = {family: outcome.worst(family).low for family in outcome.families}
    for severity, bounds in verdicts:
        guilty = [family for family, low in lows.items() if (bound := bounds[family]) is not None and low >= bound]
        if outcome.drawings:
            guilty = [family for family in guilty if family != "light"]
        if guilty:
            return max(guilty, key=lambda family: lows[family]), severity
    return max((family for family in lows if family != "name"), key=lambda family: lows[family]), None


def _finding(outcome: TankTest, family: Family, severity: Severity | None, images: pd.DataFrame) -> Finding:
    guess, everything = outcome.worst(family), outcome.everything
    fact = max((fact for fact in FACTS if fact.family == family), key=lambda fact: outcome.facts[fact.name].low)
    classes = sorted(set(images["label"]))
    given_away = f"class {guess.label!r} away" if len(classes) > 2 else " and ".join(map(repr, classes)) + " away"
    concerned = images["image_id"] if len(classes) == 2 else images.loc[images["label"] == guess.label, "image_id"]
    mild = f"{everything.accuracy:.0%} of the labels can be guessed without looking at the subject ({outcome.chance:.0%} by luck)"
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


def _figures(outcome: TankTest, family: Family, fact: TrivialFact) -> str:
    everything, joint, single = outcome.everything, outcome.families[family], outcome.facts[fact.name]
    low, high = everything.interval
    text = (
        "We let a simple guesser name the class of photos from outward signs alone (file, light, colour), blind to what "
        f"they show. It is right for {everything.accuracy:.0%} of photos that are new to it (with 95 % certainty between {low:.0%} and "
        f"{high:.0%}, all classes counting alike), where rolling dice would be right for {outcome.chance:.0%}. "
        f"{_capital(_FAMILY_WORDS[family])} {'gives' if family == 'colour' else 'give'} most away: given a photo of "
        f"{joint.label!r} and one of another class, {'it tells' if family == 'colour' else 'they tell'} which is which in "
        f"{100 * joint.auc:.0f} of 100 cases (luck: 50); {fact.words} alone does so for {single.label!r} in "
        f"{100 * single.auc:.0f}."
    )
    bound = _WARNING[family]
    if bound is not None and not (outcome.drawings and family == "light"):
        text += f" Where that is at least {100 * bound:.0f} of 100 by a cautious reckoning, it counts as a warning."
    names = outcome.families["name"]
    if names.interval[0] > outcome.chance:
        text += f" From the file names {names.accuracy:.0%} can be guessed; the model never sees them, so they do not count."
    return text


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _advice(severity: Severity | None, words: str, label: str, drawings: bool) -> str:
    if severity is None and drawings:
        return (
            "Nothing to do: on an even ground, brightness and contrast are the amount of ink, which belongs to what the "
            "pictures show. A model that has learnt the subject is right far more often than this."
        )
    if severity is None:
        return (
            "Nothing to do: real photos differ this much. A model that has learnt the subject is right far more often than "
            "this."
        )
    return (
        f"The model may learn {words} instead of what the photos show, and then fail on new ones. Add photos of "
        f"{label!r} and of the other classes that were taken alike (same camera, place, light and processing). If the "
        f"classes differ in {words} by their nature, all is well."
    )


CHECKS: tuple[Check, ...] = (check_tank,)
