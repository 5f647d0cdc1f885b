"""What a run answered: at every evaluation step, and at the end."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import pandas as pd

from app.client.judged import Judged
from workflows.data.images import read_file
from workflows.data.thumbnails import thumbnail, thumbnails
from workflows.errors import RunError
from workflows.evaluation import steps
from workflows.evaluation.confusion import IntArray, confusion_table
from workflows.evaluation.matrix_views import Order, class_order
from workflows.store.files import read_json, undo_defuse, write_table
from workflows.store.store import Store

Moment = int | Literal["val", "test"]
"""An evaluation step of the training (validation images), or the final evaluation on a split."""

FINALS: tuple[Literal["val", "test"], ...] = ("val", "test")
PHOTO_SIDE = 640
KEPT_MOMENTS = 128
KEPT_RECORDS = 4
Found = TypeVar("Found")


@dataclass(frozen=True)
class Subject:
    """What can be looked at of a run.

    Attributes:
        steps: evaluation steps with recorded answers, in order.
        finals: splits of the final evaluation; empty until the run has one.
        best_step: the step whose weights were kept; None while that is not known.
        preview: ids of the fixed sample of validation images.
    """

    run_id: str
    state: str
    dataset: str
    version: int | None
    steps: tuple[int, ...]
    finals: tuple[Literal["val", "test"], ...]
    best_step: int | None
    preview: tuple[str, ...]

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Everything that can be chosen, the final test first if there is one."""
        return (*reversed(self.finals), *reversed(self.steps))


class Kept:
    """The most recently used of what is slow to make; safe to use from many threads."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def find(self, key: Hashable) -> Any:
        """Return what is kept under `key`, or None."""
        with self._lock:
            return self._kept.get(key)

    def get(self, key: Hashable, make: Callable[[], Found]) -> Found:
        """Return what is kept under `key`, made if absent. Two threads may both make it: none waits for the other."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return cast(Found, self._kept[key])
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made


