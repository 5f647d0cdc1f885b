"""The node `explanation`: heat-maps of what the network looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflows.explanation.methods import DEFAULT_METHODS, Method
from workflows.graph.kinds import NodeKind, Stage
from workflows.graph.settings import NodeSettings
from workflows.nodes.evaluation import evaluated_images
from workflows.store.answers import StageAnswer, WorkflowAnswer
from workflows.store.files import write_table
from workflows.store.run_folder import EvaluationFolder, ExplanationFolder

if TYPE_CHECKING:
    from workflows.graph.plan import Step
    from workflows.pipeline import RunContext


class ExplanationSettings(NodeSettings):
    """How predictions are explained."""

    methods: tuple[Method, ...] = Field(
        default=DEFAULT_METHODS, min_length=1, description="Heat-map methods, side by side."
    )
    images: int = Field(
        default=16, ge=0, le=500, description="Test images to explain: the most confidently wrong, then right."
    )


def explain_model(context: RunContext, step: Step) -> StageAnswer:
    """Draw heat-maps for the most informative test images (val, if there is no test split) of the preceding evaluation."""
    import pandas as pd

    from workflows.evaluation.predictions import read_predictions
    from workflows.explanation.explain import choose_to_explain, explain_squares
    from workflows.inference.predictor import Predictor

    settings: ExplanationSettings = step.settings
    source = context.step_above(step, "evaluation")
    frame, _ = read_predictions(EvaluationFolder(context.folder_of(source)).predictions)
    split = "test" if (frame["split"] == "test").any() else "val"
    chosen = choose_to_explain(frame[frame["split"] == split], settings.images)
    predictor = Predictor.load(context.store, context.run_id, context.need(WorkflowAnswer).device)
    ids = chosen["image_id"].tolist()
    folder = context.folder_of(step)
    squares = context.pixels(evaluated_images(context, source)).squares(ids)
    records = explain_squares(predictor, squares, ids, ids, settings.methods, folder, progress=context.progress)
    table = pd.DataFrame(records, columns=["path", "method", "predicted", "confidence", "target", "flat", "picture"])
    table = table.rename(columns={"path": "image_id"}).merge(frame[["image_id", "path", "label"]], on="image_id")
    write_table(ExplanationFolder(folder).table, table)
    return StageAnswer(split=split, images=len(ids), methods=list(settings.methods))


KIND = NodeKind(
    name="explanation",
    settings=ExplanationSettings,
    title="Explanation",
    inputs=("predictions",),
    outputs=("heat-maps",),
    stages=(Stage("explanation", "explain", explain_model),),
    optional=True,
    left_out=ExplanationSettings(images=0),
    repeatable=True,
    cost_fields=frozenset({"methods", "images"}),
    shown_fields=("methods", "images"),
)
