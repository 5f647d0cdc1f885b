"""The scheduler's dealings with Prefect: deployments made to match the records, flow runs that are due, their ends.

One deployment of the flow `retrain` for each schedule, with Prefect's own cron or interval schedule: Prefect decides
when a flow run is due, shows it, and keeps its states.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending, State

from flows.scheduling import fingerprint, in_words
from workflows.store.schedules import Schedule

ENTRYPOINT = "flows/retraining.py:retrain"
ROOT = Path(__file__).resolve().parents[1]

End = Literal["done", "failed", "crashed", "cancelled", "skipped"]


@dataclass(frozen=True)
class Due:
    """A flow run whose time has come."""

    flow_run_id: str
    deployment_id: str
    planned_at: datetime
    by_schedule: bool
    """Whether Prefect's schedule made it; otherwise somebody asked Prefect for it."""


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
        """Part from the server; the next use connects anew."""
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
            schedules=_prefect_schedule(schedule),
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
        """Return the flow runs of these deployments whose time has come, the oldest first."""
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
        """Note that a due flow run is taken, and what it waits for."""
        self.client.set_flow_run_state(UUID(flow_run_id), Pending(message=why), force=True)

    def begin(self, deployment_id: str, name: str, parameters: dict[str, Any]) -> str:
        """Make a flow run that begins at once, outside its schedule; return its id."""
        made = self.client.create_flow_run_from_deployment(
            UUID(deployment_id), parameters=parameters, state=Pending(), name=name
        )
        return str(made.id)

    def end(self, flow_run_id: str, how: End, why: str) -> None:
        """See that Prefect knows the end of a flow run, and of those below it; one that has an end keeps it."""
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


def _state(how: End, why: str) -> State[Any]:
    if how == "done":
        return Completed(message=why)
    if how == "failed":
        return Failed(message=why)
    if how == "crashed":
        return Crashed(message=why)
    return Cancelled(message=why, name="Skipped" if how == "skipped" else "Cancelled")


def _prefect_schedule(schedule: Schedule) -> list[DeploymentScheduleCreate]:
    """Return Prefect's schedule; none for one that waits for images."""
    when: CronSchedule | IntervalSchedule
    if schedule.cron is not None:
        when = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    elif schedule.every_seconds is not None:
        interval = timedelta(seconds=schedule.every_seconds)
        when = IntervalSchedule(interval=interval, anchor_date=schedule.created_at)
    else:
        return []
    return [DeploymentScheduleCreate(schedule=when, active=not schedule.paused)]
