"""What can be known before a training starts, and its initial weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.client.workflows import Advice
from flows.runner_devices import hardware_path
from workflows.backbones.registry import backbone_named
from workflows.data.catalog import get_version
from workflows.data.version import DatasetVersion
from workflows.errors import StorageError
from workflows.graph.workflow import Workflow
from workflows.recommend.facts import Facts
from workflows.recommend.readiness import Check, is_ready, readiness, smaller_size
from workflows.store.files import read_json
from workflows.store.store import Store
from workflows.training.weight_files import WeightFiles

__all__ = ["Check", "Readiness", "is_ready", "smaller_size"]


class Readiness:
    """Looks before a training at what would end it."""

    def __init__(self, store: Store, facts_of: Callable[[DatasetVersion], Facts]) -> None:
        self._store, self._facts_of = store, facts_of

    def checks(self, advice: Advice, workflow: Workflow, device: str, allow: Sequence[str] = ()) -> list[Check]:
        """Return what can be known before a training starts; see :func:`workflows.recommend.readiness.readiness`."""
        version = get_version(self._store, advice.dataset, advice.version)
        try:
            gpus = int(read_json(hardware_path(self._store))["gpus"])
        except (StorageError, KeyError, TypeError, ValueError):
            gpus = None  # the runner is still probing
        return readiness(
            self._store,
            version,
            workflow,
            advice.hardware,
            facts=self._facts_of(version),
            device=device,
            gpus=gpus,
            allow=allow,
        )

    def planned_weights(self, workflow: Workflow) -> str:
        """Say what the initial weights of a workflow will be on this machine."""
        return self._files(workflow).planned(workflow.model.weights).text

    def download_weights(self, workflow: Workflow) -> None:
        """Download the official weights of a workflow's network. Raises WeightsError."""
        self._files(workflow).download()

    def _files(self, workflow: Workflow) -> WeightFiles:
        return WeightFiles(backbone_named(workflow.model.family), workflow.model.size, self._store.weights_folder)
