"""The execution of a workflow: from a request to a finished run, step by step.

Each step is a plain function of a :class:`RunContext` whose result (plain data: names, paths, figures) is
stored in the run's folder. An interrupted run resumes at the first step without a result; the
training itself resumes from its checkpoint. `flows` makes each step a Prefect task; on a machine
without Prefect, :func:`run_pipeline` runs the same steps.

Every run starts with the same steps, which determine its workflow; then follow the workflow's nodes in order.

::

    request -> dataset -> audit -> workflow -> (the graph's nodes) -> report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from pydantic import ValidationError

from workflows.data.version import DatasetVersion
from workflows.errors import FieldguideError, RunCancelled, UsageError
from workflows.finish import CLOSING, finish
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.plan import Step, plan, upstream
from workflows.graph.workflow import Workflow, load_template, load_workflow
from workflows.preparation import OPENING
from workflows.progress import Progress, silent
from workflows.requests import TrainRequest
from workflows.state import State
from workflows.store.answers import DatasetAnswer, StageAnswer
from workflows.store.files import read_json, write_json
from workflows.store.run_folder import RunFolder
from workflows.store.run_record import RunKind, RunRecord
from workflows.store.run_result import RunResult
from workflows.store.store import Store

if TYPE_CHECKING:
    from workflows.data.pixels import Pixels


def answer_path(folder: RunFolder, key: str) -> Path | None:
    """Return the file with the result of step `key` in a run's folder, also under its name in older releases."""
    names = filter(None, (key, NODE_KINDS.earlier_key(key)))
    return next((path for name in names if (path := folder.answer(name)).exists()), None)


Known = TypeVar("Known", bound=StageAnswer)
RunTraining = Callable[[Store, str, Progress], Any]
"""Runs or resumes a recorded run: (store, run id, progress); e.g. :func:`run_pipeline`."""


class RunContext:
    """The context of a step. Results of earlier steps are read from the run's folder."""

    def __init__(self, store: Store, run_id: str, progress: Progress = silent) -> None:
        self.store, self.run_id, self.progress = store, run_id, progress
        self.folder = store.run_folder(run_id)
        self.request = TrainRequest.model_validate(store.runs.get(run_id).request)

    def answer(self, key: str) -> StageAnswer | None:
        """Return the result of step `key`, or None if it has not been done."""
        path = answer_path(self.folder, key)
        return None if path is None else StageAnswer.model_validate(read_json(path))

    def find(self, kind: type[Known]) -> Known | None:
        """Return the answer of this kind, or None if its step has not been done."""
        path = answer_path(self.folder, kind.key)
        return None if path is None else kind.model_validate(read_json(path))

    def need(self, kind: type[Known]) -> Known:
        """Return the answer of this kind; its step must have been done."""
        found = self.find(kind)
        if found is None:
            raise UsageError(f"Step {kind.key} of run {self.run_id} has not been done yet.")
        return found

    def keep(self, key: str, answer: StageAnswer) -> None:
        """Store the result of step `key`."""
        write_json(self.folder.answer(key), answer.document())

    def folder_of(self, step: Step) -> Path:
        """Return the folder for the files of a step; created by the writer of the first file."""
        return self.folder.of_step(step.key)

    def step_above(self, step: Step, kind: str) -> Step:
        """Return the first step of the nearest node of `kind` among the predecessors of a step's node.

        Raises UsageError if there is none.
        """
        node = None if step.node is None else upstream(self.workflow, step.node.id, kind)
        for other in plan(self.workflow):
            if node is not None and other.node == node:
                return other
        raise UsageError(f"No {kind} node leads to step {step.key} of run {self.run_id}.")

    def check_cancelled(self) -> None:
        """Raise RunCancelled if the run has been cancelled."""
        if self.store.runs.cancel_requested(self.run_id):
            raise RunCancelled(f"Run {self.run_id} was cancelled.")

    @cached_property
    def workflow(self) -> Workflow:
        """Return the run's graph (after stage `workflow`)."""
        return load_workflow(self.folder.workflow)

    @cached_property
    def version(self) -> DatasetVersion:
        """Return the data-set version that the run uses (after stage `dataset`)."""
        from workflows.data.catalog import get_version

        found = self.need(DatasetAnswer)
        return get_version(self.store, found.name, found.version)

    def records(self) -> pd.DataFrame:
        """Return the table of the run's images: image_id, path, sha256, split, label (after stage `split`)."""
        return pd.read_parquet(self.folder.records)

    def pixels(self, records: pd.DataFrame | None = None) -> Pixels:
        """Return the decoded images of `records` (None: the run's, after stage `split`), decoding them if needed."""
        from workflows.data.pixels import SquareTransform, open_pixels

        model, store = self.workflow.model, self.store
        transform = SquareTransform(model.image_size, model.square, self.version.rendering())
        chosen = self.records() if records is None else records
        return open_pixels(chosen, store.blobs.path, transform, store.cache_folder, self.progress)


def create_run(store: Store, request: TrainRequest, kind: RunKind = "train") -> RunRecord:
    """Record a new run for `request`. Raises UsageError unless it has exactly one source of images."""
    if (request.dataset is None) == (request.source is None):
        raise UsageError("Give either a data set or a folder of photos to train on.")
    name = request.dataset or Path(str(request.source)).name
    return store.runs.create(name, request.model_dump(mode="json"), kind)


def walk(context: RunContext) -> Iterator[Step]:
    """Yield the steps of a run one by one; each must be done (`do_step`) before the next is requested."""
    yield from OPENING
    yield from plan(context.workflow)
    yield CLOSING


def planned_steps(document: Mapping[str, Any] | None) -> list[Step]:
    """Return all steps of a run with this stored workflow; with the standard one if there is none yet."""
    try:
        workflow = Workflow.model_validate(document)
    except ValidationError:
        workflow = load_template("balanced-photos")
    return [*OPENING, *plan(workflow), CLOSING]


def do_step(context: RunContext, step: Step) -> StageAnswer:
    """Do a step unless it has been done, and return its result (with `seconds`, its wall-clock time)."""
    found = context.answer(step.key)
    if found is not None:
        return found
    context.check_cancelled()
    started = time.perf_counter()
    answer = step.stage.run(context, step)
    answer = answer.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})
    context.keep(step.key, answer)
    return answer


@contextmanager
def recorded_end(store: Store, run_id: str) -> Iterator[None]:
    """Record how a run ends that does not finish: cancelled, failed with a message, or failed with a bug."""
    try:
        yield
    except (RunCancelled, KeyboardInterrupt) as error:
        state = store.runs.stopped_state(run_id)
        said = str(error) or "interrupted from the keyboard"
        said = (
            "The studio was stopped during the run; its last checkpoint is complete."
            if state == State.INTERRUPTED
            else said
        )
        store.runs.update(run_id, state=state, error=said)
        raise
    except FieldguideError as error:
        store.runs.update(run_id, state=State.FAILED, error=str(error))
        raise
    except Exception as error:
        store.runs.update(run_id, state=State.FAILED, error=f"{type(error).__name__}: {error}")
        raise


def run_pipeline(store: Store, run_id: str, progress: Progress = silent) -> RunResult:
    """Do all steps of a run in this process, without Prefect, and return its result.

    An interrupted run resumes; a finished one returns its stored result.

    Raises FieldguideError; the error is then recorded in the run, too.
    """
    record = store.runs.get(run_id)
    if record.final:
        return record.final
    with store.runs.alive(record.run_id), recorded_end(store, record.run_id):
        context = RunContext(store, record.run_id, progress)
        for step in walk(context):
            do_step(context, step)
        return finish(context)
