"""The node `evaluation`: evaluates the best checkpoint on the run's own images or on another data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workflows.errors import DatasetError
from workflows.graph.kinds import NodeKind, Stage
from workflows.graph.settings import NodeSettings
from workflows.store.answers import EvaluationAnswer, WorkflowAnswer
from workflows.store.files import read_table, write_table
from workflows.store.run_folder import EvaluationFolder

if TYPE_CHECKING:
    import pandas as pd

    from workflows.data.pixels import Pixels
    from workflows.graph.plan import Step
    from workflows.pipeline import RunContext

ELSEWHERE = "test"
"""The split as which images of another data set are evaluated."""


class EvaluationSettings(NodeSettings):
    """How the best checkpoint is evaluated."""

    splits: tuple[Literal["val", "test"], ...] = Field(default=("val", "test"), description="Splits to evaluate.")
    calibration_bins: int = Field(default=15, ge=2, le=100, description="Confidence bins of the calibration error.")
    preview_images: int = Field(
        default=48, ge=0, le=1000, description="Validation images whose predictions are recorded at every evaluation."
    )
    dataset: str | None = Field(
        default=None,
        min_length=1,
        description="Name of another data set to evaluate on: all of its images, as one test set; empty means the run's own.",
    )
    version: int | None = Field(default=None, ge=1, description="Version of that data set; empty means the newest.")


def evaluate_model(context: RunContext, step: Step) -> EvaluationAnswer:
    """Evaluate the best checkpoint; the main evaluation also finds labels that the training dynamics contradict."""
    settings: EvaluationSettings = step.settings
    if settings.dataset is not None:
        return _evaluate_elsewhere(context, step, settings)
    records = context.records()
    chosen = records[records["split"].isin(settings.splits)]
    frame, metrics = _measure(context, step, chosen, context.pixels(), settings.splits)
    suspects = find_suspects(context, frame) if step.is_main else 0
    return EvaluationAnswer(metrics=metrics, suspected_labels=suspects)


def _evaluate_elsewhere(context: RunContext, step: Step, settings: EvaluationSettings) -> EvaluationAnswer:
    """Evaluate on all images of another data set that were not trained on."""
    from workflows.data.catalog import get_version
    from workflows.targets.registry import metadata_of

    version = get_version(context.store, str(settings.dataset), settings.version)
    found, own = version.labelled(), context.records()
    trained_on = found["sha256"].isin(own.loc[own["split"] == "train", "sha256"])
    records = found[~trained_on].assign(split=ELSEWHERE).sort_values("image_id", ignore_index=True)
    if records.empty:
        raise DatasetError(
            f"Node {step.node and step.node.id!r}: data set {version.name} has only photos that the model was trained on."
        )
    target = version.target()
    records = records[list(target.record_columns)]
    write_table(EvaluationFolder(context.folder_of(step)).records, records, metadata_of(target))
    _, metrics = _measure(context, step, records, context.pixels(records), (ELSEWHERE,))
    facts = {"name": version.name, "version": version.number, "images": len(records)}
    return EvaluationAnswer(dataset=facts, left_out_as_taught=int(trained_on.sum()), metrics=metrics)


def _measure(
    context: RunContext, step: Step, records: pd.DataFrame, pixels: Pixels, splits: tuple[str, ...]
) -> tuple[pd.DataFrame, dict[str, dict[str, Any] | None]]:
    """Write the tables of an evaluation into the step's folder; return the predictions and each split's metrics."""
    from workflows.evaluation.tables import evaluate_predictions
    from workflows.inference.evaluate import predict_records
    from workflows.inference.predictor import Predictor

    predictor = Predictor.load(context.store, context.run_id, context.need(WorkflowAnswer).device)
    frame = predict_records(predictor, records, pixels.squares(records["image_id"].tolist()))
    return frame, evaluate_predictions(
        context.folder_of(step),
        frame,
        predictor.card.classes,
        splits,
        bins=step.settings.calibration_bins,
        temperature=predictor.card.calibration.temperature,
        target=predictor.target,
    )


def evaluated_images(context: RunContext, step: Step) -> pd.DataFrame:
    """Return the records (image_id, path, sha256, split, label) available to an evaluation of the run."""
    path = EvaluationFolder(context.folder_of(step)).records
    return read_table(path) if path.exists() else context.records()


def find_suspects(context: RunContext, frame: pd.DataFrame) -> int:
    """Write `suspected_labels.csv` and return how many labels are suspected."""
    from workflows.evaluation.dynamics import load_dynamics

    target = context.version.target()
    table = target.suspected_labels(load_dynamics(context.folder.training.dynamics), frame)
    paths = context.records()[["image_id", "path", "split"]]
    table = table.drop(columns=["path", "split"], errors="ignore").merge(paths, on="image_id", how="left")
    write_table(context.folder.evaluation.suspected_labels, table)
    return int(table["is_suspected"].sum())


def check(context: RunContext, settings: EvaluationSettings) -> None:
    """Refuse a missing data set, or one with classes that the run does not train, before hours of training."""
    from workflows.data.catalog import get_version
    from workflows.inference.evaluate import check_classes

    if settings.dataset is not None:
        found = get_version(context.store, settings.dataset, settings.version)
        check_classes(found.classes, context.version.classes, found.name)


KIND = NodeKind(
    name="evaluation",
    settings=EvaluationSettings,
    title="Evaluation",
    inputs=("classifier",),
    outputs=("predictions",),
    stages=(Stage("evaluation", "evaluate", evaluate_model),),
    optional=True,
    left_out=EvaluationSettings(),
    repeatable=True,
    cost_fields=frozenset({"splits", "dataset", "version"}),
    shown_fields=("splits", "dataset", "version"),
    empty_words={"dataset": "the run's own", "version": "the newest"},
    leads=lambda settings: settings.dataset is None,
    check=check,
)
