"""Bringing photos in: a new data set, or more photos for one that is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import SPLITS, expected_splits, suggest_name, too_small
from app.client.jobs import Job
from app.components.dataset_jobs import follow_job
from app.components.page import count, go, guarded, plain, show_error
from app.components.uploads import drop_zone, hand_over
from workflows.errors import FieldguideError

UPLOAD, FOLDER = "Upload from this computer", "A folder on the studio's machine"
LAYOUTS = {
    "class-folders": "The folders are the classes.",
    "split-folders": "The folders train, val and test give the split; the folders in them are the classes.",
    "labels-csv": "A label file says which photo is what.",
    "imagefolder": "A metadata file says which photo is what.",
    "label-studio": "An export of Label Studio says which photo is what.",
    "cvat": "An export of CVAT says which photo is what.",
    "datumaro": "An export in Datumaro's format says which photo is what.",
    "unlabelled": "No labels: they are given later, on the page Annotate.",
}
ENCODINGS = ("UTF-8", "UTF-16", "cp1252", "latin-1")


@dataclass(frozen=True)
class Source:
    """What is to be taken in."""

    path: Path
    labels: Path | None
    name: str
    uploaded: bool


def add_photos(into: str | None) -> None:
    """Draw the way from photos to a version.

    Args:
        into: the data set that gets them; None for a new one.
    """
    key = f"add-{into or ''}"
    where = st.segmented_control(
        "From", (UPLOAD, FOLDER), default=UPLOAD, required=True, key=f"{key}-where", label_visibility="collapsed"
    )
    try:
        source = _upload(key) if where == UPLOAD else _folder(key)
    except FieldguideError as error:
        show_error(error)
        return
    if source is None:
        return
    asked = _reading(key, source)
    job = _looked(key, source, asked)
    if job.running:
        follow_job(job, f"{key}-look")
    elif job.error is not None:
        _refused(key, source, job, asked)
    elif job.result is not None:
        with guarded():
            _import_form(key, into, source, asked, job.result)


def _upload(key: str) -> Source | None:
    batch = drop_zone(
        key=key,
        title="Drop photos, a folder of photos, or a zip here",
        hint="One folder for each class, or a CSV with filename,label beside the photos, or photos without labels.",
    )
    if batch is None:
        return None
    arrived = client().uploads.arrived(batch)
    return Source(arrived.source, arrived.labels, arrived.name, uploaded=True)


def _folder(key: str) -> Source | None:
    left, right = st.columns([3, 2])
    text = left.text_input("Folder, zip or tar", placeholder="/data/photos/flowers", key=f"{key}-path").strip()
    labels = right.text_input("Label file, if there is one", placeholder="labels.csv", key=f"{key}-labels").strip()
    if not text:
        return None
    path = Path(text).expanduser()
    return Source(path, Path(labels).expanduser() if labels else None, path.name, uploaded=False)


def _reading(key: str, source: Source) -> dict[str, Any]:
    """Ask how the source is to be read."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        unlabelled = st.toggle(
            "Without labels",
            key=f"{key}-unlabelled",
            help="Take all photos without a label; they are labelled later, on the page Annotate.",
            disabled=source.labels is not None,
        )
        encoding = ENCODINGS[0]
        if source.labels is not None and source.labels.suffix.lower() in (".csv", ".tsv"):
            encoding = st.selectbox("Encoding of the label file", ENCODINGS, key=f"{key}-encoding", width=220)
    return {
        "source": str(source.path),
        "labels": str(source.labels) if source.labels else None,
        "unlabelled": bool(unlabelled) and source.labels is None,
        "encoding": None if encoding == ENCODINGS[0] else encoding,
    }


def _looked(key: str, source: Source, asked: dict[str, Any]) -> Job:
    """Return the job that looks through the source, begun if it is another source than before."""
    seen = st.session_state.get(f"{key}-looked")
    job = client().jobs.find(seen[1]) if seen and seen[0] == asked else None
    if job is None:
        job = client().jobs.start("look", "", asked)
        st.session_state[f"{key}-looked"] = (asked, job.id)
    return job


def _refused(key: str, source: Source, job: Job, asked: dict[str, Any]) -> None:
    if job.error is not None:
        show_error(job.error)
    with st.container(horizontal=True):
        if not asked["unlabelled"] and source.labels is None:
            st.button(
                "Take the photos without labels",
                key=f"{key}-bare",
                type="primary",
                on_click=lambda: st.session_state.__setitem__(f"{key}-unlabelled", True),
            )
        if not source.uploaded:
            st.button("Look again", key=f"{key}-look-again", on_click=client().jobs.forget, args=(job,))


