"""`fieldguide doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from app.options import AsJson, example
from app.output import Output
from workflows.errors import UsageError

if TYPE_CHECKING:
    from app.doctor_checks import Finding

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    verify: Annotated[
        bool, typer.Option("--verify", help="Instead, read every stored photo again and compare it with its SHA-256.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="With --verify: restore damaged photos from their source.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check what works on this machine, what doesn't, and how to fix it."""
    out = Output(as_json)
    if repair and not verify:
        raise UsageError("--repair needs --verify, which finds what is damaged.", "fieldguide doctor --verify --repair")
    findings = _verified(out, repair) if verify else _checked(out)
    failed = any(finding.state == "fail" for finding in findings)
    from rich.text import Text

    lines = [
        Text.assemble(
            (f"{finding.state:<5}", COLOURS[finding.state]),
            (f"{finding.check:<10}", "bold"),
            finding.text,
            f"\n{'':15}-> {finding.hint}" if finding.hint else "",
        )
        for finding in findings
    ]
    # `mend` is the former name of `hint`
    documents = [{**asdict(finding), "mend": finding.hint} for finding in findings]
    out.answer({"ok": not failed, "findings": documents}, *lines)
    if failed:
        raise typer.Exit(1)


def _checked(out: Output) -> list[Finding]:
    out.note("Checking; this takes some seconds.")
    from app.doctor_checks import run_checks

    return run_checks()


def _verified(out: Output, repair: bool) -> list[Finding]:
    from app.doctor_checks import check_files
    from app.progress_bars import ProgressBars

    with ProgressBars(out) as bars:
        return check_files(bars, repair)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog=example("fieldguide doctor", "fieldguide doctor --verify"), rich_help_panel="Help")(doctor)
