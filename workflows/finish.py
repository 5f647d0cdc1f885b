"""The end of a run: its result document, pictures and report."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from workflows.graph.kinds import Stage
from workflows.graph.nodes import Estimate
from workflows.graph.plan import Step, plan
from workflows.nodes import BUILT_IN
from workflows.preparation import OPENING
from workflows.state import State
from workflows.store.answers import (
    AuditAnswer,
    DatasetAnswer,
    EvaluationAnswer,
    SplitAnswer,
    StageAnswer,
    TrainingAnswer,
    WeightsAnswer,
    WorkflowAnswer,
)
from workflows.store.files import write_json
from workflows.store.run_folder import RunFolder
from workflows.store.run_result import DatasetUsed, RunResult
from workflows.targets.judged import judged_by

if TYPE_CHECKING:
    import numpy as np

    from workflows.pipeline import RunContext

PACKAGES = ("fieldguide", "ultralytics", "torch", "torchvision", "albumentations", "grad-cam", "numpy", "pillow")

IN_RESULT = frozenset(kind.name for kind in BUILT_IN)


def result_of(context: RunContext, state: State) -> RunResult:
    """Return everything that is known of a run."""
    from workflows.inference.model import load_card
    from workflows.recommend.estimate import compare_estimate
    from workflows.recommend.hardware import detect_hardware

    steps = [*OPENING, *plan(context.workflow), CLOSING]
    done = {step.key: context.answer(step.key) or StageAnswer() for step in steps}
    dataset, training = context.need(DatasetAnswer), context.need(TrainingAnswer)
    evaluation = context.find(EvaluationAnswer) or EvaluationAnswer()
    judged = judged_by(evaluation.metrics)
    device, estimate = context.need(WorkflowAnswer).device, context.need(WorkflowAnswer).estimate
    weights = context.need(WeightsAnswer)
    seconds = {key: answer.seconds for key, answer in done.items() if answer.seconds is not None}
    actual = sum(seconds.values())
    return RunResult(
        run_id=context.run_id,
        state=state,
        workflow=context.workflow.model_dump(mode="json"),
        dataset=DatasetUsed(**dataset.model_dump(include={"name", "version", "images", "classes"})),
        splits=context.need(SplitAnswer).counts(),
        imported=dataset.imported,
        findings=context.need(AuditAnswer).findings,
        metrics={"val": None, "test": None, **evaluation.metrics},
        judged=judged and judged.document(),
        suspected_labels=evaluation.suspected_labels,
        training=training,
        calibration=load_card(context.folder.model).calibration.model_dump(mode="json"),
        further={step.key: done[step.key].document() for step in steps if not _in_result(step)},
        weights={"origin": weights.origin, "sha256": weights.sha256},
        seconds=seconds,
        images_per_second=training.images_per_second,
        device=device,
        hardware=detect_hardware(device).name,
        estimate=estimate
        and {**estimate, "actual_seconds": actual, **compare_estimate(Estimate.model_validate(estimate), actual)},
        versions={"python": platform.python_version(), **_installed(PACKAGES)},
        artifacts=artifacts(context.folder),
    )


def _in_result(step: Step) -> bool:
    """Whether a step's result is already in other fields of the document: so for the main built-in nodes."""
    return step.is_main and (step.node is None or step.node.kind in IN_RESULT)


def _installed(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages; one used from a plain folder (Fieldguide on a GPU machine) has none."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def artifacts(folder: RunFolder) -> dict[str, str]:
    """Return the files of a run that are meant for people, by name."""
    found = {
        "workflow": folder.workflow,
        "model": folder.model.weights,
        "model_card": folder.model.card,
        "predictions": folder.evaluation.predictions,
        "metrics": folder.evaluation.metrics,
        "suspected_labels": folder.evaluation.suspected_labels,
        "explanations": folder.explanation.table,
        "report": folder.report,
    }
    found |= {path.stem: path for path in sorted(folder.evaluation.path.glob("*.csv"))}
    found |= {f"{path.stem}_picture": path for path in sorted(folder.pictures.path.glob("*.png"))}
    return {name: str(path) for name, path in found.items() if path.exists()}


def draw_report(context: RunContext, step: Step) -> StageAnswer:
    """Draw all pictures of a run and write its report; one that was not evaluated on its own photos has neither."""
    from workflows.report.build import draw_run_pictures
    from workflows.report.html import build_report

    result = result_of(context, State.RUNNING)
    if not any(result.metrics.values()):
        return StageAnswer(pictures={}, report=None)
    steps = context.store.runs.steps(context.run_id)
    pictures = draw_run_pictures(context.folder, result, steps, pixel_reader(context))
    context.progress("report", 1, 2)
    report = build_report(context.folder, result, steps)
    context.progress("report", 2, 2)
    return StageAnswer(pictures={name: str(path) for name, path in pictures.items()}, report=str(report))


def pixel_reader(context: RunContext) -> Callable[[str], np.ndarray]:
    """Return a function from an image id to the square that the network sees (uint8 [side, side, 3])."""
    from workflows.inference.model import load_card

    transform = load_card(context.folder.model).transform
    hashes = context.records().set_index("image_id")["sha256"]
    return lambda image_id: transform.read(context.store.blobs.path(hashes[image_id]))


def finish(context: RunContext) -> RunResult:
    """Write the result of a run, record it as finished, and return the result."""
    result = result_of(context, State.FINISHED)
    write_json(context.folder.result, result.document())
    context.store.runs.update(context.run_id, state=State.FINISHED, result=result)
    return result


CLOSING = Step("report", Stage("report", "report", draw_report))
"""What comes after the graph's nodes."""