def _import_form(key: str, into: str | None, source: Source, asked: dict[str, Any], found: dict[str, Any]) -> None:
    """Show what was found and what an import would make of it; begin it."""
    counts = pd.DataFrame(found["counts"], columns=["label", "split", "images"])
    classes = counts["label"].dropna().nunique()
    with st.container(border=True):
        st.markdown(f"**{count(found['images'])} photos" + (f", {count(classes)} classes**" if classes else "**"))
        st.caption(plain(LAYOUTS.get(found["layout"], "")))
        for note in found["notes"]:
            st.caption(f":material/info: {plain(note)}")
        _left_out(found)
    left, right = st.columns([2, 3], gap="large")
    with left:
        name = into or st.text_input("Name of the data set", suggest_name(source.name), key=f"{key}-name").strip()
        given = counts["split"].notna().any()
        ratios = _shares(key) if classes and not given else (0.7, 0.15, 0.15)
        group_by = _grouping(key, found) if classes and not given else None
        mirror = into is not None and st.toggle(
            "Drop photos that are not in this source",
            key=f"{key}-mirror",
            help="The new version then holds exactly what the source holds now. Without it, photos are added.",
        )
    with right:
        if classes:
            with guarded():
                _preview(counts, ratios, given=bool(given))
    taken = into is None and name in client().datasets.names()
    if taken:
        st.warning(f"There is a data set {plain(name)} already: choose it to add photos, or use another name.")
    verb = f"Import {count(found['images'])} photos" if into is None else f"Add {count(found['images'])} photos"
    if st.button(verb, key=f"{key}-import", type="primary", icon=":material/upload:", disabled=taken or not name):
        _begin(key, source, {**asked, "ratios": ratios, "group_by": group_by, "mirror": mirror}, name)


def _left_out(found: dict[str, Any]) -> None:
    out = [(path, "can't be used", why) for path, why in found["rejected"]]
    out += [(path, "ignored", why) for path, why in found["ignored"] if why != "read for the labels"]
    number = len(out) + found["rejected_count"] + found["ignored_count"]
    number -= len(found["rejected"]) + len(found["ignored"])
    if not out:
        return
    with st.expander(f"{count(number)} other file{'s' if number != 1 else ''} will be left out"):
        st.dataframe(
            pd.DataFrame(out, columns=["File", "Outcome", "Why"]),
            hide_index=True,
            height=min(240, 38 + 35 * len(out)),
            key="add-left-out",
        )


def _shares(key: str) -> tuple[float, float, float]:
    st.markdown("**Split, in percent**", help="Photos to learn from, to choose the best weights by, and for the test.")
    values = []
    for column, split, default in zip(st.columns(3), SPLITS, (70, 15, 15), strict=True):
        values.append(column.number_input(split, 0, 100, default, 5, key=f"{key}-{split}"))
    train, val, test = (float(value) for value in values)
    if round(train + val + test) != 100:
        st.caption(f"Together {train + val + test:g} %: taken in proportion.")
    return train, val, test


def _grouping(key: str, found: dict[str, Any]) -> str | None:
    with st.expander("Keep photos together"):
        st.caption(
            "Photos of one group (one animal, one camera, one day) never stand on two sides of the split, "
            "so that the test is a test."
        )
        if found["columns"]:
            none = "no groups"
            chosen = st.selectbox("By the column", [none, *found["columns"]], key=f"{key}-column")
            if chosen != none:
                return str(chosen)
        pattern = st.text_input(
            "By a pattern in the file's path",
            key=f"{key}-pattern",
            placeholder=r"camera(\d+)",
            help="A regular expression; what its bracket matches names the group.",
        )
        if found["sample"]:
            st.caption(f"A path here: {plain(found['sample'][0])}")
        return pattern.strip() or None


def _preview(counts: pd.DataFrame, ratios: tuple[float, float, float], *, given: bool) -> None:
    """Show how many photos of each class go where."""
    labelled = counts[counts["label"].notna()]
    if given:
        both = pd.DataFrame(labelled.groupby(["label", "split"])["images"].sum().unstack(fill_value=0))
        table = both.reindex(columns=list(SPLITS), fill_value=0)
        st.caption("The split that came with the photos:")
    else:
        sums = labelled.groupby("label")["images"].sum()
        totals = {str(name): int(number) for name, number in sums.items()}
        table = expected_splits(totals, ratios)
        small = too_small(totals, ratios)
        if small:
            few = ", ".join(map(plain, small[:5])) + (" …" if len(small) > 5 else "")
            st.warning(f"Too few photos for this split: {few}. Add some, or leave out the test split.")
        st.caption("About so many photos of each class go where (copies and groups stay together):")
    shown = table.assign(all=table.sum(axis=1)).reset_index(names="class")
    st.dataframe(
        shown,
        hide_index=True,
        key="add-preview",
        height=min(290, 38 + 35 * len(shown)),
        column_config={
            "class": st.column_config.TextColumn("Class", width="medium", pinned=True),
            **{name: st.column_config.NumberColumn(name, format="localized") for name in (*SPLITS, "all")},
        },
    )


def _begin(key: str, source: Source, request: dict[str, Any], name: str) -> None:
    """Start the import, and show the data set's page, where it goes on."""
    with guarded():
        client().datasets.check_name(name)
        ticket = st.session_state.get(f"{key}-ticket") if source.uploaded else None
        batch = client().uploads.find(ticket) if ticket else None
        client().jobs.start("import", name, request, then=(lambda: client().uploads.discard(batch)) if batch else None)
        hand_over(key)
        st.session_state.pop(f"{key}-looked", None)
        go("data", dataset=name)
