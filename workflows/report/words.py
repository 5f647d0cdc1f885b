"""Numbers in words, the same way in every picture and page."""

from __future__ import annotations

from collections.abc import Sequence

NBSP = "\u00a0"


def percent(share: float, digits: int = 1) -> str:
    """Return a share in [0, 1] as `91.1 %`; what is not quite all or nothing never looks like it."""
    smallest = 10.0**-digits
    value = share * 100
    if 0 < value < smallest / 2:
        return f"<{NBSP}{smallest:.{digits}f}{NBSP}%"
    if 100 - smallest / 2 <= value < 100:
        return f">{NBSP}{100 - smallest:.{digits}f}{NBSP}%"
    return f"{value:.{digits}f}{NBSP}%"


def percent_range(low: float, high: float, digits: int = 1) -> str:
    """Return two shares as `between 88.4 % and 93.2 %`."""
    return f"between {percent(low, digits)} and {percent(high, digits)}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 image`, `1,234 images`."""
    return f"{number:,}{NBSP}{noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Return a time as a person would say it: `0.4 s`, `48 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NBSP}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min" + (f" {rest}{NBSP}s" if rest and minutes < 10 else "")
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours}{NBSP}h" + (f" {minutes}{NBSP}min" if minutes else "")


def size(number: float) -> str:
    """Return a number of bytes as `512 MB`, in powers of 1000."""
    for unit in ("bytes", "kB", "MB"):
        if number < 999.5:
            return f"{number:.0f}{NBSP}{unit}"
        number /= 1000
    return f"{number:.1f}{NBSP}GB"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return `a, b and c`, or `a, b, c and 4 more`."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def plain(value: object) -> str:
    """Return a setting's value for reading: `yes`, `0.001`, `eigen-cam, grad-cam++`, `not set`."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or "none"
    return str(value)
