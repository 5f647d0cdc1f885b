"""Previews of augmented images, from a worker process that stays for a while."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from base64 import b64decode
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from flows.process_identity import ProcessIdentity
from workflows.errors import ImageError, StorageError
from workflows.store.store import Store

if TYPE_CHECKING:
    from workflows.data.rendering import Rendering
    from workflows.graph.workflow import Workflow

MOST_PREVIEWS = 12


@dataclass(frozen=True)
class Preview:
    """One photo as validation sees it, and as training sees it again and again; all PNG or JPEG."""

    validation: bytes
    training: tuple[bytes, ...]


class _Made(LRUCache[str, Future[Preview]]):
    """The latest requested previews; older ones are cancelled."""

    def popitem(self) -> tuple[str, Future[Preview]]:
        line, future = super().popitem()
        future.cancel()
        return line, future


class Previews:
    """Makes previews in the background. Safe to use from many sessions (threads) at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="previews")
        self._lock = threading.Lock()
        self._made = _Made(MOST_PREVIEWS)
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def ask(
        self, workflow: Workflow, sha256: str, seed: int, count: int = 11, rendering: Rendering | None = None
    ) -> Future[Preview]:
        """Return the preview of a stored photo, finished or in progress.

        The future raises FieldguideError: the photo can't be read, or the worker process can't start.

        Args:
            workflow: gives augmentation and input size.
            sha256: the photo.
            seed: another one gives other pictures.
            count: of pictures as training sees them.
            rendering: how the data set shows raw samples.
        """
        model = {"image_size": workflow.model.image_size, "square": workflow.model.square}
        request = {
            "path": str(self._store.blobs.path(sha256)),
            "model": model,
            "augmentation": workflow.augmentation.model_dump(mode="json"),
            "seed": seed,
            "count": count,
            "rendering": rendering.to_dict() if rendering is not None else None,
        }
        line = json.dumps(request, sort_keys=True)
        with self._lock:
            if line not in self._made:
                self._made[line] = self._asking.submit(self._make, line)
            return self._made[line]

    def forget(self, future: Future[Preview]) -> None:
        """Forget a failed preview, so that the next call tries again."""
        with self._lock:
            for line in [line for line, made in self._made.items() if made is future]:
                del self._made[line]

    def _make(self, line: str) -> Preview:
        answer = self._answer(line) or self._answer(line)  # it may just have ended for lack of requests
        if not answer:
            raise StorageError("The preview can't be made: its process ended.", "If memory is short, close programs.")
        if "error" in answer:
            raise ImageError(answer["error"], answer["hint"])
        return Preview(b64decode(answer["validation"]), tuple(b64decode(one) for one in answer["training"]))

    def _answer(self, line: str) -> dict[str, Any] | None:
        """Send a request to the process, started if need be; None if it has ended."""
        try:
            process = self._running()
            if process.stdin is None or process.stdout is None:  # both are pipes
                return None
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            self._end()
            return None
        if not answer:
            self._end()
            return None
        return dict(json.loads(answer))

    def _running(self) -> subprocess.Popen[str]:
        if self._closed:
            raise BrokenPipeError
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-P", "-m", "app.preview_worker", str(ProcessIdentity.current())]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=dict(os.environ))
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                try:
                    if pipe is not None:
                        pipe.close()
                except OSError:  # what was not read by a process that is gone
                    continue

    def close(self) -> None:
        """End the process permanently; pending requests fail."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        self._asking.submit(self._end).result()
