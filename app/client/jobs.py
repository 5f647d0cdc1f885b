"""Imports and audits that run beside the pages, in processes of their own; leaving a page does not stop them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, ClassVar, Literal

from app.client.uploads import Uploads
from flows.leash import Mark
from workflows.errors import DatasetError, FieldguideError
from workflows.store.store import Store

Kind = Literal["look", "import", "audit", "advise"]
KEPT = 50


@dataclass
class Job:
    """One piece of work.

    Attributes:
        dataset: name of the data set that it is about.
        stage: what it does now: `unpack`, `import`, `measure`, `audit`, `advise`; empty before it told.
        done: units of the stage that are done, of `total`.
        text: a remark.
        result: what came of it; an import has it before its audit is over.
        error: why it ended without.
        ended: when it was over, in seconds since 1970; None while it runs.
    """

    kind: Kind
    dataset: str
    request: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    stage: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    result: dict[str, Any] | None = None
    error: FieldguideError | None = None
    started: float = field(default_factory=time.time)
    ended: float | None = None
    stopped: bool = False
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        """Whether it is not over yet."""
        return self.ended is None

    def stop(self) -> None:
        """End it with what it has done."""
        self.stopped = True
        if self.process is not None:
            self.process.terminate()


class Jobs:
    """Starts work and knows how far it is. All of this process on one store share the list."""

    _jobs: ClassVar[dict[str, Job]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(
        self, kind: Kind, dataset: str, request: dict[str, Any] | None = None, then: Callable[[], object] | None = None
    ) -> Job:
        """Begin; return at once.

        Args:
            kind: what to do; see :mod:`app.worker`.
            dataset: its name.
            request: what else the work must know.
            then: called when it is over, however it ended.
        """
        job = Job(kind, dataset, {"kind": kind, "name": dataset, "home": str(self._store.home), **(request or {})})
        with self._lock:
            ended = [each.id for each in self._jobs.values() if not each.running]
            for old in ended[: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[old]
            self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, then), name=f"{kind} {dataset}", daemon=True).start()
        return job

    def find(self, job_id: str | None) -> Job | None:
        """Return a job by its id, None if there is none (any more)."""
        with self._lock:
            return self._jobs.get(job_id or "")

    def of(self, dataset: str, *kinds: Kind) -> list[Job]:
        """Return the jobs about a data set, of these kinds, the newest first."""
        return [job for job in self._mine(kinds) if job.dataset == dataset][::-1]

    def of_all(self, *kinds: Kind) -> list[Job]:
        """Return all jobs of these kinds, the oldest first."""
        return self._mine(kinds)

    def _mine(self, kinds: Sequence[Kind]) -> list[Job]:
        home = str(self._store.home)
        with self._lock:
            jobs = list(self._jobs.values())
        return [job for job in jobs if job.request["home"] == home and (not kinds or job.kind in kinds)]

    def forget(self, job: Job) -> None:
        """Take a job that is over off the list."""
        with self._lock:
            self._jobs.pop(job.id, None)

    def _run(self, job: Job, then: Callable[[], object] | None) -> None:
        try:
            self._follow(job)
        except OSError as error:
            job.error = DatasetError(
                f"The work could not be started: {error.strerror}.", "Try again; if memory is short, close programs."
            )
        finally:
            job.ended = time.time()
            if then is not None:
                then()

    def _follow(self, job: Job) -> None:
        command = [sys.executable, "-P", "-m", "app.worker", str(Mark.mine())]
        job.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        with job.process as process:
            given, told = process.stdin, process.stdout
            if given is None or told is None:  # both are pipes
                return
            given.write(json.dumps(job.request) + "\n")
            given.close()
            whole = _read(job, told)
        if job.error is not None:
            names = Uploads(self._store).in_words
            job.error = DatasetError(names(job.error.message), names(job.error.hint))
        if job.stopped and job.result is None:
            job.error = DatasetError("It was stopped.", "Begin again: what was done before is not done twice.")
        elif not whole and job.error is None and job.result is None:
            job.error = DatasetError(
                f"The work ended unexpectedly (exit code {process.returncode}).",
                "Begin again: what was done before is not done twice. If memory was short, close other programs.",
            )


def _read(job: Job, told: IO[str]) -> bool:
    """Take in what the process tells; return whether it came to its end."""
    whole = False
    for line in told:
        try:
            document = json.loads(line)
        except ValueError:  # a library that says something on its own account
            continue
        if "error" in document:
            job.error, whole = DatasetError(document["error"], document["hint"]), True
        elif "result" in document:
            job.result, whole = document["result"] if job.result is None else job.result, "ended" in document
        else:
            job.stage, job.done = document["stage"], document["done"]
            job.total, job.text = document["total"], document["text"]
    return whole
