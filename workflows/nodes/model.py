"""The node `model`: the network, its initial weights, and its square input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from workflows.backbones.registry import BACKBONES, backbone_named
from workflows.backbones.yolov8 import YOLOV8
from workflows.graph.kinds import NodeKind, Stage
from workflows.graph.settings import NodeSettings, OneOf, Square
from workflows.requests import IMAGE_SIZE
from workflows.store.answers import StageAnswer, WeightsAnswer

if TYPE_CHECKING:
    from workflows.graph.plan import Step
    from workflows.pipeline import RunContext


def _all_sizes() -> list[str]:
    return list(dict.fromkeys(size for backbone in BACKBONES.values() for size in backbone.sizes))


class ModelSettings(NodeSettings):
    """The network, and how an image becomes its square input."""

    family: Annotated[str, OneOf(lambda: BACKBONES)] = Field(default=YOLOV8.name, description="Architecture family.")
    size: Annotated[str, OneOf(_all_sizes)] = Field(
        default="n", description="Model size: n (1.4 M parameters), s (5 M), m (16 M), l (36 M), x (56 M)."
    )
    image_size: int = Field(
        default=224, **IMAGE_SIZE, description="Side of the square input, in pixels; a multiple of 32."
    )
    square: Square = Field(
        default="crop",
        description="How a photo becomes a square: `crop` its centre, `pad` to show all of it with grey borders, "
        "`stretch` it. The same for training, evaluation, prediction and explanation.",
    )
    weights: str = Field(
        default="auto",
        min_length=1,
        description="`auto`: official ImageNet weights; `none`: random; or a .safetensors or .pt file.",
    )
    dropout: float = Field(
        default=0.0,
        ge=0.0,
        le=0.9,
        description="Share of the features that each training step leaves out at random before the classifier layer; "
        "more than 0 can help a network that overfits.",
    )

    @model_validator(mode="after")
    def _has_this_size(self) -> ModelSettings:
        sizes = backbone_named(self.family).sizes
        if self.size not in sizes:
            raise ValueError(f"networks of the family {self.family} have the sizes {', '.join(sizes)}, not {self.size}")
        return self


def decode_photos(context: RunContext, step: Step) -> StageAnswer:
    """Decode every image once for this image size and square transform."""
    pixels = context.pixels()
    return StageAnswer(images=len(pixels.rows), bytes=int(pixels.training.size + pixels.evaluation.size))


def decoding_inputs(context: RunContext, step: Step) -> dict[str, Any]:
    """Return the inputs of the decoded pixels."""
    split, model = context.workflow.split.model_dump(mode="json"), step.settings
    shape = model.model_dump(mode="json", include={"image_size", "square"})
    return {"fingerprint": context.version.fingerprint, "split": split, "model": shape}


def prepare_weights(context: RunContext, step: Step) -> WeightsAnswer:
    """Find the initial weights."""
    from workflows.training.weights import resolve_weights

    model: ModelSettings = step.settings
    weights = resolve_weights(
        model.weights,
        model.size,
        context.store.weights_folder,
        backbone_named(model.family),
        trust=context.request.trust,
    )
    return WeightsAnswer(path=weights.path and str(weights.path), origin=weights.origin, sha256=weights.sha256)


KIND = NodeKind(
    name="model",
    settings=ModelSettings,
    title="Model",
    inputs=("split",),
    outputs=("network",),
    stages=(
        Stage("decoding", "decode photos", decode_photos, cache_inputs=decoding_inputs, earlier_key="augmentation"),
        Stage("weights", "first weights", prepare_weights, words="first weights", retries=1, earlier_key="model"),
    ),
    cost_fields=frozenset({"family", "size", "image_size"}),
    shown_fields=("family", "size", "image_size", "square", "weights"),
    fixed_fields=frozenset({"family"}),
)
