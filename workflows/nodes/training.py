"""The node `training`: trains the network and stores the run's classifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflows.graph.kinds import NodeKind, Stage
from workflows.graph.settings import Monitor, NodeSettings, Probability
from workflows.store.answers import TrainingAnswer, WeightsAnswer, WorkflowAnswer
from workflows.store.devices import hold_device
from workflows.store.files import write_json

if TYPE_CHECKING:
    import pandas as pd

    from workflows.graph.plan import Step
    from workflows.pipeline import RunContext


class TrainingSettings(NodeSettings):
    """How the network is trained."""

    epochs: int = Field(default=20, ge=1, le=10_000, description="Passes over the training images.")
    batch: int = Field(default=64, ge=2, le=4096, description="Images per optimiser step (over all devices).")
    optimizer: Literal["AdamW", "SGD"] = Field(default="AdamW", description="Optimiser.")
    learning_rate: float = Field(default=1e-3, gt=0.0, le=10.0, description="Peak learning rate.")
    final_learning_rate: Probability = Field(
        default=0.01, description="Learning rate at the end, as a share of the peak."
    )
    head_learning_rate: float = Field(
        default=1.0, gt=0.0, le=100.0, description="Factor on the learning rate of the classifier layer."
    )
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="Momentum (SGD) or beta1 (AdamW).")
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0, description="Weight decay (not on biases and norms).")
    warmup_epochs: float = Field(
        default=1.0, ge=0.0, le=50.0, description="Epochs in which the learning rate rises from 0."
    )
    label_smoothing: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="Share of the target spread over all classes."
    )
    class_weighting: Literal["none", "sqrt", "balanced"] = Field(
        default="none",
        description="Weight of each class in the loss: equal, by the inverse root of its frequency, or by the inverse.",
    )
    average_weights: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="Memory of the moving average of the weights, as a share of the whole training; 0 = off.",
    )
    patience: int = Field(
        default=20, ge=0, description="Stop after this many epochs without a better result; 0 = never."
    )
    monitor: Monitor = Field(default="top1", description="Validation metric that chooses the best checkpoint.")
    evaluate_every: int = Field(default=1, ge=1, description="Evaluate every this many epochs (and after the last).")
    precision: Literal["auto", "float32", "mixed"] = Field(
        default="auto",
        description="`mixed`: 16-bit arithmetic where it is safe and supported, faster and in less memory on most GPUs; "
        "`auto`: if it is faster.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of everything random in training.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|\d+(,\d+)*)$",
        description="`auto`, `cpu`, a GPU number, or several: `0,1`.",
    )
    workers: int | None = Field(
        default=None, ge=0, le=64, description="Loader processes; empty = chosen for the device."
    )


def train_model(context: RunContext, step: Step) -> TrainingAnswer:
    """Train, and store the best weights as the run's classifier, calibrated on the validation images."""
    from workflows.backbones.registry import backbone_named
    from workflows.inference.calibrate import calibrated
    from workflows.inference.model import ModelCard, save_model
    from workflows.training.job import TrainingJob
    from workflows.training.train import train

    workflow, store = context.workflow, context.store
    backbone = backbone_named(workflow.model.family)
    device, weights = context.need(WorkflowAnswer).device, context.need(WeightsAnswer).path
    job = TrainingJob(
        run_id=context.run_id,
        home=store.home,
        folder=context.folder.path,
        classes=context.version.classes,
        records=context.folder.records,
        weights=Path(weights) if weights else None,
        device=device,
        augmentation=workflow.augmentation,
        model=workflow.model,
        training=step.settings,
        evaluation=workflow.evaluation,
        target=context.version.target().name,
        rendering=context.version.rendering(),
    )
    write_preview(context)
    with hold_device(
        store.home,
        device,
        lambda text: context.progress("turn", 0, 1, text),
        owner=context.run_id,
        poll=context.check_cancelled,
    ):
        outcome, best = train(job, context.progress)
        card = ModelCard(
            family=workflow.model.family,
            size=workflow.model.size,
            classes=job.classes,
            image_size=workflow.model.image_size,
            square=workflow.model.square,
            mean=backbone.mean,
            std=backbone.std,
            run_id=context.run_id,
            dataset=context.version.name,
            version=context.version.number,
            rendering=job.rendering,
            target=job.target,
            step=outcome.best_step,
        )
        bins = workflow.evaluation.calibration_bins
        card = calibrated(card, best, context.records(), context.pixels(), device, bins)
    save_model(context.folder.model, best, card)
    return outcome


def write_preview(context: RunContext) -> None:
    """Choose the fixed sample of validation images recorded at every evaluation, and store their network inputs."""
    from PIL import Image

    from workflows.store.files import atomic_path

    folder = context.folder.training
    ids = preview_sample(context.records(), context.workflow.evaluation.preview_images)
    folder.preview.mkdir(parents=True, exist_ok=True)
    for image_id, square in zip(ids, context.pixels().squares(ids), strict=True):
        with atomic_path(folder.preview_image(image_id)) as partial, partial.open("wb") as file:
            Image.fromarray(square).save(file, format="PNG")
    write_json(folder.preview_list, {"image_ids": ids})


def preview_sample(records: pd.DataFrame, count: int) -> list[str]:
    """Return ids of validation images, taken from the classes in turn, so that every class is included if possible."""
    val = records[records["split"] == "val"].sort_values("image_id")  # ids are hashes: this order is random but fixed
    turns = val.assign(turn=val.groupby("label").cumcount()).sort_values(["turn", "label"], kind="stable")
    return [str(image_id) for image_id in turns["image_id"].head(count)]


KIND = NodeKind(
    name="training",
    settings=TrainingSettings,
    title="Training",
    inputs=("network",),
    outputs=("classifier",),
    stages=(Stage("training", "train", train_model),),
    cost_fields=frozenset({"epochs", "batch", "optimizer", "evaluate_every", "precision", "device", "workers"}),
    shown_fields=("epochs", "batch", "optimizer", "learning_rate", "class_weighting", "device"),
    empty_words={"workers": "chosen for the device"},
)
