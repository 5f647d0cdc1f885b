"""What the rest of the program knows of a target: everything that depends on what a label is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from workflows.targets.metrics import Metric

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import ArrayLike, NDArray

    from workflows.progress import Progress
    from workflows.targets.calibration import Calibration
    from workflows.targets.single_label.suspects import LabelCheck


Weighting = Literal["none", "sqrt", "balanced"]
"""How much each class counts in a loss: the same, by the inverse root of its frequency, or by the inverse."""


class Loss(Protocol):
    """What a network is trained to make small."""

    def __call__(self, logits: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch. `logits`: float [n, outputs]; `encoded`: see :meth:`Target.encode`."""


class PairedAnswers(Protocol):
    """The answers of one model for some images, from which its metrics can be taken again and again."""

    def take(self, rows: NDArray[np.int64]) -> PairedAnswers:
        """Return the answers for these rows, which may repeat."""

    def metrics(self) -> NDArray[np.float64]:
        """Return the values of the target's `compared` metrics, in their order."""


class Target(ABC):
    """What a label is, at the border of data, training and evaluation.

    n is always the number of images, c that of classes.
    """

    name: ClassVar[str]
    """In data sets, runs and models."""
    title: ClassVar[str]
    """For people."""
    metrics: ClassVar[tuple[Metric, ...]]
    """What is measured at every evaluation step and, for each split, in the end."""
    headline: ClassVar[Metric]
    """The one of them that is measured on training images, too, and stands in lists of runs."""
    compared: ClassVar[tuple[Metric, ...]]
    """Those by which two models are compared on the same images."""
    record_columns: ClassVar[tuple[str, ...]]
    """Of a run's table of images."""
    answer_columns: ClassVar[tuple[str, ...]]
    """Of the final answers, all but the probabilities, which are a hundred times as large as the rest."""

    # ------------------------------------------------------------- the border of the data

    @abstractmethod
    def encode(self, records: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
        """Turn the labels of n images (`record_columns`) into what a network is trained on (first axis: images).

        Raises:
            DatasetError: a label is none of `classes`.
        """

    @abstractmethod
    def named(self, records: pd.DataFrame) -> list[str]:
        """Return the class names in the labels of some images, one by one: as often as they occur."""

    def absent(self, records: pd.DataFrame, split: str) -> list[str]:
        """Return the classes that stand in a run's records and that a split has no images of."""
        judged = records[records["split"].astype(str) == split]
        return sorted(set(self.named(records)) - set(self.named(judged))) if len(judged) else []

    @abstractmethod
    def decode(self, probabilities: NDArray[np.floating], classes: Sequence[str], top: int) -> list[tuple[str, float]]:
        """Return the answer for one image (float [c]) as a person reads it: at most `top` classes, best first."""

    @abstractmethod
    def first_codes(self, outputs: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return for each row of logits or probabilities [n, c] the class that is believed most."""

    # ------------------------------------------------------------------------ learning

    @abstractmethod
    def loss(self, encoded: NDArray[np.int64], class_count: int, weighting: Weighting, label_smoothing: float) -> Loss:
        """Return the loss for training images with these labels."""

    @abstractmethod
    def right(self, logits: NDArray[np.floating], encoded: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for which images [n] the logits [n, c] answer right: the share of them is the `headline`."""

    @abstractmethod
    def judge(
        self, encoded: NDArray[np.int64], probabilities: ArrayLike, classes: Sequence[str], *, bins: int
    ) -> dict[str, Any]:
        """Return the metrics of n answers (float [n, c]) by name, with `support` and what else belongs to them.

        Raises:
            TrainingError: a probability is not a number.
        """

    def fitness(self, found: Mapping[str, Any], monitor: str) -> float:
        """Return what the best step is chosen by: the monitored metric, turned so that more is better.

        Small validation splits make many ties; among equals the smaller log loss wins. Its part (< 1e-5) can never
        outweigh one image in 100,000.
        """
        if monitor == "log_loss":
            return -float(found["log_loss"])
        return float(found[monitor]) - 1e-6 * min(float(found["log_loss"]), 10.0)

    # ------------------------------------------------------------------- probabilities

    @abstractmethod
    def probabilities(self, logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Return probabilities, float32 [n, c], of logits [n, c] divided by a temperature."""

    @abstractmethod
    def activation_words(self, temperature: float) -> str:
        """Say how logits become probabilities, as a formula."""

    @abstractmethod
    def fit_temperature(self, logits: ArrayLike, encoded: NDArray[np.int64], *, bins: int) -> Calibration:
        """Find the temperature that fits some images that were not trained on; see `Calibration`.

        Raises:
            TrainingError: a logit is not a number.
        """

    # -------------------------------------------------------------------------- tables

    @abstractmethod
    def predictions_table(
        self,
        image_ids: Sequence[str],
        paths: Sequence[str],
        splits: Sequence[str],
        encoded: NDArray[np.int64],
        probabilities: ArrayLike,
        classes: Sequence[str],
    ) -> pd.DataFrame:
        """Lay out the final answers: `image_id`, `path`, `split`, the columns of the target, `probabilities`."""

    @abstractmethod
    def step_table(
        self, image_ids: Sequence[str], encoded: NDArray[np.int64], probabilities: ArrayLike, classes: Sequence[str]
    ) -> pd.DataFrame:
        """Lay out the answers of one evaluation step, without the full probabilities."""

    @abstractmethod
    def dynamics_table(
        self, image_ids: Sequence[str], encoded: NDArray[np.int64], logits: ArrayLike, classes: Sequence[str]
    ) -> pd.DataFrame:
        """Lay out how strongly the labels of training images were believed in one epoch."""

    @abstractmethod
    def read_step(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return a stored table of a step as pages use it, and its classes.

        Whatever the target, it has the columns `image_id`, `predicted`, `confidence`, `label_confidence`, `correct`.

        Raises:
            KeyError, AttributeError: it is no such table.
        """

    @abstractmethod
    def read_answers(self, frame: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """Return stored final answers (`answer_columns`) laid out as those of a step."""

    # ----------------------------------------------------------------------- judgement

    @abstractmethod
    def metrics_of(
        self, frame: pd.DataFrame, classes: Sequence[str], split: str | None = None, *, bins: int
    ) -> dict[str, Any] | None:
        """Return what :meth:`judge` does from the stored columns alone; None where there are no images."""

    @abstractmethod
    def uncalibrated_metrics(
        self, frame: pd.DataFrame, classes: Sequence[str], split: str, temperature: float, *, bins: int
    ) -> dict[str, float]:
        """Return what the metrics that a temperature changes were without it."""

    @abstractmethod
    def split_tables(self, part: pd.DataFrame, classes: Sequence[str], *, bins: int) -> Mapping[str, pd.DataFrame]:
        """Make the tables about one split's final answers that a person may want, by file name."""

    @abstractmethod
    def paired_answers(self, frame: pd.DataFrame, classes: Sequence[str]) -> PairedAnswers:
        """Return final answers so that metrics can be taken of any choice of them."""

    @abstractmethod
    def suspected_labels(self, dynamics: pd.DataFrame | None, predictions: pd.DataFrame | None) -> pd.DataFrame:
        """Return the labels that training and answers speak against; see `single_label.label_errors`."""

    @abstractmethod
    def check_labels(self, images: pd.DataFrame, features: NDArray[np.float32], *, progress: Progress) -> LabelCheck:
        """Return the labels that classifiers doubt which never saw them; see `single_label.suspects`.

        Raises:
            DatasetError: fewer than two classes can be judged.
        """
