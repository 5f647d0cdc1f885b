"""Makes guessing a password slow: after every wrong one, an address waits twice as long, and so do all together."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FREE = 3
"""Wrong guesses of one address that cost nothing: people mistype."""
LONGEST_SECONDS = 15 * 60.0
FORGOTTEN_SECONDS = 60 * 60.0
FREE_IN_ALL = 20
LONGEST_IN_ALL_SECONDS = 5.0
"""Short: else strangers could keep everybody out. A day of it allows 17,000 guesses, however many try."""
REMEMBERED = 1_000
"""Addresses; memory must not grow with those who knock."""


@dataclass
class _Tries:
    failures: int = 0
    last: float = -math.inf

    def wait(self, now: float, free: int, longest: float) -> float:
        """Return the seconds until the next guess may be made."""
        if now - self.last > FORGOTTEN_SECONDS:
            self.failures = 0
        if self.failures < free:
            return 0.0
        pause = min(longest, 2.0 ** min(self.failures - free, 30))
        return max(0.0, self.last + pause - now)

    def fail(self, now: float) -> None:
        self.failures, self.last = self.failures + 1, now


class Guesses:
    """Counts wrong guesses, in this process. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count with a clock in seconds."""
        self._clock, self._lock = clock, threading.Lock()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        self._all = _Tries()
        self._welcome: OrderedDict[str, None] = OrderedDict()

    def begin(self, address: str) -> float:
        """Ask for a guess; return 0 if it may be made, else the seconds to wait.

        A guess counts as wrong from here on, so that many at once can't slip through; :meth:`right` takes that back.
        """
        key, now = _network(address), self._clock()
        with self._lock:
            own = self._tries.setdefault(key, _Tries())
            self._tries.move_to_end(key)
            while len(self._tries) > REMEMBERED:
                self._tries.popitem(last=False)
            wait = own.wait(now, FREE, LONGEST_SECONDS)
            if key not in self._welcome:  # who came in before is not kept out by strangers
                wait = max(wait, self._all.wait(now, FREE_IN_ALL, LONGEST_IN_ALL_SECONDS))
            if wait == 0.0:
                own.fail(now)
                self._all.fail(now)
            return wait

    def right(self, address: str) -> None:
        """Note that the guess was right."""
        key = _network(address)
        with self._lock:
            self._tries.pop(key, None)
            self._all.failures = max(0, self._all.failures - 1)
            self._welcome[key] = None
            while len(self._welcome) > REMEMBERED:
                self._welcome.popitem(last=False)

    def failures(self, address: str) -> int:
        """Return how many wrong guesses of an address are remembered."""
        with self._lock:
            found = self._tries.get(_network(address))
            return found.failures if found else 0


def _network(address: str) -> str:
    """Return what one person has: an IPv4 address, or the 64 bits of an IPv6 network."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
