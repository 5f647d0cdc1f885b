"""The scheduler's interface to Prefect: deployments that match the records, due flow runs, their end states.

One deployment of the flow `retrain` for each schedule: Prefect shows its flow runs and their states, and one can
be started there. It has no times: those are the scheduler's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending
from prefect.states import State as PrefectState

from flows.scheduling import fingerprint, in_words
from workflows.state import State
from workflows.store.schedules import Schedule

ENTRYPOINT = "flows/retraining.py:retrain"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Due:
    """A due flow run."""

    flow_run_id: str
    deployment_id: str
    planned_at: datetime
    by_schedule: bool
    """Whether Prefect's schedule made it; otherwise it was requested in Prefect."""


class Deployments:
    """The deployments of one state folder. Every method may raise what `flows.reporting.UNREACHABLE` names."""

    def __init__(self, home: Path) -> None:
        self._mark = f"home-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"
        self._client: SyncPrefectClient | None = None

    @property
    def client(self) -> SyncPrefectClient:
        """The client, connected at its first use."""
        if self._client is None:
            client = get_client(sync_client=True)
            self._client = client.__enter__()
        return self._client

    def close(self) -> None:
        """Close the connection; the next use connects again."""
        client, self._client = self._client, None
        if client is not None:
            client.__exit__(None, None, None)

    # ------------------------------------------------------------ deployments

    def match(self, schedules: Iterable[Schedule]) -> dict[str, str]:
        """Make, change and remove deployments so that there is one for each schedule; return their ids by schedule."""
        wanted = {one.id: one for one in schedules}
        tags = DeploymentFilterTags(all_=["fieldguide", self._mark])
        there = {one.name: one for one in self.client.read_deployments(deployment_filter=DeploymentFilter(tags=tags))}
        for name in set(there) - set(wanted):
            with suppress(ObjectNotFound):
                self.client.delete_deployment(there[name].id)
        ids = {}
        for name, schedule in wanted.items():
            same = name in there and there[name].version == fingerprint(schedule)
            ids[name] = str(there[name].id) if same else self._deploy(schedule)
        return ids

    def _deploy(self, schedule: Schedule) -> str:
        made = self.client.create_deployment(
            flow_id=self.client.create_flow_from_name("retrain"),
            name=schedule.id,
            version=fingerprint(schedule),
            schedules=[],  # also removes those of an earlier version
            parameters={"model": schedule.model, "trigger": in_words(schedule), "settings": schedule.settings},
            description=f"Retrain {schedule.model}: {in_words(schedule)}",
            tags=["fieldguide", self._mark],
            path=str(ROOT),
            entrypoint=ENTRYPOINT,
            paused=schedule.paused,
            enforce_parameter_schema=False,
        )
        return str(made)

    # -------------------------------------------------------------- flow runs

    def due(self, deployment_ids: Sequence[str], before: datetime) -> list[Due]:
        """Return the due flow runs of these deployments, the oldest first."""
        if not deployment_ids:
            return []
        found = self.client.get_scheduled_flow_runs_for_deployments(
            [UUID(one) for one in deployment_ids], scheduled_before=before
        )
        due = [
            Due(str(run.id), str(run.deployment_id), run.expected_start_time or before, bool(run.auto_scheduled))
            for run in found
        ]
        return sorted(due, key=lambda one: one.planned_at)

    def claim(self, flow_run_id: str, why: str) -> None:
        """Mark a due flow run as claimed, with what it waits for."""
        self.client.set_flow_run_state(UUID(flow_run_id), Pending(message=why), force=True)

    def begin(self, deployment_id: str, name: str, parameters: dict[str, Any]) -> str:
        """Create a flow run that starts at once, outside its schedule; return its id."""
        made = self.client.create_flow_run_from_deployment(
            UUID(deployment_id), parameters=parameters, state=Pending(), name=name
        )
        return str(made.id)

    def end(self, flow_run_id: str, how: State, why: str) -> None:
        """Report the end of a flow run and its subflows to Prefect, unless Prefect has one."""
        try:
            run = self.client.read_flow_run(UUID(flow_run_id))
        except ObjectNotFound:
            return
        below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
        for child in self.client.read_flow_runs(flow_run_filter=below):
            if child.state is not None and not child.state.is_final():
                self.client.set_flow_run_state(child.id, Crashed(message="its process has ended"), force=True)
        if run.state is not None and not run.state.is_final():
            self.client.set_flow_run_state(run.id, _state(how, why), force=True)


def _state(how: State, why: str) -> PrefectState[Any]:
    if how == State.FINISHED:
        return Completed(message=why)
    if how == State.FAILED:
        return Failed(message=why)
    if how == State.INTERRUPTED:
        return Crashed(message=why)
    return Cancelled(message=why, name="Skipped" if how == State.SKIPPED else "Cancelled")
