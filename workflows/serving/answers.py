"""The responses of the inference server: JSON documents with descriptions for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Trouble(BaseModel):
    """What is wrong, and what to do about it: the body of every response with status 400 or above."""

    error: str
    hint: str = ""


class ClassScore(BaseModel):
    """A class and its confidence."""

    label: str
    confidence: float = Field(ge=0, le=1)


class Review(BaseModel):
    """The model's review threshold."""

    threshold: float = Field(ge=0, le=1, description="Predictions of lower confidence are to be reviewed by a person.")
    is_default: bool = Field(description="No threshold is saved with this model.")


class FilePrediction(BaseModel):
    """The result for one photo: `label`, `confidence` and `top`, or `error` and `hint`."""

    file: str = Field(description="Its name as sent, or the requested SHA-256.")
    label: str | None = None
    confidence: float | None = Field(None, ge=0, le=1)
    to_review: bool | None = Field(None, description="The confidence is below the model's review threshold.")
    top: list[ClassScore] | None = Field(None, description="The most likely classes, best first.")
    error: str | None = None
    hint: str | None = None


class PredictAnswer(BaseModel):
    """Predictions, in the order of the files."""

    run_id: str
    review: Review
    results: list[FilePrediction]


class HeatMap(BaseModel):
    """A heat-map: where the network looked."""

    method: str
    target: str | None = Field(
        description="The class whose evidence it shows; null for methods that are not class-specific."
    )
    layer: int
    flat: bool = Field(False, description="Whether it has no contrast, and so shows nothing.")
    map_png: str = Field(description="Base64 of an 8-bit grey PNG of the network's size: 0 = not at all, 255 = most.")
    overlay_png: str | None = Field(None, description="Base64 of a PNG: the map in colours over the input.")


class ExplainAnswer(BaseModel):
    """The explanation of the prediction for one photo."""

    run_id: str
    label: str
    confidence: float
    to_review: bool = Field(description="The confidence is below the model's review threshold.")
    review: Review
    top: list[ClassScore]
    side: int = Field(description="Pixels per side of all pictures here.")
    input_png: str = Field(description="Base64 of a PNG: exactly the pixels that the network saw.")
    maps: list[HeatMap]


class Neighbour(BaseModel):
    """A training image, and its similarity by the network."""

    image_id: str
    sha256: str
    path: str
    label: str
    similarity: float = Field(description="Cosine of the angle between the two embeddings, in [-1, 1].")


class NearestAnswer(BaseModel):
    """The nearest training images, or the progress of the embeddings."""

    run_id: str
    state: Literal["ready", "building"]
    done: int
    total: int
    images: list[Neighbour] = []


class Layer(BaseModel):
    """A layer for which heat-maps can be computed."""

    layer: int
    name: str
    cells: int = Field(description="Cells per side of its feature map.")
    default: bool


class ModelSummary(BaseModel):
    """An available classifier."""

    run_id: str
    dataset: str
    version: int
    created_at: str
    image_size: int
    size: str
    classes: int
    loaded: bool
    names: list[str] = Field([], description="Its registered model versions, such as `birds:2`.")
    champion_of: list[str] = Field([], description="The models whose champion it is: their names now refer to it.")


class ModelsAnswer(BaseModel):
    """All classifiers, newest first."""

    default: str | None
    models: list[ModelSummary]


class ModelDetail(BaseModel):
    """The details of one classifier: its classes, layers and heat-map methods."""

    run_id: str
    dataset: str
    version: int
    family: str
    size: str
    image_size: int
    square: str
    step: int
    temperature: float = Field(description="Divisor of its logits, for calibrated confidences.")
    classes: list[str]
    review: Review
    layers: list[Layer]
    methods: list[str]


class Health(BaseModel):
    """The state of the server, and its counters."""

    status: Literal["ok"] = "ok"
    version: str
    started_at: str = Field(description="When the server was started, ISO 8601, UTC: all counters begin there.")
    requests: int = Field(description="Requests answered, without those for this page and the documentation.")
    errors: int = Field(description="Of these, answered with status 400 or above.")
    p95_seconds: float | None = Field(
        description="95 % of the last 1,000 requests took no longer than this; null before the first one."
    )
    loaded: list[str] = Field(description="Runs whose models are loaded.")
    waiting: int = Field(description="Photos being processed.")
    images: int = Field(description="Photos processed since the start.")
    batches: int = Field(description="Number of batches of these photos.")
