"""The store: everything that Fieldguide stores, in one folder.

::

    HOME/fieldguide.db        the index: data sets, versions, runs, metrics (SQL)
    HOME/blobs/               original images, by SHA-256
    HOME/datasets/NAME/N/     images.parquet and import.json of version N
    HOME/quarantine/NAME/     what imports into a data set rejected
    HOME/runs/RUN/            the files of a run
    HOME/models/NAME/N/       the frozen test set of version N of a model
    HOME/decisions/ID/        the report of one decision about a champion
    HOME/cache/               can be deleted at any time
    HOME/weights/             pretrained weights
    HOME/locks/               who holds what
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workflows import environment
from workflows.store.blobs import Blobs
from workflows.store.confirmed_labels import ConfirmedLabelRecords
from workflows.store.database import Database
from workflows.store.datasets import DatasetRecords
from workflows.store.marks import MarkRecords
from workflows.store.models import ModelRecords
from workflows.store.reviews import ReviewRecords
from workflows.store.run_folder import RunFolder
from workflows.store.run_record import RunRecord
from workflows.store.runs import RunRecords
from workflows.store.schedules import ScheduleRecords
from workflows.store.thresholds import ThresholdRecords
from workflows.store.watching import WatchRecords, WebhookRecords

__all__ = ["Blobs", "DatasetRecords", "ModelRecords", "ReviewRecords", "RunRecord", "RunRecords", "Store"]


FROZEN_FILE = "test_images.parquet"


class Store:
    """All records and files under one state folder. Cheap to open; safe from many processes at once."""

    def __init__(self, home: Path | None = None) -> None:
        """Open the store, making and migrating its database as needed.

        Args:
            home: the state folder; by default the one that the environment names, or the platform's data folder.

        Raises:
            StorageError: the folder or the database can't be used.
        """
        self.home = home.expanduser().resolve() if home is not None else environment.home()
        self.database = Database(self.home)
        self.datasets = DatasetRecords(self.database)
        self.reviews = ReviewRecords(self.database)
        self.confirmed_labels = ConfirmedLabelRecords(self.database)
        self.marks = MarkRecords(self.database)
        self.models = ModelRecords(self.database)
        self.thresholds = ThresholdRecords(self.database)
        self.schedules = ScheduleRecords(self.database)
        self.watched = WatchRecords(self.database)
        self.webhooks = WebhookRecords(self.database)
        self.runs = RunRecords(self.database, self.home / "runs")
        self.blobs = Blobs(self.home / "blobs")

    @property
    def cache_folder(self) -> Path:
        """The folder of files that can be made again."""
        return self.home / "cache"

    @property
    def weights_folder(self) -> Path:
        """The folder of pretrained weights."""
        return self.home / "weights"

    @property
    def locks_folder(self) -> Path:
        """The folder of locks between processes."""
        return self.home / "locks"

    def model_folder(self, name: str, number: int) -> Path:
        """Return the folder of a model version's files."""
        return self.home / "models" / name / str(number)

    def frozen_file(self, name: str, number: int) -> Path:
        """Return the file that lists the images which judged a model version when it was registered."""
        return self.model_folder(name, number) / FROZEN_FILE

    def frozen_files(self) -> Iterator[Path]:
        """Return these files of all models' versions."""
        return (self.home / "models").glob(f"*/*/{FROZEN_FILE}")

    def decision_folder(self, decision_id: str) -> Path:
        """Return the folder of a decision's files."""
        return self.home / "decisions" / decision_id

    def dataset_folder(self, name: str) -> Path:
        """Return the folder of a data set's versions."""
        return self.home / "datasets" / name

    def quarantine_folder(self, name: str) -> Path:
        """Return the folder of files that imports into a data set rejected."""
        return self.home / "quarantine" / name

    def run_folder(self, run_id: str) -> RunFolder:
        """Return the files of a run.

        Raises:
            RunError: this can't be a run's id.
        """
        return self.runs.folder(run_id)
