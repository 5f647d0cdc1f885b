"""The node `augmentation`: random changes of training images, applied during training."""

from __future__ import annotations

from pydantic import Field

from workflows.graph.kinds import NodeKind
from workflows.graph.settings import NodeSettings, Probability


class AugmentationSettings(NodeSettings):
    """Random changes of the training images. Validation, test and prediction never see them."""

    crop_min: float = Field(
        default=0.5,
        gt=0.0,
        le=1.0,
        description="Smallest share of the image's area in a random crop; 1 = no crop.",
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
    grayscale: Probability = Field(default=0.0, description="Probability of conversion to greyscale.")
    blur: Probability = Field(default=0.0, description="Probability of a slight blur (kernel 3-5 pixels).")
    noise: Probability = Field(default=0.0, description="Probability of slight sensor noise.")
    erase: Probability = Field(
        default=0.0, description="Probability of erasing one random rectangle (2-20 % of the area)."
    )


NO_AUGMENTATION = AugmentationSettings(
    crop_min=1.0, crop_aspect=1.0, horizontal_flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0
)
"""Used by workflows without such a node: unchanged images."""

KIND = NodeKind(
    name="augmentation",
    settings=AugmentationSettings,
    title="Augmentation",
    inputs=("split",),
    outputs=("split",),
    optional=True,
    left_out=NO_AUGMENTATION,
    shown_fields=("crop_min", "horizontal_flip", "rotate", "brightness", "saturation", "erase"),
)