class Evaluation:
    """Reads the answers of runs. What was read is kept for as long as its file does not change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moments, self._orders = Kept(KEPT_MOMENTS), Kept(KEPT_MOMENTS)
        self._records, self._curves = Kept(KEPT_RECORDS), Kept(KEPT_MOMENTS)

    def subject(self, run_id: str) -> Subject:
        """Return what can be looked at of a run.

        Raises:
            RunError: there is no such run.
        """
        record = self._store.runs.get(run_id)
        folder = self._store.run_folder(record.run_id)
        held = _splits_of(folder / "evaluation" / "metrics.json")
        training = (record.result or {}).get("training") or {}
        return Subject(
            run_id=record.run_id,
            state=record.state,
            dataset=record.dataset or "",
            version=record.version,
            steps=tuple(steps.recorded_steps(folder / "training" / "steps")),
            finals=tuple(split for split in FINALS if split in held),
            best_step=training.get("best_step"),
            preview=_preview(folder / "training" / "preview.json"),
        )

    def judged(self, run_id: str, moment: Moment) -> Judged:
        """Return the answers at a moment, with what changed since the step before.

        Raises:
            RunError: the run has no answers for this moment.
        """
        folder = self._store.run_folder(run_id)
        return self._moments.get((run_id, moment, self._stamp(folder, moment)), lambda: self._judge(folder, moment))

    def _stamp(self, folder: Path, moment: Moment) -> int:
        """Return what changes when a step is recorded anew: a resumed training repeats steps."""
        path = self._file(folder, moment)
        try:
            return path.stat().st_mtime_ns
        except OSError:
            return 0

    def _file(self, folder: Path, moment: Moment) -> Path:
        if isinstance(moment, int):
            return folder / "training" / "steps" / f"{moment:04d}.parquet"
        return folder / "evaluation" / "predictions.parquet"

    def _judge(self, folder: Path, moment: Moment) -> Judged:
        taken = folder / "training" / "steps"
        if not isinstance(moment, int):
            frame, classes = steps.read_final(self._file(folder, moment), moment)
            return Judged(steps.with_changes(frame, None), classes, None)
        frame, classes = steps.read_step(taken, moment)
        earlier = [step for step in steps.recorded_steps(taken) if step < moment]
        before = steps.read_step(taken, earlier[-1])[0] if earlier else None
        return Judged(steps.with_changes(frame, before), classes, earlier[-1] if earlier else None)

    def order(self, run_id: str, moment: Moment, by: Order) -> IntArray:
        """Return the order of classes for display.

        By confusion, it is the order of the latest step for all steps: so cells stay in their place while
        somebody goes through the steps.
        """
        subject_steps = self.subject(run_id).steps
        reference: Moment = subject_steps[-1] if isinstance(moment, int) and subject_steps else moment
        stamp = self._stamp(self._store.run_folder(run_id), reference)

        def make() -> IntArray:
            judged = self.judged(run_id, reference)
            return class_order(judged.matrix, judged.classes, by)

        return self._orders.get((run_id, reference, stamp, by), make)

    def curve(self, run_id: str) -> pd.DataFrame:
        """Return the metrics of every step: index `step`, one column for each name such as `val/top1`."""
        record = self._store.runs.get(run_id)

        def make() -> pd.DataFrame:
            table = self._store.runs.steps(record.run_id)
            return table.pivot(index="step", columns="name", values="value")

        if record.state in ("finished", "failed", "cancelled"):
            return self._curves.get((record.run_id, record.finished_at), make)
        return make()

    def records(self, run_id: str) -> pd.DataFrame:
        """Return the run's images: index `image_id`, columns `path`, `sha256`, `split`, `label`.

        Raises:
            RunError: the run has not got that far.
        """
        path = self._store.run_folder(run_id) / "records.parquet"

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
        made = thumbnails(self._store, contents)
        return {str(image): made[sha256] for image, sha256 in contents.items() if sha256 in made}

    def photo(self, run_id: str, image_id: str) -> Path:
        """Return a picture of an image to look at closely, at most 640 pixels wide and high.

        Raises:
            RunError: the run knows no such image.
            ImageError: it can't be read.
        """
        return thumbnail(self._store, self.sha256(run_id, image_id), PHOTO_SIDE)

    def sha256(self, run_id: str, image_id: str) -> str:
        """Return the SHA-256 of an image's file.

        Raises:
            RunError: the run knows no such image.
        """
        try:
            return str(self.records(run_id).at[image_id, "sha256"])
        except KeyError as error:
            raise RunError(f"Run {run_id} has no image {image_id}.") from error

    def drawn_heatmap(self, run_id: str, image_id: str, method: str = "eigen-cam") -> bytes | None:
        """Return the heat-map that the run itself drew of an image, as PNG; None if it drew none."""
        path = self._store.run_folder(run_id) / "explanation" / f"{image_id}_{method}.png"
        return read_file(path) if path.is_file() else None

    def course(self, run_id: str, image_id: str) -> pd.DataFrame:
        """Follow one validation image through all steps; see :func:`workflows.evaluation.steps.course_of`."""
        folder = self._store.run_folder(run_id) / "training" / "steps"
        return steps.course_of(folder, image_id, steps.recorded_steps(folder))

    def best_answers(self, run_id: str, image_id: str) -> list[tuple[str, float]]:
        """Return the most probable classes of an image in the final evaluation; empty if it was not in it."""
        path = self._store.run_folder(run_id) / "evaluation" / "predictions.parquet"
        return steps.best_answers(path, image_id) if path.is_file() else []

    def suspects(self, run_id: str) -> pd.DataFrame:
        """Return the images whose label is suspected, the most suspicious first; empty if none were sought.

        Columns: `image_id`, `path`, `split`, `label`, `suggested`, `score` (in [0.5, 1]), `why`.
        """
        path = self._store.run_folder(run_id) / "evaluation" / "suspected_labels.csv"
        columns = ["image_id", "path", "split", "label", "suggested", "score", "why"]
        if not path.is_file():
            return pd.DataFrame({name: [] for name in columns})
        table = pd.read_csv(path, dtype={"image_id": str}, keep_default_na=False)
        table = table[table["is_suspected"].astype(str) == "True"]
        for name in ("path", "label", "suggested", "why"):
            table[name] = [undo_defuse(str(cell)) for cell in table[name]]
        return table[columns].astype({"score": float}).reset_index(drop=True)

    def matrix_png(self, run_id: str, moment: Moment, mode: Literal["light", "dark"] = "light") -> bytes:
        """Draw the confusion matrix at a moment as a PNG."""
        from workflows.report.confusion_picture import confusion_matrix_picture  # matplotlib: only for those who ask

        judged = self.judged(run_id, moment)
        title = f"Confusion matrix, {describe(moment)}"
        return confusion_matrix_picture(judged.matrix, judged.classes, title=title, mode=mode)

    def matrix_csv(self, run_id: str, moment: Moment) -> bytes:
        """Return the whole confusion matrix as a CSV file."""
        judged = self.judged(run_id, moment)
        return csv_of(confusion_table(judged.matrix, judged.classes))


def csv_of(table: pd.DataFrame) -> bytes:
    """Return a table as a CSV file that no spreadsheet takes for formulas."""
    with tempfile.TemporaryDirectory(prefix="fieldguide-") as folder:
        path = Path(folder) / "table.csv"
        write_table(path, table)
        return path.read_bytes()


def describe(moment: Moment) -> str:
    """Say in words which answers are meant."""
    if isinstance(moment, int):
        return f"validation at step {moment}"
    return f"final evaluation on {'validation' if moment == 'val' else 'test'}"


def _splits_of(path: Path) -> set[str]:
    """Return the splits that a final evaluation has images of."""
    if not path.is_file():
        return set()
    return {split for split, values in read_json(path).items() if values}


def _preview(path: Path) -> tuple[str, ...]:
    return tuple(read_json(path)["image_ids"]) if path.is_file() else ()
