"""What a training needs to know, as plain data that any process can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel, ConfigDict

from workflows import settings
from workflows.data.rendering import Rendering
from workflows.graph.kinds import NODE_KINDS
from workflows.store.files import read_json, write_json
from workflows.store.run_folder import RunFolder, TrainingFolder
from workflows.targets.registry import DEFAULT

if TYPE_CHECKING:
    from workflows.nodes.augmentation import AugmentationSettings
    from workflows.nodes.evaluation import EvaluationSettings
    from workflows.nodes.model import ModelSettings
    from workflows.nodes.training import TrainingSettings
else:  # the nodes are in a higher layer, and call this one; the registry knows their settings
    AugmentationSettings = NODE_KINDS["augmentation"].settings
    EvaluationSettings = NODE_KINDS["evaluation"].settings
    ModelSettings = NODE_KINDS["model"].settings
    TrainingSettings = NODE_KINDS["training"].settings


class TrainingJob(BaseModel):
    """One training: settings, photos, first weights, and the folder that everything goes to."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    home: Path
    folder: Path
    """The run's folder; training writes below `training/` in it."""
    classes: tuple[str, ...]
    records: Path
    """Parquet with one row per photo: image_id, sha256, split, and what the target makes of them."""
    weights: Path | None
    device: str
    """`cpu`, or GPU numbers such as `0` or `0,1` (never `auto`)."""
    augmentation: AugmentationSettings
    model: ModelSettings
    training: TrainingSettings
    evaluation: EvaluationSettings
    target: str = DEFAULT
    """The kind of labels, by name; jobs of older releases have none."""
    rendering: Rendering | None = None
    """How raw samples are shown, as in the data set; a job from before there were renderings has none."""

    @property
    def outputs(self) -> TrainingFolder:
        """Return the training's own files."""
        return RunFolder(self.folder).training

    def photos(self) -> pd.DataFrame:
        """Return the rows of `records`."""
        return pd.read_parquet(self.records)

    def publish(self) -> None:
        """Write the job to its folder and name it in the environment, for processes started from here."""
        path = self.outputs.job
        write_json(path, self.model_dump(mode="json"))
        settings.TRAINING_JOB.set(str(path))

    @classmethod
    def from_environment(cls) -> TrainingJob:
        """Read the job that the environment names."""
        return cls.model_validate(read_json(Path(settings.TRAINING_JOB.read() or "")))
