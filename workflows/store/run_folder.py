"""Every file of a run: what it is called, and where in the run's folder it lies. Nothing else builds such a path.

::

    workflow.yaml, records.parquet, result.json, report.html, training.log
    stages/STEP.json             what each step answered
    training/                    the training's own state: checkpoint, steps, dynamics, batches, preview
    model/                       the classifier: weights and card
    evaluation/, explanation/    the tables and pictures of these nodes (of a second one: evaluation.NODE/)
    evaluations/NAME-vN-SPLIT/   evaluations done afterwards
    explained/, embeddings/      heat-maps and embeddings made afterwards
    pictures/                    charts and sheets for people
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

Kind = TypeVar("Kind")


class _Inside(Generic[Kind]):
    """A file or folder of fixed name inside a folder."""

    def __init__(self, name: str, kind: Callable[[Path], Kind]) -> None:
        self.name, self._kind = name, kind

    def __get__(self, folder: Folder, owner: Any = None) -> Kind:
        return self._kind(folder.path / self.name)


def _file(name: str) -> _Inside[Path]:
    return _Inside(name, Path)


@dataclass(frozen=True)
class Folder:
    """A folder whose files are known by name. It needs not exist."""

    path: Path


class StepFolder(Folder):
    """One table for each evaluation step (epoch): `0001.parquet`, ..."""

    def table(self, step: int) -> Path:
        """Return the table of a step."""
        return self.path / f"{step:04d}.parquet"

    def steps(self) -> list[int]:
        """Return the steps that have a table, in order."""
        return sorted(int(path.stem) for path in self.path.glob("*.parquet") if path.stem.isdigit())


class TrainingFolder(Folder):
    """The checkpoint from which training continues."""

    job = _file("job.json")
    checkpoint = _file("checkpoint.pt")
    best = _file("best.safetensors")
    batches = _file("batches.jsonl")
    failure = _file("failure.json")
    """The error that ended one of several processes."""
    steps = _Inside("steps", StepFolder)
    """The answers for the validation images."""
    dynamics = _Inside("dynamics", StepFolder)
    """The confidences in the training images' labels."""
    preview = _file("preview")
    preview_list = _file("preview.json")

    def preview_image(self, image_id: str) -> Path:
        """Return what the network sees of an image of the preview."""
        return self.preview / f"{image_id}.png"


def checkpoint_bytes(parameters: int) -> int:
    """Return the room that the checkpoints of a training need, for a network with so many parameters.

    Each holds the weights, their average, the best ones and two moments of the optimiser, in 32 bits; and the checkpoint
    before is kept until the new one is safe.
    """
    return 2 * 5 * 4 * parameters


class ModelFolder(Folder):
    """A classifier, in a run or exported."""

    weights = _file("model.safetensors")
    card = _file("model.json")


class EvaluationFolder(Folder):
    """The tables of one evaluation."""

    predictions = _file("predictions.parquet")
    metrics = _file("metrics.json")
    suspected_labels = _file("suspected_labels.csv")
    records = _file("records.parquet")
    """Its images, where they are not the run's own."""

    def table(self, name: str, split: str) -> Path:
        """Return a table of one split, e.g. `per_class`."""
        return self.path / f"{name}_{split}.csv"


class ExplanationFolder(Folder):
    """Heat-maps, and the table of their images."""

    table = _file("explanations.csv")

    def input(self, name: str) -> Path:
        """Return what the network saw of an image."""
        return self.path / f"{name}_input.png"

    def heatmap(self, name: str, method: str) -> Path:
        """Return the heat-map of an image by a method."""
        return self.path / f"{name}_{method}.png"


class EmbeddingsFolder(Folder):
    """The embeddings of the training images."""

    vectors = _file("vectors.npy")
    rows = _file("rows.parquet")
    about = _file("about.json")
    """Which weights they are of; written last."""


class PicturesFolder(Folder):
    """Charts and sheets, and the images on them."""

    def photo(self, image_id: str, suffix: str) -> Path:
        """Return an image as a sheet shows it."""
        return self.path / "photos" / f"{image_id}{suffix}"

    def picture(self, name: str) -> Path:
        """Return a chart or sheet by name."""
        return self.path / f"{name}.png"


class RunFolder(Folder):
    """The files of one run."""

    workflow = _file("workflow.yaml")
    records = _file("records.parquet")
    """The run's images: image_id, path, sha256, split, label."""
    result = _file("result.json")
    report = _file("report.html")
    log = _file("training.log")
    """The output of the process in which the studio runs it."""
    progress = _file("progress.json")
    lock = _file("run.lock")
    """Held by the living process of the run."""
    cancel = _file("cancel")
    finish_early = _file("finish-early")
    training = _Inside("training", TrainingFolder)
    model = _Inside("model", ModelFolder)
    evaluation = _Inside("evaluation", EvaluationFolder)
    explanation = _Inside("explanation", ExplanationFolder)
    pictures = _Inside("pictures", PicturesFolder)
    embeddings = _Inside("embeddings", EmbeddingsFolder)
    explained = _file("explained")

    def answer(self, step: str) -> Path:
        """Return the file of what a step answered."""
        return self.path / "stages" / f"{step}.json"

    def of_step(self, step: str) -> Path:
        """Return the folder of a step's files."""
        return self.path / step

    def evaluated_again(self, dataset: str, version: int, split: str) -> Path:
        """Return the folder of an evaluation done afterwards."""
        return self.path / "evaluations" / f"{dataset}-v{version}-{split}"
