"""What the inference server answers: the JSON documents, described for people and for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Trouble(BaseModel):
    """What is wrong, and what to do about it: the body of every answer from 400 up."""

    error: str
    hint: str = ""


class ClassScore(BaseModel):
    """A class and how sure the model is of it."""

    label: str
    confidence: float = Field(ge=0, le=1)


class FilePrediction(BaseModel):
    """The answer for one photo: `label`, `confidence` and `top`, or `error` and `hint`."""

    file: str = Field(description="Its name as sent, or the SHA-256 asked for.")
    label: str | None = None
    confidence: float | None = Field(None, ge=0, le=1)
    top: list[ClassScore] | None = Field(None, description="The likeliest classes, best first.")
    error: str | None = None
    hint: str | None = None


class PredictAnswer(BaseModel):
    """Predictions, in the order of the files."""

    run_id: str
    results: list[FilePrediction]


class HeatMap(BaseModel):
    """Where the network looked."""

    method: str
    target: str | None = Field(description="The class whose evidence it shows; null where the method knows none.")
    layer: int
    map_png: str = Field(description="Base64 of an 8-bit grey PNG of the network's size: 0 = not at all, 255 = most.")
    overlay_png: str | None = Field(None, description="Base64 of a PNG: the map in colours over the input.")


class ExplainAnswer(BaseModel):
    """Why the model says what it says about one photo."""

    run_id: str
    label: str
    confidence: float
    top: list[ClassScore]
    side: int = Field(description="Pixels per side of all pictures here.")
    input_png: str = Field(description="Base64 of a PNG: exactly the pixels that the network saw.")
    maps: list[HeatMap]


class Neighbour(BaseModel):
    """A training image, and how alike the network finds it."""

    image_id: str
    sha256: str
    path: str
    label: str
    similarity: float = Field(description="Cosine of the angle between the two embeddings, in [-1, 1].")


class NearestAnswer(BaseModel):
    """The nearest training images, or how far the embeddings are."""

    run_id: str
    state: Literal["ready", "building"]
    done: int
    total: int
    images: list[Neighbour] = []


class Layer(BaseModel):
    """A layer whose feature map can be looked at."""

    layer: int
    name: str
    cells: int = Field(description="Cells per side of its feature map.")
    default: bool


class ModelSummary(BaseModel):
    """A classifier that can be asked."""

    run_id: str
    dataset: str
    version: int
    created_at: str
    image_size: int
    size: str
    classes: int
    loaded: bool
    names: list[str] = Field([], description="The versions of models that it is, as `birds:2`.")
    champion_of: list[str] = Field([], description="The models whose champion it is: their names mean it now.")


class ModelsAnswer(BaseModel):
    """All classifiers, newest first."""

    default: str | None
    models: list[ModelSummary]


class ModelDetail(BaseModel):
    """Everything about one classifier that a caller may want to choose from."""

    run_id: str
    dataset: str
    version: int
    family: str
    size: str
    image_size: int
    square: str
    step: int
    classes: list[str]
    layers: list[Layer]
    methods: list[str]


class Health(BaseModel):
    """Whether the server is well, and what it has done."""

    status: Literal["ok"] = "ok"
    version: str
    loaded: list[str] = Field(description="Runs whose models are warm.")
    waiting: int = Field(description="Photos being worked on.")
    images: int = Field(description="Photos that went through a network since the start.")
    batches: int = Field(description="In how many batches.")
