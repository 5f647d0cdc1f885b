"""Rate limit of logins: after each wrong password the wait doubles, for its address and for all addresses together."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from cachetools import LRUCache

FREE_ATTEMPTS = 3
"""Wrong passwords of one address without a wait: people mistype."""
MAX_WAIT_SECONDS = 15 * 60.0
RESET_SECONDS = 60 * 60.0
FREE_ATTEMPTS_ALL = 20
MAX_WAIT_ALL_SECONDS = 5.0
"""Short: otherwise an attacker could lock everybody out. It allows 17,000 attempts a day from all addresses."""
MAX_ADDRESSES = 1_000
"""Addresses that are remembered; memory must not grow with the attempts."""


@dataclass
class _Attempts:
    failures: int = 0
    last: float = -math.inf

    def wait(self, now: float, free: int, longest: float) -> float:
        """Return the seconds until the next attempt is allowed."""
        if now - self.last > RESET_SECONDS:
            self.failures = 0
        if self.failures < free:
            return 0.0
        pause = min(longest, 2.0 ** min(self.failures - free, 30))
        return max(0.0, self.last + pause - now)

    def fail(self, now: float) -> None:
        self.failures, self.last = self.failures + 1, now


class LoginRateLimiter:
    """Counts failed logins, in this process. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count with a clock in seconds."""
        self._clock, self._lock = clock, threading.Lock()
        self._attempts: LRUCache[str, _Attempts] = LRUCache(MAX_ADDRESSES)
        self._all = _Attempts()
        self._trusted: LRUCache[str, None] = LRUCache(MAX_ADDRESSES)

    def begin(self, address: str) -> float:
        """Begin an attempt; return 0 if it is allowed, else the seconds to wait.

        It counts as failed from here on, so that simultaneous attempts can't bypass the limit, until :meth:`succeeded`.
        """
        key, now = _network(address), self._clock()
        with self._lock:
            own = self._attempts.setdefault(key, _Attempts())
            wait = own.wait(now, FREE_ATTEMPTS, MAX_WAIT_SECONDS)
            if key not in self._trusted:  # who has logged in before is not locked out by attackers
                wait = max(wait, self._all.wait(now, FREE_ATTEMPTS_ALL, MAX_WAIT_ALL_SECONDS))
            if wait == 0.0:
                own.fail(now)
                self._all.fail(now)
            return wait

    def succeeded(self, address: str) -> None:
        """Record that the attempt was a successful login."""
        key = _network(address)
        with self._lock:
            self._attempts.pop(key, None)
            self._all.failures = max(0, self._all.failures - 1)
            self._trusted[key] = None

    def failures(self, address: str) -> int:
        """Return the number of failed logins of an address."""
        with self._lock:
            found = self._attempts.get(_network(address))
            return found.failures if found else 0


def _network(address: str) -> str:
    """Return what one user has: an IPv4 address, or the /64 of an IPv6 network."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
