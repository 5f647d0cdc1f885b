"""Which labels of a data set are probably wrong, judged by answers that never saw the label.

A network that was trained on a wrong label may have memorised it, and then it agrees. Here every image is answered by a
linear classifier that was fitted on the other images only (k-fold cross-validation), on features of a network that
has seen none of the labels. A second round leaves out what the first one doubted, so that wrong labels teach nobody.

On 3,670 photographs of flowers with wrong labels planted at random, three seeds other than those that the limits were
chosen with (`python -m tests.benchmarks.suspects`): 5 % planted: 86-88 % of them are among the suspected, of which 67-71 %
were planted; 1-2 % planted: 84-92 %, and 34-50 %; none planted: 1.9 % of all are suspected. Of these 69, 16 show by eye
something else than their label says (a lake, a tea cup, another flower), so precision against the planted ones is a lower
bound. Mirror images of the photographs as further features changed nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflows.errors import DatasetError
from workflows.progress import Progress, silent
from workflows.targets.single_label.labels import predicted_codes
from workflows.words import listed

FOLDS = 5
COMPONENTS = 256
"""Of the features, that are kept: enough for ImageNet's, and a fit takes a second."""
REGULARISATION = 0.03
"""Inverse strength of the penalty, on features of unit variance overall: weak ones follow wrong labels, strong ones
see no classes. Between 0.003 and 0.03 hardly anything changes."""
DOUBTED = 0.9
"""Score from which the first round's doubt keeps an image from teaching in the second."""
REPEATS = 3
"""Divisions into folds that the second round averages: a single one raises a few false alarms more by chance."""
SUSPECTED = 0.91
"""Score from which a label is suspected. Confident learning (Northcutt et al. 2021; `cleanlab` 2.9) was tried on the same
answers: its filters lie on or below the curve of recall and precision that this score has (5 % planted: 0.86-0.92 at
0.59-0.66), and where nearly all is clear they name fewer than are wrong. Nearest neighbours, alone or averaged with these
answers, were no better at 2 % planted."""
LEAST_SKILL = 0.5
"""How far the answers must lie from guessing (0) to perfect (1), in balanced accuracy, for their doubt to count."""

FEW = 10
"""Images (groups of look-alikes count as one) below which the doubts about a class rest on very little."""
OVERLAP = 0.15
"""Share of the images of two classes that the answers confuse with each other, from which the two are named."""

COLUMNS = ["image_id", "path", "split", "label", "suggested", "score", "suspected"]


@dataclass(frozen=True)
class Overlap:
    """Two classes that the answers confuse, so that doubts between them are weak.

    Attributes:
        share: how many of the images of both are answered as the other one.
    """

    one: str
    other: str
    share: float


@dataclass(frozen=True)
class LabelCheck:
    """What a check of the labels found.

    Attributes:
        table: the images whose label is believed less than another class; :data:`COLUMNS`. `score` in [0.5, 1] is the
            belief in `suggested` as a share of the belief in both; suspected ones first, then by score.
        images: how many were judged.
        accuracy: balanced accuracy of the cross-validated answers against the labels as they are.
        blind: why the check could not see, in words; "" = it could. Nothing is suspected then.
        left_out: classes that can't be judged, because they have a single image (or group of images).
        few: classes that are judged, but from fewer than :data:`FEW` images.
        overlaps: pairs of classes that the answers confuse, the worst first.
    """

    table: pd.DataFrame
    images: int
    accuracy: float
    blind: str
    left_out: tuple[str, ...]
    few: tuple[str, ...] = ()
    overlaps: tuple[Overlap, ...] = ()


def check_labels(
    images: pd.DataFrame, features: NDArray[np.float32], *, seed: int = 0, progress: Progress = silent
) -> LabelCheck:
    """Judge the label of every image by cross-validation.

    Args:
        images: `image_id`, `path`, `split`, `label`, and `together`: the same for images that must not judge one
            another (exact and near copies, groups), which would vouch for each other's wrong label.
        features: [n, d], a row for each image, of a network that was not trained on these labels.
        seed: of the folds.
        progress: called after each fit, as stage `check labels`.

    Raises:
        DatasetError: fewer than two classes can be judged.
    """
    units = images.groupby("label")["together"].nunique()
    left_out = tuple(sorted(str(label) for label in units.index[units < 2]))
    judged = (~images["label"].isin(left_out)).to_numpy()
    rows = images[judged].reset_index(drop=True)
    classes, codes = np.unique(rows["label"].astype(str).to_numpy(), return_inverse=True)
    if len(classes) < 2:
        raise DatasetError(
            "The labels can't be judged: fewer than two classes have two images that differ.",
            "Add images, or look at the labels by hand.",
        )
    compact = _compact(features[judged], seed)
    folds = int(min(FOLDS, units.max()))
    rounds = _Rounds(compact, codes, rows["together"].to_numpy(), folds, progress)
    first = rounds.answers(np.ones(len(codes), bool), seed)
    small = (units.reindex(list(classes)) < FEW).to_numpy()
    teachers = _teachers(_score(first, codes), codes, small)
    repeats = [rounds.answers(teachers, seed + 1 + number) for number in range(REPEATS)]
    answers = np.mean(repeats, axis=0)
    accuracy = _balanced_accuracy(answers, codes)
    blind = _blindness(accuracy, len(classes))
    score = _score(answers, codes)
    suspected = (score >= SUSPECTED) & (not blind)
    rival = answers.copy()
    rival[np.arange(len(codes)), codes] = -1.0
    table = rows.assign(suggested=classes[predicted_codes(rival)], score=score, suspected=suspected)
    table = table[table["score"] > 0.5]
    table = table.sort_values(["suspected", "score", "path"], ascending=[False, False, True])
    few = tuple(sorted(str(label) for label in units.index[(units >= 2) & (units < FEW)]))
    table = table[COLUMNS].reset_index(drop=True)
    return LabelCheck(table, len(codes), accuracy, blind, left_out, few, _overlaps(answers, codes, classes))


