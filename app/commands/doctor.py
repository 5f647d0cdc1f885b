"""`fieldguide doctor`."""

from __future__ import annotations

import typer

from app.options import AsJson, example
from app.output import Output

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(as_json: AsJson = False) -> None:
    """Check what works on this machine, what doesn't, and how to mend it."""
    out = Output(as_json)
    out.note("Checking; this takes some seconds.")
    from app.checkup import check_up

    findings = check_up()
    failed = any(finding.state == "fail" for finding in findings)
    from rich.text import Text

    lines = [
        Text.assemble(
            (f"{finding.state:<5}", COLOURS[finding.state]),
            (f"{finding.check:<10}", "bold"),
            finding.text,
            f"\n{'':15}-> {finding.mend}" if finding.mend else "",
        )
        for finding in findings
    ]
    out.answer({"ok": not failed, "findings": findings}, *lines)
    if failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog=example("fieldguide doctor"), rich_help_panel="Help")(doctor)
