"""A cache of values that are slow to make."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from cachetools import LRUCache

Found = TypeVar("Found")


class Cache:
    """The most recently used of what is slow to make; safe to use from many threads."""

    def __init__(self, most: int) -> None:
        """Keep at most `most` things."""
        self._kept: LRUCache[Hashable, Any] = LRUCache(most)
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Any:
        """Return the value cached under `key`, or None."""
        with self._lock:
            return self._kept.get(key)

    def get(self, key: Hashable, make: Callable[[], Found]) -> Found:
        """Return the value cached under `key`, made if absent. Two threads may both make it: none waits for the other."""
        with self._lock:
            if key in self._kept:
                return cast(Found, self._kept[key])
        made = make()
        with self._lock:
            self._kept[key] = made
        return made