def _compact(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return the features' main directions, scaled to unit variance overall."""
    from sklearn.decomposition import PCA

    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    components = min(COMPONENTS, *unit.shape)
    compact = PCA(components, random_state=seed, svd_solver="covariance_eigh").fit_transform(unit)
    return np.asarray(compact / max(float(compact.std()), 1e-12), np.float32)


class _Rounds:
    """Cross-validation, as often as it is asked for."""

    def __init__(
        self,
        features: NDArray[np.float32],
        codes: NDArray[np.intp],
        together: NDArray[np.object_],
        folds: int,
        progress: Progress,
    ) -> None:
        self._features, self._codes, self._together = features, codes, together
        self._folds, self._progress = folds, progress
        self._fits = 0

    def answers(self, teaches: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
        """Return [n, classes]: for each image the probabilities of a classifier fitted without it.

        `teaches`: the images that classifiers may be fitted on.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedGroupKFold

        codes = self._codes
        found = np.zeros((len(codes), int(codes.max()) + 1))
        folds = StratifiedGroupKFold(self._folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():  # classes of fewer images than folds are expected
            warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
            parts = list(folds.split(self._features, codes, self._together))
        for train, held_out in parts:
            train = train[teaches[train]]
            taught = np.unique(codes[train])
            if len(taught) > 1:
                model = LogisticRegression(C=REGULARISATION, max_iter=300).fit(self._features[train], codes[train])
                found[np.ix_(held_out, taught)] = model.predict_proba(self._features[held_out])
            unknown = held_out if len(taught) < 2 else held_out[~np.isin(codes[held_out], taught)]
            found[unknown, codes[unknown]] = 1.0  # a class of which no example was left: nothing speaks against it
            self._fits += 1
            self._progress("check labels", self._fits, (1 + REPEATS) * self._folds)
        return found


def _score(answers: NDArray[np.float64], codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the belief in the best other class as a share of the belief in it and the label."""
    own = answers[np.arange(len(codes)), codes]
    others = answers.copy()
    others[np.arange(len(codes)), codes] = -1.0
    rival = others.max(axis=1)
    return rival / np.maximum(rival + own, np.finfo(np.float64).tiny)


def _teachers(score: NDArray[np.float64], codes: NDArray[np.intp], small: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which images teach in the second round; a class that is small, or doubted as a whole, teaches as a whole."""
    teaches = score < DOUBTED
    kept = np.bincount(codes, teaches) / np.bincount(codes)
    return teaches | (small | (kept < 0.5))[codes]


def _balanced_accuracy(answers: NDArray[np.float64], codes: NDArray[np.intp]) -> float:
    right = predicted_codes(answers) == codes
    return float((np.bincount(codes, right) / np.bincount(codes)).mean())


def _overlaps(
    answers: NDArray[np.float64], codes: NDArray[np.intp], classes: NDArray[np.object_]
) -> tuple[Overlap, ...]:
    confused = np.zeros((len(classes), len(classes)))
    np.add.at(confused, (codes, predicted_codes(answers)), 1)
    sizes = confused.sum(axis=1)
    shares = (confused + confused.T) / (sizes[:, None] + sizes)
    pairs = zip(*np.nonzero(np.triu(shares >= OVERLAP, k=1)), strict=True)
    found = [Overlap(str(classes[one]), str(classes[other]), float(shares[one, other])) for one, other in pairs]
    return tuple(sorted(found, key=lambda each: -each.share))


def _blindness(accuracy: float, classes: int) -> str:
    guessing = 1 / classes
    if (accuracy - guessing) / (1 - guessing) >= LEAST_SKILL:
        return ""
    return (
        f"These features tell the classes apart in {accuracy:.0%} of cases only (guessing: {guessing:.0%}), too few to "
        "doubt a label by them."
    )


def summary(check: LabelCheck) -> Sequence[str]:
    """Return what a check found, in sentences."""
    found = int(check.table["suspected"].sum())
    if check.blind:
        return [f"{check.images:,} labels can't be judged. {check.blind}"]
    return [f"{check.images:,} labels judged; {found:,} are probably wrong."]


def limits(check: LabelCheck, full: str) -> Sequence[str]:
    """Return what a check could not see, in sentences: what it does not list may still be wrong.

    Args:
        full: where a reader finds the whole of a list that is shortened.
    """
    lines = []
    if check.left_out:
        lines.append(f"Not judged, with a single image each: {listed(check.left_out, full=full)}.")
    if check.few:
        lines.append(f"Judged from fewer than {FEW} images each, so hardly at all: {listed(check.few, full=full)}.")
    if check.overlaps and not check.blind:
        pairs = [f"{each.one} and {each.other} ({each.share:.0%})" for each in check.overlaps]
        lines.append(
            f"The features confuse some classes, so look twice at labels between them: {listed(pairs, full=full)}."
        )
    lines.append(
        "An error that repeats throughout a class is learnt like any other label and not found; neither is a missing "
        "class: an image that belongs to none of them is at best suspected of belonging to another."
    )
    return lines
