"""What a training needs to know, as plain data that any process can read."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from workflows.graph.settings import AugmentationSettings, EvaluationSettings, ModelSettings, TrainingSettings
from workflows.store.files import read_json, write_json

JOB_VARIABLE = "FIELDGUIDE_TRAINING_JOB"
"""Tells the processes that Ultralytics starts for several GPUs where their job is."""


class TrainingJob(BaseModel):
    """One training: settings, photos, first weights, and the folder that everything goes to."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    home: Path
    folder: Path
    """The run's folder; training writes below `training/` in it."""
    classes: tuple[str, ...]
    records: Path
    """Parquet with one row per photo: image_id, sha256, split, label."""
    weights: Path | None
    device: str
    """`cpu`, or GPU numbers such as `0` or `0,1` (never `auto`)."""
    augmentation: AugmentationSettings
    model: ModelSettings
    training: TrainingSettings
    evaluation: EvaluationSettings

    @property
    def outputs(self) -> Path:
        """Return the folder of the training's own files."""
        return self.folder / "training"

    @property
    def checkpoint(self) -> Path:
        """Return the file of the latest full state."""
        return self.outputs / "checkpoint.pt"

    def photos(self) -> pd.DataFrame:
        """Return the rows of `records` with the class number in `target`."""
        table = pd.read_parquet(self.records)
        numbers = {name: number for number, name in enumerate(self.classes)}
        return table.assign(target=table["label"].map(numbers).astype("int64"))

    def publish(self) -> None:
        """Write the job to its folder and name it in the environment, for processes started from here."""
        path = self.outputs / "job.json"
        write_json(path, self.model_dump(mode="json"))
        os.environ[JOB_VARIABLE] = str(path)

    @classmethod
    def from_environment(cls) -> TrainingJob:
        """Read the job that the environment names."""
        return cls.model_validate(read_json(Path(os.environ[JOB_VARIABLE])))
