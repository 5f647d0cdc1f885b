"""Checks of quality."""

from __future__ import annotations

from workflows.data.audit.findings import Check

CHECKS: tuple[Check, ...] = ()
