"""Imports, audits and checks of labels that run beside the pages, in processes of their own; leaving a page does not stop them."""

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
from flows.process_identity import ProcessIdentity
from workflows.errors import DatasetError, FieldguideError, error_of
from workflows.store.store import Store

Kind = Literal["scan", "import", "audit", "check labels", "recommend"]
MOST_ENDED = 50


@dataclass
class Job:
    """One piece of work.

    Attributes:
        dataset: name of the data set that it is about.
        stage: what it does now: `unpack`, `import`, `measure`, `audit`, `features`, `check labels`, `recommend`; empty
            before it has reported.
        done: units of the stage that are done, of `total`.
        text: a remark.
        result: its result; an import has it before its audit is over.
        error: why it ended without a result.
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
        """Whether it has not ended yet; its result or error shows how it ended (it has no `State` of its own)."""
        return self.ended is None

    def stop(self) -> None:
        """Stop it; what it has done so far stays."""
        self.stopped = True
        if self.process is not None:
            self.process.terminate()


class Jobs:
    """Starts jobs and follows their progress. All instances in this process on one store share the list."""

    _jobs: ClassVar[dict[str, Job]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(
        self, kind: Kind, dataset: str, request: dict[str, Any] | None = None, then: Callable[[], object] | None = None
    ) -> Job:
        """Start a job; return at once.

        Args:
            kind: what to do; see :mod:`app.dataset_worker`.
            dataset: its name.
            request: its further parameters.
            then: called when it has ended, in whatever way.
        """
        job = Job(kind, dataset, {"kind": kind, "name": dataset, "home": str(self._store.home), **(request or {})})
        with self._lock:
            ended = [each.id for each in self._jobs.values() if not each.running]
            for old in ended[: max(0, len(self._jobs) - MOST_ENDED)]:
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
        """Remove a job that has ended from the list."""
        with self._lock:
            self._jobs.pop(job.id, None)

    def _run(self, job: Job, then: Callable[[], object] | None) -> None:
        try:
            self._follow(job)
        except OSError as error:
            job.error = (
                _stopped()
                if job.stopped
                else DatasetError(
                    f"The work could not be started: {error.strerror}.",
                    "Try again; if memory is short, close programs.",
                )
            )
        finally:
            job.ended = time.time()
            if then is not None:
                then()

    def _follow(self, job: Job) -> None:
        command = [sys.executable, "-P", "-m", "app.dataset_worker", str(ProcessIdentity.current())]
        job.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        if job.stopped:  # before there was a process that could be ended
            job.process.terminate()
        with job.process as process:
            stdin, stdout = process.stdin, process.stdout
            if stdin is None or stdout is None:  # both are pipes
                return
            stdin.write(json.dumps(job.request) + "\n")
            stdin.close()
            whole = _read(job, stdout)
        if job.error is not None:
            names, error = Uploads(self._store).in_words, job.error
            document = {**error.document(), "problems": list(map(names, error.problems))}
            job.error = error_of({**document, "error": names(error.message), "hint": names(error.hint)})
        if job.stopped and job.result is None:
            job.error = _stopped()
        elif not whole and job.error is None and job.result is None:
            job.error = DatasetError(
                f"The work ended unexpectedly (exit code {process.returncode}).",
                "Start it again: finished work is not repeated. If memory was short, close other programs.",
            )


def _stopped() -> DatasetError:
    return DatasetError("It was stopped.", "Start it again: finished work is not repeated.")


def _read(job: Job, stdout: IO[str]) -> bool:
    """Read what the process reports; return whether it completed."""
    whole = False
    for line in stdout:
        try:
            document = json.loads(line)
        except ValueError:  # output of a library
            continue
        if "error" in document:
            job.error, whole = error_of(document), True
        elif "result" in document:
            job.result, whole = document["result"] if job.result is None else job.result, "ended" in document
        else:
            job.stage, job.done = document["stage"], document["done"]
            job.total, job.text = document["total"], document["text"]
    return whole
