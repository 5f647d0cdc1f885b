"""Times by the clock of the person who looks at the page: the time zone of their browser."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from app.client import client


def own_zone() -> str:
    """Return the time zone of the browser; this machine's where the browser names none that is known."""
    named = st.context.timezone
    try:
        return ZoneInfo(named).key if named else client().schedules.timezone()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return client().schedules.timezone()


def clock(moment: datetime, zone: str | None = None) -> str:
    """Return a time with its weekday as the clock of a zone shows it, by default the person's: `Mon 2026-03-30 03:00 CEST`."""
    return f"{moment.astimezone(ZoneInfo(zone or own_zone())):%a %Y-%m-%d %H:%M %Z}"
