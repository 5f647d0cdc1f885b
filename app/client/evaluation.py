"""What a run predicted: after every epoch, and at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from app.client.cache import Cache
from app.client.step_evaluation import StepEvaluation
from workflows.data.catalog import rendering_of_run
from workflows.data.images import read_file
from workflows.data.thumbnails import thumbnail, thumbnails
from workflows.data.version import HELD_OUT
from workflows.errors import RunError
from workflows.evaluation import steps
from workflows.evaluation.matrix_views import Order, class_order
from workflows.explanation.methods import CLASSLESS
from workflows.state import State
from workflows.store.files import read_json, undo_defuse, write_table
from workflows.store.run_folder import RunFolder
from workflows.store.store import Store
from workflows.targets.single_label.confusion import confusion_table
from workflows.targets.single_label.labels import IntArray

EvaluationPoint = int | Literal["val", "test"]
"""Which evaluation: that after an epoch (validation images), or the final one on a split."""

PHOTO_SIDE = 640
KEPT_MOMENTS = 128
KEPT_RECORDS = 4
SUSPECT_COLUMNS = ["image_id", "path", "split", "label", "suggested", "score", "why"]


@dataclass(frozen=True)
class Subject:
    """The evaluations that a run has.

    Attributes:
        steps: epochs with recorded predictions, in order.
        finals: splits of the final evaluation; empty until the run has one.
        best_step: the epoch with the best weights; None while that is not known.
        monitor: the metric on the validation images that it was chosen by; empty if that is not known.
        preview: ids of the fixed sample of validation images.
    """

    run_id: str
    state: State
    dataset: str
    version: int | None
    steps: tuple[int, ...]
    finals: tuple[Literal["val", "test"], ...]
    best_step: int | None
    preview: tuple[str, ...]
    monitor: str = ""

    @property
    def points(self) -> tuple[EvaluationPoint, ...]:
        """Everything that can be chosen, the final test first if there is one."""
        return (*reversed(self.finals), *reversed(self.steps))


class Evaluation:
    """Reads the predictions of runs. What was read is cached for as long as its file does not change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._points, self._orders = Cache(KEPT_MOMENTS), Cache(KEPT_MOMENTS)
        self._records, self._curves = Cache(KEPT_RECORDS), Cache(KEPT_MOMENTS)
        self._suspects = Cache(KEPT_RECORDS)

    def subject(self, run_id: str) -> Subject:
        """Return the evaluations that a run has.

        Raises:
            RunError: there is no such run.
        """
        record = self._store.runs.get(run_id)
        folder = self._store.run_folder(record.run_id)
        held = _splits_of(folder.evaluation.metrics)
        return Subject(
            run_id=record.run_id,
            state=record.state,
            dataset=record.dataset or "",
            version=record.version,
            steps=tuple(folder.training.steps.steps()),
            finals=tuple(split for split in HELD_OUT if split in held),
            best_step=record.result.training.best_step if record.result else None,
            preview=_preview(folder.training.preview_list),
            monitor=(record.result.training.monitor if record.result else None) or "",
        )

    def evaluated(self, run_id: str, point: EvaluationPoint) -> StepEvaluation:
        """Return the predictions of an evaluation, with what changed since the epoch before.

        Raises:
            RunError: the run has no such evaluation.
        """
        folder = self._store.run_folder(run_id)
        return self._points.get((run_id, point, self._stamp(folder, point)), lambda: self._read(folder, point))

    def _stamp(self, folder: RunFolder, point: EvaluationPoint) -> int:
        """Return what changes when an epoch is recorded again: a resumed training repeats epochs."""
        path = self._file(folder, point)
        try:
            return path.stat().st_mtime_ns
        except OSError:
            return 0

    def _file(self, folder: RunFolder, point: EvaluationPoint) -> Path:
        if isinstance(point, int):
            return folder.training.steps.table(point)
        return folder.evaluation.predictions

    def _read(self, folder: RunFolder, point: EvaluationPoint) -> StepEvaluation:
        recorded = folder.training.steps
        if not isinstance(point, int):
            frame, classes = steps.read_final(self._file(folder, point), point)
            stored = read_json(folder.evaluation.metrics).get(point) or {}
            return StepEvaluation(steps.with_changes(frame, None), classes, None, stored.get("uncalibrated"))
        frame, classes = steps.read_step(recorded, point)
        earlier = [step for step in recorded.steps() if step < point]
        before = steps.read_step(recorded, earlier[-1])[0] if earlier else None
        return StepEvaluation(steps.with_changes(frame, before), classes, earlier[-1] if earlier else None)

    def order(self, run_id: str, point: EvaluationPoint, by: Order) -> IntArray:
        """Return the order of classes for display.

        By confusion, it is the order of the latest epoch for all epochs, so that cells stay in their place while
        somebody goes through the steps.
        """
        subject_steps = self.subject(run_id).steps
        reference: EvaluationPoint = subject_steps[-1] if isinstance(point, int) and subject_steps else point
        stamp = self._stamp(self._store.run_folder(run_id), reference)

        def make() -> IntArray:
            evaluated = self.evaluated(run_id, reference)
            return class_order(evaluated.matrix, evaluated.classes, by)

        return self._orders.get((run_id, reference, stamp, by), make)

    def curve(self, run_id: str) -> pd.DataFrame:
        """Return the metrics of every epoch: index `step`, one column for each name such as `val/top1`."""
        record = self._store.runs.get(run_id)

        def make() -> pd.DataFrame:
            table = self._store.runs.steps(record.run_id)
            return table.pivot(index="step", columns="name", values="value")

        if not record.state.alive and record.state != State.INTERRUPTED:
            return self._curves.get((record.run_id, record.finished_at), make)
        return make()

    def records(self, run_id: str) -> pd.DataFrame:
        """Return the run's images: index `image_id`, columns `path`, `sha256`, `split`, `label`.

        Raises:
            RunError: the run has not got that far.
        """
        path = self._store.run_folder(run_id).records

        def make() -> pd.DataFrame:
            try:
                return pd.read_parquet(path).set_index("image_id")
            except OSError as error:
                raise RunError(
                    f"Run {run_id} has no list of images yet.", "Wait until its data set is read."
                ) from error

        return self._records.get(run_id, make)

    def thumbnails(self, run_id: str, image_ids: Iterable[str]) -> dict[str, Path]:
        """Return a small picture of each image; those that can't be read are left out."""
        contents = self.records(run_id)["sha256"].reindex(list(image_ids)).dropna()
        made = thumbnails(self._store, contents, rendering=rendering_of_run(self._store, run_id))
        return {str(image): made[sha256] for image, sha256 in contents.items() if sha256 in made}

    def photo(self, run_id: str, image_id: str) -> Path:
        """Return a large picture of an image, at most 640 pixels wide and high.

        Raises:
            RunError: the run has no such image.
            ImageError: it can't be read.
        """
        rendering = rendering_of_run(self._store, run_id)
        return thumbnail(self._store, self.sha256(run_id, image_id), PHOTO_SIDE, rendering)

    def sha256(self, run_id: str, image_id: str) -> str:
        """Return the SHA-256 of an image's file.

        Raises:
            RunError: the run has no such image.
        """
        try:
            return str(self.records(run_id).at[image_id, "sha256"])
        except KeyError as error:
            raise RunError(f"Run {run_id} has no image {image_id}.") from error

    def split_of(self, run_id: str, image_id: str) -> str:
        """Return the split of an image in a run: `train`, `val` or `test`. Raises RunError if it has no such image."""
        try:
            return str(self.records(run_id).at[image_id, "split"])
        except KeyError as error:
            raise RunError(f"Run {run_id} has no image {image_id}.") from error

    def drawn_heatmap(self, run_id: str, image_id: str, method: str = CLASSLESS) -> bytes | None:
        """Return the heat-map that the run itself drew of an image, as PNG; None if it drew none."""
        path = self._store.run_folder(run_id).explanation.heatmap(image_id, method)
        return read_file(path) if path.is_file() else None

    def history(self, run_id: str, image_id: str) -> pd.DataFrame:
        """Return the predictions for one validation image over all epochs; see :func:`workflows.evaluation.steps.history_of`."""
        folder = self._store.run_folder(run_id).training.steps
        return steps.history_of(folder, image_id, folder.steps())

    def best_answers(self, run_id: str, image_id: str) -> list[tuple[str, float]]:
        """Return the most probable classes of an image in the final evaluation; empty if it was not in it."""
        path = self._store.run_folder(run_id).evaluation.predictions
        return steps.best_answers(path, image_id) if path.is_file() else []

    def suspects(self, run_id: str) -> pd.DataFrame:
        """Return the images whose label is suspected, the most suspicious first; empty if none were searched for.

        Columns: `image_id`, `path`, `split`, `label`, `suggested`, `score` (in [0.5, 1]), `why`.
        """
        path = self._store.run_folder(run_id).evaluation.suspected_labels
        if not path.is_file():
            return pd.DataFrame({name: [] for name in SUSPECT_COLUMNS})
        return self._suspects.get((run_id, path.stat().st_mtime_ns), lambda: _suspects_in(path))

    def matrix_png(self, run_id: str, point: EvaluationPoint, mode: Literal["light", "dark"] = "light") -> bytes:
        """Draw the confusion matrix of an evaluation as a PNG."""
        from workflows.report.confusion_picture import (
            confusion_matrix_picture,
        )  # matplotlib: imported only where it is needed

        evaluated = self.evaluated(run_id, point)
        title = f"Confusion matrix, {describe(point)}"
        return confusion_matrix_picture(evaluated.matrix, evaluated.classes, title=title, mode=mode)

    def matrix_csv(self, run_id: str, point: EvaluationPoint) -> bytes:
        """Return the whole confusion matrix as a CSV file."""
        evaluated = self.evaluated(run_id, point)
        return csv_of(confusion_table(evaluated.matrix, evaluated.classes))


def csv_of(table: pd.DataFrame) -> bytes:
    """Return a table as a CSV file in which no spreadsheet finds formulas."""
    with tempfile.TemporaryDirectory(prefix="fieldguide-") as folder:
        path = Path(folder) / "table.csv"
        write_table(path, table)
        return path.read_bytes()


def describe(point: EvaluationPoint) -> str:
    """Describe an evaluation in words."""
    if isinstance(point, int):
        return f"validation at epoch {point}"
    return f"final evaluation on {'validation' if point == 'val' else 'test'}"


def _suspects_in(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype={"image_id": str}, keep_default_na=False)
    table = table[table["is_suspected"].astype(str) == "True"]
    for name in ("path", "label", "suggested", "why"):
        table[name] = [undo_defuse(str(cell)) for cell in table[name]]
    return table[SUSPECT_COLUMNS].astype({"score": float}).reset_index(drop=True)


def _splits_of(path: Path) -> set[str]:
    """Return the splits that a final evaluation has images of."""
    if not path.is_file():
        return set()
    return {split for split, values in read_json(path).items() if values}


def _preview(path: Path) -> tuple[str, ...]:
    return tuple(read_json(path)["image_ids"]) if path.is_file() else ()
