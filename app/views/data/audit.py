"""What an audit found, as cards: how bad, what, why, which photos, what to do, and a fix where that is safe."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import SETTLED_BY_RESPLIT, AuditReport, DatasetVersion, Finding, RepairPlan, counts_in_words
from app.components.gallery import Tile, gallery
from app.components.lists import whole_list
from app.components.page import BadgeColour, count, go, guarded, plain
from app.components.resplitting import resplit_dialog
from app.views.data.actions import report_version

SHOWN = 8
MARKS: dict[str, tuple[BadgeColour, str, str]] = {
    "error": ("red", "error", "Error: blocks training"),
    "warning": ("orange", "warning", "Warning"),
    "info": ("gray", "info", "Worth knowing"),
}


def audit_panel(version: DatasetVersion) -> None:
    """Draw the newest audit of a data set, and the way to a new one."""
    name = version.name
    report = client().datasets.audit(name)
    busy = any(job.running for job in client().jobs.of(name, "import", "audit"))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(_summary(version, report))
        outdated = report is None or report.version != version.number
        if st.button(
            "Audit" if report is None else "Audit again",
            key="audit-run",
            icon=":material/fact_check:",
            type="primary" if outdated else "secondary",
            disabled=busy or not outdated,
            help=None if outdated else "This version was audited; versions never change.",
        ):
            client().jobs.start("audit", name)
            st.rerun()
    if report is None:
        st.caption(
            "The audit looks for copies, test photos that are also in training, probably wrong labels, dark, blurred "
            "and odd photos, and for shortcuts that a model could learn instead of the subject. It changes nothing."
        )
        return
    for finding in report.findings:
        _card(version, report, finding)


def _summary(version: DatasetVersion, report: AuditReport | None) -> str:
    if report is None:
        return "**Not audited yet**"
    found = counts_in_words(report.counts()) or "Nothing found"
    if report.version != version.number:
        return f"**{found}** in version {report.version}; the data set is at version {version.number} now"
    return f"**{found}** in {count(report.images)} photos"


def _card(version: DatasetVersion, report: AuditReport, finding: Finding) -> None:
    colour, icon, word = MARKS[finding.severity]
    with st.container(border=True, key=f"card-{finding.key}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(word, color=colour, icon=f":material/{icon}:")
            st.markdown(f"**{plain(finding.title)}**")
        st.markdown(plain(finding.explanation))
        st.caption(f":material/lightbulb: {plain(finding.advice)}")
        if finding.image_ids:
            _concerned(version, finding)
        if finding.facts.get("files"):
            files = pd.DataFrame(finding.facts["files"], columns=["File", "Why"])
            whole_list(f"All {count(len(files))}", files, "rejected.csv", key=f"finding-files-{finding.key}")
        current = report.version == version.number
        with st.container(horizontal=True):
            if finding.key in SETTLED_BY_RESPLIT and st.button(
                "Re-split …",
                key=f"resplit-{finding.key}",
                # look-alikes do harm only where they leak, and that is a finding of its own
                type="secondary" if finding.severity == "info" or finding.key == "near-duplicates" else "primary",
                icon=":material/call_split:",
                disabled=not current,
                help="All photos stay, and look-alikes stay together." if current else "Audit this version first.",
            ):
                resplit_dialog(version.name, done=report_version)
            if finding.repair and st.button(
                "Fix it …",
                key=f"fix-{finding.key}",
                type="secondary" if finding.severity == "info" or finding.key in SETTLED_BY_RESPLIT else "primary",
                icon=":material/build:",
                disabled=not current,
                help=plain(finding.repair) if current else "Audit this version first.",
            ):
                _fix(version.name, finding)
            if finding.image_ids and st.button(
                f"Show {count(finding.count)} photo{'s' if finding.count != 1 else ''}",
                key=f"show-{finding.key}",
                icon=":material/photo_library:",
                help="Review, relabel, move or remove them.",
            ):
                go("data", dataset=version.name, finding=finding.key)
            if finding.image_ids and st.button(
                "Add to review list", key=f"review-{finding.key}", icon=":material/playlist_add:", type="tertiary"
            ):
                with guarded():
                    client().datasets.add_to_review(version.name, finding.image_ids, finding.title)
                    st.toast(f"{count(finding.count)} on the review list.", icon=":material/playlist_add_check:")


def _concerned(version: DatasetVersion, finding: Finding) -> None:
    """Show the first of the photos; where some belong together, those of the first groups."""
    table = client().datasets.images(version).table
    groups = [list(group) for group in finding.facts.get("groups", [])]
    number_of = {image: number for number, group in enumerate(groups, start=1) for image in group}
    ordered = [image for group in groups for image in group] or list(finding.image_ids)
    ids = [image for image in dict.fromkeys(ordered) if image in table.index][:SHOWN]
    rows = table.loc[ids]
    thumbs = client().datasets.thumbnails(version, rows["sha256"])
    tiles = [
        Tile(
            str(image),
            thumbs.get(row["sha256"]),
            row["label"] if isinstance(row["label"], str) else "no label",
            " · ".join(
                filter(
                    None,
                    [
                        f"group {number_of[image]}" if image in number_of else "",
                        row["split"] if isinstance(row["split"], str) else "",
                        row["path"].rpartition("/")[2],
                    ],
                )
            ),
        )
        for image, row in rows.iterrows()
    ]
    gallery(tiles, key=f"finding-{finding.key}", columns=SHOWN, select="none")


@st.dialog("Fix it", width="medium")
def _fix(name: str, finding: Finding) -> None:
    """Show what would happen, and do it once confirmed."""
    with guarded():
        plan = client().datasets.plan_repair(name, finding.key)
        st.markdown(f"**{plain(finding.title)}**")
        st.markdown(f"{plain(plan.what[:1].upper() + plan.what[1:])}.")
        _leaving(plan)
        if plan.left:
            st.caption(f"{count(plan.left)} photos are left as they are: a person must decide about them.")
        st.caption(f"This makes version {plan.version.number + 1}; undo reverts it.")
        if st.button("Do it", key="fix-do", type="primary", icon=":material/build:"):
            report_version(client().datasets.repair(plan))


def _leaving(plan: RepairPlan) -> None:
    if not plan.remove:
        return
    leaving = client().datasets.images(plan.version).table.loc[list(plan.remove)]
    rows = leaving.iloc[:12]
    thumbs = client().datasets.thumbnails(plan.version, rows["sha256"])
    tiles = [
        Tile(str(image), thumbs.get(row["sha256"]), str(row["label"] or ""), str(row["path"]).rpartition("/")[2])
        for image, row in rows.iterrows()
    ]
    st.caption(f"{count(len(plan.remove))} will be removed{', the first of them' if len(plan.remove) > 12 else ''}:")
    gallery(tiles, key="fix-leaving", columns=6, select="none")
    if len(leaving) > len(rows):
        table = leaving[["path", "label", "split"]].set_axis(["File", "Class", "Split"], axis=1)
        whole_list(f"All {count(len(table))}", table, "leaving.csv", key="fix-leaving-all")
