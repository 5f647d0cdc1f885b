"""The walk of a workflow: from a request to a finished run, stage by stage.

Each stage is a plain function of a :class:`RunContext` whose answer (plain data: names, paths, figures) is
kept in the run's folder. A run that was cut off goes on with the first stage that has no answer yet; the
training stage itself goes on from its checkpoint. `flows` makes each stage a Prefect task; on a machine
without Prefect, :func:`run_pipeline` walks the same stages.

::

    request -> dataset -> audit -> workflow -> split -> augmentation -> model
            -> training -> evaluation -> explanation -> report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from workflows.data.version import DatasetVersion
from workflows.errors import FieldguideError, RunCancelled, UsageError
from workflows.graph.workflow import Goal, Workflow, load_workflow
from workflows.progress import Progress, silent
from workflows.store.files import read_json, write_json
from workflows.store.runs import RunKind, RunRecord
from workflows.store.store import Store

if TYPE_CHECKING:
    from workflows.data.pixels import Pixels


class TrainRequest(BaseModel):
    """Everything that a person asked for with `train`, so that it can be done again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str | None = Field(None, description="Name of a data set of the store.")
    version: int | None = Field(None, ge=1, description="Its version; empty means the newest.")
    source: str | None = Field(None, description="Or a folder to import first.")
    labels: str | None = Field(None, description="CSV with the labels of the folder's photos.")
    split: tuple[float, float, float] = Field((0.70, 0.15, 0.15), description="Shares of train, val and test.")
    group_by: str | None = Field(None, description="What keeps photos together in one split.")
    goal: Goal = Field("balanced", description="What to recommend a workflow for.")
    workflow: dict[str, Any] | None = Field(None, description="A workflow to use instead of a recommended one.")
    epochs: int | None = Field(None, ge=1, description="Epochs instead of the workflow's.")
    size: int | None = Field(None, description="Image size instead of the workflow's, in pixels.")
    seed: int | None = Field(None, ge=0, description="Seed instead of the workflow's.")
    weights: str | None = Field(None, description="`auto`, `none` or a file instead of the workflow's.")
    device: str | None = Field(None, description="Device instead of the workflow's.")
    minutes: float | None = Field(None, gt=0, description="Time that training may take, by estimate.")
    allow: tuple[str, ...] = Field((), description="Errors of the data set's audit to train on regardless, by key.")
    trust: bool = Field(False, description="Unpickle a .pt file whose checksum is not known.")


RunTraining = Callable[[Store, str, Progress], Any]
"""Runs a recorded run to its end, or goes on with it: (store, run id, progress); :func:`run_pipeline` is one."""


class RunContext:
    """What a stage works with. Answers of earlier stages are read from the run's folder."""

    def __init__(self, store: Store, run_id: str, progress: Progress = silent) -> None:
        self.store, self.run_id, self.progress = store, run_id, progress
        self.folder: Path = store.run_folder(run_id)
        self.request = TrainRequest.model_validate(store.runs.get(run_id).request)

    def answer(self, key: str) -> dict[str, Any] | None:
        """Return what stage `key` answered, or None if it has not been done."""
        path = self._answer_path(key)
        return read_json(path) if path.exists() else None

    def need(self, key: str) -> dict[str, Any]:
        """Return what stage `key` answered; it must have been done."""
        found = self.answer(key)
        if found is None:
            raise UsageError(f"Stage {key} of run {self.run_id} has not been done yet.")
        return found

    def keep(self, key: str, answer: dict[str, Any]) -> None:
        """Keep the answer of stage `key`."""
        write_json(self._answer_path(key), answer)

    def _answer_path(self, key: str) -> Path:
        return self.folder / "stages" / f"{key}.json"

    def check_cancelled(self) -> None:
        """Raise RunCancelled if somebody asked the run to stop."""
        if self.store.runs.cancel_requested(self.run_id):
            raise RunCancelled(f"Run {self.run_id} was cancelled.")

    @property
    def workflow_path(self) -> Path:
        """Return the file of the run's graph."""
        return self.folder / "workflow.yaml"

    @cached_property
    def workflow(self) -> Workflow:
        """Return the run's graph (after stage `workflow`)."""
        return load_workflow(self.workflow_path)

    @cached_property
    def version(self) -> DatasetVersion:
        """Return the data-set version that the run uses (after stage `dataset`)."""
        from workflows.data.catalog import get_version

        found = self.need("dataset")
        return get_version(self.store, found["name"], found["version"])

    @property
    def records_path(self) -> Path:
        """Return the table of the run's photos: image_id, path, sha256, split, label (after stage `split`)."""
        return self.folder / "records.parquet"

    def records(self) -> pd.DataFrame:
        """Return the table of the run's photos."""
        return pd.read_parquet(self.records_path)

    def pixels(self) -> Pixels:
        """Return the run's decoded photos, decoding them if nobody has (after stage `split`)."""
        from workflows.data.pixels import SquareTransform, open_pixels

        model, store = self.workflow.model, self.store
        transform = SquareTransform(model.image_size, model.square)
        return open_pixels(self.records(), store.blobs.path, transform, store.cache_folder, self.progress)


