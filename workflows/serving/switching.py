"""The run that a name refers to now, while names change: a model gets a new champion, `latest` is another run.

A name is resolved at most once a second. When it refers to another run than before, one request loads that
run's classifier while all others use the previous one; only then the name is switched. No request is refused, and one that
started with the old one ends with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from workflows.errors import FieldguideError, StorageError
from workflows.serving.naming import Resolve
from workflows.throttle import Throttle

LOOK_SECONDS = 1.0
KEPT_NAMES = 256

_log = logging.getLogger(__name__)


@dataclass
class _Known:
    run_id: str
    looks: Throttle
    moving: bool = False


class Names:
    """The runs of names. Thread-safe."""

    def __init__(self, resolve: Resolve, load: Callable[[str], object]) -> None:
        """Prepare.

        Args:
            resolve: resolves a name.
            load: loads a run's classifier; may raise FieldguideError.
        """
        self._resolve, self._load = resolve, load
        self._lock = threading.Lock()
        self._known: LRUCache[str, _Known] = LRUCache(KEPT_NAMES)

    def run_of(self, name: str) -> str:
        """Return the run that serves `name`. Raises RunError or ModelError if there is none."""
        with self._lock:
            known = self._known.get(name)
            if known is not None:
                if known.moving or not known.looks.take():
                    return known.run_id
                known.moving = True
        if known is None:
            return self._keep(name, self._resolve(name))
        try:
            return self._keep(name, self._move(name, known.run_id))
        finally:
            known.moving = False

    def _move(self, name: str, before: str) -> str:
        """Return the run of `name` now, loaded; the one `before` if the new one can't be loaded."""
        try:
            found = self._resolve(name)
        except StorageError as error:  # a busy database must not stop a model that is loaded
            _log.warning("%s still refers to run %s: %s", name, before, error.message)
            return before
        except FieldguideError:
            self._forget(name)
            raise
        if found == before:
            return before
        try:
            self._load(found)
        # torch reports a lack of memory by a RuntimeError
        except (FieldguideError, RuntimeError) as error:
            _log.warning("%s still refers to run %s; run %s can't be loaded: %s", name, before, found, error)
            return before
        return found

    def _keep(self, name: str, run_id: str) -> str:
        with self._lock:
            known = self._known.setdefault(name, _Known(run_id, Throttle(LOOK_SECONDS)))
            known.run_id = run_id
            known.looks.done()
        return run_id

    def _forget(self, name: str) -> None:
        with self._lock:
            self._known.pop(name, None)
