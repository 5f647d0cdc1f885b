"""`fieldguide dataset audit` and `fix`: what is wrong with a data set, and fixing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.dataset import VersionOption
from app.options import AsJson, DatasetArgument, example
from app.output import Output
from app.words import duration, table
from workflows.store.names import counted

if TYPE_CHECKING:
    from workflows.data.audit.findings import AuditReport, Finding
    from workflows.data.version import DatasetVersion

_RESPLIT_WORDS = "Splits all photos again, look-alikes together; no photo is removed."


def audit(
    name: DatasetArgument,
    version: VersionOption = None,
    finding: Annotated[
        str | None, typer.Option(metavar="FINDING", help="Show only this finding, with all its images.")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Audit again, even if this version was audited.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there are errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what would spoil a training: duplicates, leaks, odd photos, uneven classes, shortcuts.

    Errors stop `fieldguide train` unless they are allowed with --allow. Warnings are shown with the run.
    """
    out = Output(as_json)
    from app.progress_bars import ProgressBars
    from workflows.data.audit.run import audit as audit_version
    from workflows.data.catalog import get_version
    from workflows.store.store import Store

    store = Store()
    found = get_version(store, name, version)
    with ProgressBars(out) as bars:
        report = audit_version(store, found, bars, refresh)
    newest = get_version(store, name).number == found.number
    if finding is None:
        out.answer(report.to_dict(), *_described(report, newest))
    else:
        chosen = _chosen(report, finding)
        images = _images(chosen, found)
        out.answer({**chosen.to_dict(), "images": images}, *_described_fully(report, chosen, images, newest))
    if strict and report.errors:
        raise typer.Exit(1)


def _chosen(report: AuditReport, key: str) -> Finding:
    from workflows.errors import DatasetError

    chosen = report.find(key)
    if chosen is None:
        known = ", ".join(found.key for found in report.findings) or "nothing"
        raise DatasetError(
            f"The audit of {report.name}, version {report.version}, has no finding {key!r}.", f"It found: {known}."
        )
    return chosen


def _described(report: AuditReport, newest: bool) -> list[Any]:
    """The report as a table."""
    of = f"{report.name}, version {report.version}: {report.images:,} images"
    if not report.findings:
        return [f"{of}. No findings; it took {duration(report.seconds)}."]
    counts = ", ".join(counted(count, level) for level, count in report.counts().items() if count)
    rows = [
        [found.severity, found.key, found.count or None, found.title, _remedy(report, found, newest)]
        for found in report.findings
    ]
    lines = [f"{of}. Found: {counts}.", table(["severity", "finding", "#images", "what", "what to do"], rows)]
    lines.append(f"Show one with its images: fieldguide dataset audit {report.name} --finding FINDING")
    if report.errors:
        allowing = " ".join(f"--allow {found.key}" for found in report.errors)
        lines.append(f"Errors stop training. To train regardless: fieldguide train {report.name} {allowing}")
    return lines


def _remedy(report: AuditReport, found: Finding, newest: bool) -> str:
    from workflows.data.audit.repairs import remedies

    commands = remedies(report.name, found) if newest else []
    if commands:
        return commands[0]
    return found.advice.partition(". ")[0].rstrip(".")


def _described_fully(report: AuditReport, found: Finding, images: list[dict[str, Any]], newest: bool) -> list[Any]:
    from workflows.data.audit.repairs import SETTLED_BY_RESPLIT, command, resplit_command

    lines: list[Any] = [f"{found.severity}: {found.title}", "", found.explanation, "", found.advice]
    if found.repair and newest:
        lines += ["", f"{command(report.name, found.key)}: {found.repair}"]
    if found.facts.get("files"):
        lines.append(table(["file", "why"], found.facts["files"]))
    if found.key in SETTLED_BY_RESPLIT and newest:
        lines += ["", f"{resplit_command(report.name)}: {_RESPLIT_WORDS} With --dry-run it only shows the sizes."]
    if images:
        rows = [[image["group"], image["path"], image["label"], image["split"]] for image in images]
        if all(row[0] is None for row in rows):
            lines.append(table(["file", "class", "split"], [row[1:] for row in rows]))
        else:
            lines.append(table(["#group", "file", "class", "split"], rows))
    return lines


def _images(found: Finding, version: DatasetVersion) -> list[dict[str, Any]]:
    """The images of a finding: those that belong together are adjacent and share a group number."""
    groups = found.facts.get("groups") or []
    numbers = {image: number for number, group in enumerate(groups, start=1) for image in group}
    rows = version.table().set_index("image_id")[["path", "label", "split"]].astype(object)
    rows = rows.where(rows.notna(), None)
    order = [image for group in groups for image in group] + [i for i in found.image_ids if i not in numbers]
    return [{"image_id": image, "group": numbers.get(image), **rows.loc[image].to_dict()} for image in order]


def fix(
    name: DatasetArgument,
    finding: Annotated[str, typer.Argument(help="The finding to fix, by its name in `dataset audit`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fix a finding of the audit. This makes a new version; `fieldguide dataset undo` reverts it."""
    out = Output(as_json)
    from app.progress_bars import ProgressBars
    from workflows.data.audit.repairs import SETTLED_BY_RESPLIT, carry_out, plan_repair, resplit_command
    from workflows.store.store import Store

    store = Store()
    with ProgressBars(out) as bars:
        plan = plan_repair(store, name, finding, bars)
    document = {
        "name": name,
        "finding": finding,
        "version": plan.version.number,
        "what": plan.what,
        "removed": list(plan.remove),
        "merged": dict(plan.merge),
        "left": plan.left,
        "instead": resplit_command(name) if finding in SETTLED_BY_RESPLIT else None,
    }
    lines = [f"{name}, version {plan.version.number}: {plan.what}."]
    if plan.left:
        lines.append(f"{plan.left} images with several labels stay as they are: a person must decide.")
    if dry_run:
        if finding in SETTLED_BY_RESPLIT:
            lines.append(f"Or keep them all: {resplit_command(name)}: {_RESPLIT_WORDS}")
        return out.answer(document, *lines, "Nothing was changed (--dry-run).")
    made = carry_out(store, plan)
    lines += [
        f"Version {made.number} has {made.images:,} images.",
        f"To revert it: fieldguide dataset undo {name}",
    ]
    return out.answer({**document, "version": made.number, "images": made.images}, *lines)


def register(commands: typer.Typer) -> None:
    """Add the verbs to `fieldguide dataset`."""
    commands.command(
        epilog=example("fieldguide dataset audit flowers", "fieldguide dataset audit flowers --finding two-labels")
    )(audit)
    commands.command(
        epilog=example("fieldguide dataset fix flowers two-labels", "fieldguide dataset fix flowers tiny --dry-run")
    )(fix)
