"""The settings of every node kind, as plain data.

The package that does a node's work takes these as its argument, so that a new node kind is one class
here, one function there and one entry in `NODE_KINDS`. Every field has a description with its unit and
a range: forms, `--help` and error messages are made from them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Square = Literal["crop", "pad", "stretch"]
ModelSize = Literal["n", "s", "m", "l", "x"]
Monitor = Literal["top1", "f1_macro", "log_loss"]


class NodeSettings(BaseModel):
    """What all nodes share: unknown fields are refused, values can't change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSettings(NodeSettings):
    """Which images, with which labels."""

    name: str = Field(min_length=1, description="Name of the data set, as `fieldguide dataset list` shows it.")
    version: int | None = Field(default=None, ge=1, description="Version number; empty means the newest at the start.")


class SplitSettings(NodeSettings):
    """Which images teach, which choose the checkpoint, which are kept for the test."""

    source: Literal["version", "new"] = Field(
        default="version",
        description="`version`: the split stored with the data set; `new`: make one for this run alone.",
    )
    train_on: Literal["train", "train+val"] = Field(
        default="train",
        description="Images that teach. `train+val`: those for validation, too. Nothing is then left to choose a "
        "checkpoint by, so training takes all its epochs and keeps the last weights; there must be test images.",
    )
    train: Probability = Field(default=0.70, description="Share of images for training (only for `new`).")
    val: Probability = Field(default=0.15, description="Share of images for validation (only for `new`).")
    test: Probability = Field(default=0.15, description="Share of images for the final test (only for `new`).")
    seed: int = Field(default=0, ge=0, description="Seed of the split (only for `new`).")

    @model_validator(mode="after")
    def _shares_add_up(self) -> SplitSettings:
        if abs(self.train + self.val + self.test - 1.0) > 1e-6:
            raise ValueError(f"train + val + test must be 1, but is {self.train + self.val + self.test:g}")
        return self


class AugmentationSettings(NodeSettings):
    """Random changes of the training images. Validation, test and prediction never see them."""

    crop_min: float = Field(
        default=0.5,
        gt=0.0,
        le=1.0,
        description="Smallest share of the picture's area that a random crop keeps; 1 = no crop.",
    )
    crop_aspect: float = Field(
        default=1.33,
        ge=1.0,
        le=4.0,
        description="Largest distortion of a crop's aspect ratio (width:height up to this).",
    )
    horizontal_flip: Probability = Field(default=0.5, description="Probability of a left-right flip.")
    vertical_flip: Probability = Field(default=0.0, description="Probability of an upside-down flip.")
    quarter_turns: Probability = Field(
        default=0.0, description="Probability of a random turn by 90, 180 or 270 degrees."
    )
    rotate: float = Field(default=0.0, ge=0.0, le=180.0, description="Largest random rotation, in degrees.")
    translate: float = Field(default=0.0, ge=0.0, le=0.5, description="Largest random shift, as a share of the side.")
    zoom: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="Largest random zoom in or out, as a share of the size."
    )
    brightness: float = Field(default=0.2, ge=0.0, le=1.0, description="Largest relative change of brightness.")
    contrast: float = Field(default=0.2, ge=0.0, le=1.0, description="Largest relative change of contrast.")
    saturation: float = Field(default=0.2, ge=0.0, le=1.0, description="Largest relative change of colour saturation.")
    hue: float = Field(
        default=0.015, ge=0.0, le=0.5, description="Largest shift of hue, as a share of the colour circle."
    )
    grayscale: Probability = Field(default=0.0, description="Probability of losing all colour.")
    blur: Probability = Field(default=0.0, description="Probability of a slight blur (kernel 3-5 pixels).")
    noise: Probability = Field(default=0.0, description="Probability of slight sensor noise.")
    erase: Probability = Field(
        default=0.0, description="Probability of erasing one random rectangle (2-20 % of the area)."
    )


class ModelSettings(NodeSettings):
    """The network, and how a photo becomes its square input."""

    family: Literal["yolov8-cls"] = Field(default="yolov8-cls", description="Architecture family.")
    size: ModelSize = Field(
        default="n", description="Model size: n (1.4 M parameters), s (5 M), m (16 M), l (36 M), x (56 M)."
    )
    image_size: int = Field(
        default=224,
        ge=32,
        le=1280,
        multiple_of=32,
        description="Side of the square input, in pixels; a multiple of 32.",
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
    dropout: float = Field(default=0.0, ge=0.0, le=0.9, description="Dropout before the classifier layer.")


class TrainingSettings(NodeSettings):
    """How the network learns."""

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
    evaluate_every: int = Field(default=1, ge=1, description="Evaluate each this many epochs (and after the last).")
    precision: Literal["auto", "float32", "mixed"] = Field(
        default="auto",
        description="`mixed`: 16-bit arithmetic where it is safe and the device has it; `auto`: if it is faster.",
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


class EvaluationSettings(NodeSettings):
    """What is measured with the best checkpoint."""

    splits: tuple[Literal["val", "test"], ...] = Field(default=("val", "test"), description="Splits to evaluate.")
    calibration_bins: int = Field(default=15, ge=2, le=100, description="Confidence bins of the calibration error.")
    preview_images: int = Field(default=48, ge=0, le=1000, description="Validation images followed through all steps.")


class ExplanationSettings(NodeSettings):
    """What the network looked at."""

    methods: tuple[Literal["eigen-cam", "grad-cam", "grad-cam++", "layer-cam"], ...] = Field(
        default=("eigen-cam", "grad-cam++"), min_length=1, description="Heat-map methods, side by side."
    )
    images: int = Field(
        default=16, ge=0, le=500, description="Test images to explain: the most confidently wrong, then right."
    )


NODE_KINDS: dict[str, type[NodeSettings]] = {
    "dataset": DatasetSettings,
    "split": SplitSettings,
    "augmentation": AugmentationSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "explanation": ExplanationSettings,
}
