"""Progress on stderr: bars in a terminal, a line now and then in a log."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING

from workflows.throttle import ProgressThrottle

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from app.output import Output

LINE_SECONDS = 5.0
REFRESH_PER_SECOND = 5.0


class ProgressBars:
    """A `workflows.progress.Progress` for one command. Use it as a context manager and call it from any thread."""

    def __init__(self, output: Output, quiet: bool = False) -> None:
        self._console: Console = output.notes
        self._quiet = quiet
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._lines, self._said = ProgressThrottle(LINE_SECONDS), dict[str, int]()
        self._progress: Progress | None = None

    def __enter__(self) -> ProgressBars:
        if self._console.is_terminal and not self._quiet:
            self._progress = _bars(self._console)
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Show that `done` of `total` units of `stage` are done, with a remark."""
        if self._quiet:
            return
        with self._lock:
            if total == 1 and text:  # no bar to draw, but a message
                self._console.print(f"{stage}: {text}", markup=False)
            elif self._progress is not None:
                self._draw(self._progress, stage, done, total, text)
            else:
                self._say(stage, done, total, text)

    def _draw(self, progress: Progress, stage: str, done: int, total: int, text: str) -> None:
        if stage not in self._tasks:
            for earlier in progress.tasks:  # one that ended early (early stopping) has no time left
                progress.update(earlier.id, total=earlier.completed or earlier.total)
            self._tasks[stage] = progress.add_task(stage, total=total, text="")
        progress.update(self._tasks[stage], completed=done, total=max(total, 1), text=text)

    def _say(self, stage: str, done: int, total: int, text: str) -> None:
        """Write a line at the start and the end of a stage, and every few seconds between when it has moved."""
        if done == self._said.get(stage) or not self._lines.take(stage, always=done >= total):
            return
        self._said[stage] = done
        self._console.print(f"{stage}: {done}/{total}{'  ' + text if text else ''}", markup=False)


def _bars(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[text]}", markup=False, style="cyan"),
        console=console,
        refresh_per_second=REFRESH_PER_SECOND,
    )