StageKey = Literal[
    "dataset",
    "audit",
    "workflow",
    "split",
    "augmentation",
    "model",
    "training",
    "evaluation",
    "explanation",
    "report",
]
STAGE_KEYS: tuple[StageKey, ...] = get_args(StageKey)
"""The steps of the walk, in its order."""


@dataclass(frozen=True)
class Stage:
    """One step of the walk."""

    key: StageKey
    """Also the kind of the graph's node that it does, where there is one."""
    title: str
    run: Callable[[RunContext], dict[str, Any]]
    retries: int = 0
    """How often trying again may help (a busy disk, a cut download); never for what would fail the same way."""
    cache_inputs: Callable[[RunContext], dict[str, Any] | None] = lambda _: None
    """What the answer depends on, if another run's answer to the same may be taken over."""


def create_run(store: Store, request: TrainRequest, kind: RunKind = "train") -> RunRecord:
    """Record a new run for `request`. Raises UsageError unless it names exactly one source of photos."""
    if (request.dataset is None) == (request.source is None):
        raise UsageError("Name a data set or a folder of photos to train on (one of the two).")
    name = request.dataset or Path(str(request.source)).name
    return store.runs.create(name, request.model_dump(mode="json"), kind)


def do_stage(context: RunContext, stage: Stage) -> dict[str, Any]:
    """Do a stage unless it has been done, and return its answer (with `seconds`, its wall-clock time)."""
    found = context.answer(stage.key)
    if found is not None:
        return found
    context.check_cancelled()
    started = time.perf_counter()
    answer = stage.run(context)
    answer = {**answer, "seconds": round(time.perf_counter() - started, 3)}
    context.keep(stage.key, answer)
    return answer


@contextmanager
def recorded_end(store: Store, run_id: str) -> Iterator[None]:
    """Record how the body ends a run that does not finish: cancelled, failed with words, or failed with a bug."""
    try:
        yield
    except (RunCancelled, KeyboardInterrupt) as error:
        state = store.runs.stopped_state(run_id)
        said = str(error) or "interrupted from the keyboard"
        said = "The studio was ended while it ran; its last checkpoint is whole." if state == "interrupted" else said
        store.runs.update(run_id, state=state, error=said)
        raise
    except FieldguideError as error:
        store.runs.update(run_id, state="failed", error=str(error))
        raise
    except Exception as error:
        store.runs.update(run_id, state="failed", error=f"{type(error).__name__}: {error}")
        raise


def run_pipeline(store: Store, run_id: str, progress: Progress = silent) -> dict[str, Any]:
    """Walk all stages of a run in this process, without Prefect, and return its result.

    A run that was cut off goes on where it was; a finished one gives its result again.

    Raises FieldguideError (its kinds say what went wrong); the run's record then says so, too.
    """
    from workflows.finish import finish
    from workflows.stages import STAGES

    record = store.runs.get(run_id)
    if record.state == "finished" and record.result:
        return record.result
    with store.runs.alive(record.run_id), recorded_end(store, record.run_id):
        context = RunContext(store, record.run_id, progress)
        for stage in STAGES:
            do_stage(context, stage)
        return finish(context)
