"""Which run answers for a name right now, while names move: a model's champion changes, `latest` is another run.

What a name means is looked up at most once a second. When it means another run than before, one request loads that
run's classifier while all others go on with the one before; only then the name moves. Nobody is refused, and who has
begun with the old one ends with it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from workflows.errors import FieldguideError, StorageError
from workflows.serving.naming import Resolve

LOOK_SECONDS = 1.0
KEPT_NAMES = 256

_log = logging.getLogger(__name__)


@dataclass
class _Known:
    run_id: str
    looked_at: float
    moving: bool = False


class Names:
    """What names mean. Call it from any thread."""

    def __init__(self, resolve: Resolve, load: Callable[[str], object]) -> None:
        """Prepare.

        Args:
            resolve: looks a name up.
            load: makes a run's classifier ready; may raise FieldguideError.
        """
        self._resolve, self._load = resolve, load
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def run_of(self, name: str) -> str:
        """Return the run that answers for `name`. Raises RunError or ModelError if there is none."""
        with self._lock:
            known = self._known.get(name)
            if known is not None:
                if known.moving or time.monotonic() - known.looked_at < LOOK_SECONDS:
                    return known.run_id
                known.looked_at, known.moving = time.monotonic(), True
        if known is None:
            return self._keep(name, self._resolve(name))
        try:
            return self._keep(name, self._move(name, known.run_id))
        finally:
            known.moving = False

    def _move(self, name: str, before: str) -> str:
        """Return what `name` means now, ready to answer; what it meant `before` where that can't be had."""
        try:
            found = self._resolve(name)
        except StorageError as error:  # a busy database must not stop a model that is loaded
            _log.warning("%s still means run %s: %s", name, before, error.message)
            return before
        except FieldguideError:
            self._forget(name)
            raise
        if found == before:
            return before
        try:
            self._load(found)
        # torch says that memory is short by a RuntimeError
        except (FieldguideError, RuntimeError) as error:
            _log.warning("%s still means run %s; run %s can't be loaded: %s", name, before, found, error)
            return before
        return found

    def _keep(self, name: str, run_id: str) -> str:
        with self._lock:
            known = self._known.setdefault(name, _Known(run_id, 0.0))
            known.run_id, known.looked_at = run_id, time.monotonic()
            self._known.move_to_end(name)
            while len(self._known) > KEPT_NAMES:
                self._known.popitem(last=False)
        return run_id

    def _forget(self, name: str) -> None:
        with self._lock:
            self._known.pop(name, None)
