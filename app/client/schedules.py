"""What happens by itself: schedules of retrainings with their log, and watched folders."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.client.asked import checked
from flows import scheduling
from flows.leash import Mark
from flows.studio_file import read_studio
from flows.watching import add_watch
from workflows.retraining.plan import RetrainSettings
from workflows.store.schedules import Firing, Missed, Overlap, Schedule
from workflows.store.store import Store
from workflows.store.watching import WatchedFolder

__all__ = ["Firing", "Schedule", "ScheduleBrief", "Schedules", "WatchedFolder"]

SHOWN_FIRINGS = 100


@dataclass(frozen=True)
class ScheduleBrief:
    """One schedule in a list."""

    schedule: Schedule
    when: str
    """When it fires, in words."""
    last: Firing | None

    @property
    def at_work(self) -> bool:
        """Whether a firing of it waits or runs."""
        return self.last is not None and self.last.state in ("waiting", "running")


class Schedules:
    """Schedules and watched folders: what there is, what came of it, and changing it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # ---------------------------------------------------------------- looking

    def is_up(self) -> bool:
        """Return whether the studio's scheduler is there, without which nothing happens by itself."""
        found = read_studio(self._store.home)
        return found is not None and "scheduler" in found.parts

    def all(self) -> list[ScheduleBrief]:
        """Return all schedules, oldest first."""
        records = self._store.schedules
        return [
            ScheduleBrief(one, scheduling.in_words(one), next(iter(records.firings(one.id, limit=1)), None))
            for one in records.list()
        ]

    def log(self) -> list[Firing]:
        """Return the newest firings of all schedules, newest first."""
        return self._store.schedules.firings(limit=SHOWN_FIRINGS)

    def watches(self) -> list[WatchedFolder]:
        """Return all watched folders, oldest first."""
        return self._store.watched.list()

    def timezone(self) -> str:
        """Return this machine's time zone."""
        return scheduling.local_timezone()

    # --------------------------------------------------------------- changing

    def add(
        self,
        model: str,
        *,
        cron: str | None = None,
        every_seconds: int | None = None,
        on_new_images: int | None = None,
        settings: dict[str, Any] | None = None,
        overlap: Overlap = "skip",
        missed: Missed = "run-once",
    ) -> Schedule:
        """Add a schedule; see :func:`flows.scheduling.add_schedule`. Raises UsageError."""
        wanted = checked(RetrainSettings, settings or {})
        times = {"cron": cron, "every_seconds": every_seconds, "on_new_images": on_new_images}
        return scheduling.add_schedule(
            self._store,
            model,
            settings=wanted,
            overlap=overlap,
            missed=missed,
            **times,  # type: ignore[arg-type]
        )

    def pause(self, schedule_id: str) -> None:
        """Let it fire no more until it is resumed. Raises UsageError."""
        scheduling.pause(self._store, self._store.schedules.get(schedule_id))

    def resume(self, schedule_id: str) -> None:
        """Let it fire again. Raises UsageError."""
        scheduling.resume(self._store, self._store.schedules.get(schedule_id))

    def remove(self, schedule_id: str) -> None:
        """Forget it; its log stays."""
        self._store.schedules.remove(schedule_id)

    def run_now(self, schedule_id: str) -> Firing:
        """Have it fire as soon as the slot is free. Raises UsageError."""
        return scheduling.run_now(self._store, self._store.schedules.get(schedule_id))

    # --------------------------------------------------------- watched folders

    def watch(
        self, dataset: str, folder: str, labels: str = "", unlabelled: bool = False, every_seconds: int = 60
    ) -> WatchedFolder:
        """Watch a folder; see :func:`flows.watching.add_watch`. Raises UsageError."""
        file = Path(labels) if labels else None
        return add_watch(
            self._store, dataset, Path(folder), labels=file, unlabelled=unlabelled, every_seconds=every_seconds
        )

    def pause_watch(self, watch_id: str, paused: bool) -> None:
        """Look at a folder no more, or again."""
        self._store.watched.update(watch_id, paused=paused)

    def remove_watch(self, watch_id: str) -> None:
        """Watch it no longer; what was imported stays."""
        self._store.watched.remove(watch_id)

    def import_now(self, watch_id: str) -> None:
        """Begin to import from a watched folder, in a process of its own. Raises UsageError."""
        watch = self._store.watched.get(watch_id)
        command = [sys.executable, "-P", "-m", "flows.watching", watch.id, "--studio", str(Mark.mine())]
        subprocess.Popen(command, stdin=subprocess.DEVNULL)


def next_fire(schedule: Schedule) -> datetime | None:
    """Return when a schedule fires next; None if it is paused or waits for images."""
    return None if schedule.paused else schedule.next_at
