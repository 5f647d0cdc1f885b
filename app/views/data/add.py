"""Importing photos: a new data set, or more photos for one that is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import SPLITS, expected_splits, suggest_name, too_small
from app.client.jobs import Job
from app.client.label_tables import ENCODINGS, TABLE_SUFFIXES, beginning, has_folders, table_beside
from app.components.dataset_columns import NO_CHOICE, choose_columns
from app.components.lists import whole_list
from app.components.page import count, go, guarded, plain, show_error
from app.components.uploads import drop_zone, hand_over
from app.views.data.jobs import follow_job
from workflows.data.reasons import READ, READ_FOR_MORE, WITHOUT_LABEL
from workflows.errors import FieldguideError
from workflows.words import listed

UPLOAD, FOLDER = "Upload from this computer", "A folder on the studio's machine"
LAYOUTS = {
    "class-folders": "The folders are the classes.",
    "split-folders": "The folders train, val and test give the split; the folders in them are the classes.",
    "labels-csv": "A label file gives each photo's label.",
    "imagefolder": "A metadata file gives each photo's label.",
    "label-studio": "An export of Label Studio gives each photo's label.",
    "cvat": "An export of CVAT gives each photo's label.",
    "datumaro": "An export in Datumaro's format gives each photo's label.",
    "coco": "An export in COCO's format gives each photo's label.",
    "fiftyone": "An export of FiftyOne gives each photo's label.",
    "imagenet-txt": "Lists of images with the numbers of classes give each photo's label.",
    "open-images": "Tables in the format of Open Images give each photo's label.",
    "unlabelled": "No labels: add them later on the Annotate page.",
}
MAX_LEVEL = 20


@dataclass(frozen=True)
class Source:
    """What is to be imported."""

    path: Path
    labels: Path | None
    name: str
    uploaded: bool


def add_photos(into: str | None) -> None:
    """Draw the form that imports photos as a version.

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
    request = _reading(key, source)
    job = _survey_job(key, source, request)
    if job.running:
        follow_job(job, f"{key}-look")
    elif job.error is not None:
        _refused(key, source, job, request)
    elif job.result is not None:
        with guarded():
            _import_form(key, into, source, request, job.result)


def _upload(key: str) -> Source | None:
    batch = drop_zone(
        key=key,
        title="Drop photos, a folder of photos, or a zip here",
        hint="One folder for each class, or a CSV with filename,label beside the photos, or photos without labels.",
    )
    if batch is None:
        return None
    arrived = client().uploads.arrived(batch)
    chosen = st.session_state.get(f"{key}-beside", {}).get(batch.ticket)
    return Source(arrived.source, Path(chosen) if chosen else arrived.labels, arrived.name, uploaded=True)


def _folder(key: str) -> Source | None:
    left, right = st.columns([3, 2])
    text = left.text_input("Folder, zip or tar", placeholder="/data/photos/flowers", key=f"{key}-path").strip()
    labels = right.text_input("Label file, if there is one", placeholder="labels.csv", key=f"{key}-labels").strip()
    if not text:
        return None
    path = Path(text).expanduser()
    return Source(path, Path(labels).expanduser() if labels else None, path.name, uploaded=False)


def _reading(key: str, source: Source) -> dict[str, Any]:
    """Ask how to read the source."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        unlabelled = st.toggle(
            "Without labels",
            key=f"{key}-unlabelled",
            help="Import all photos without labels; label them later on the Annotate page.",
            disabled=source.labels is not None,
        )
        encoding = ENCODINGS[0]
        if source.labels is not None and source.labels.suffix.lower() in TABLE_SUFFIXES:
            encoding = st.selectbox("Encoding of the label file", ENCODINGS, key=f"{key}-encoding", width=220)
        loose = not unlabelled and _with_unlabelled(key, source)
        level = _class_level(key) if source.labels is None and not unlabelled else 1
    request = {
        "source": str(source.path),
        "labels": str(source.labels) if source.labels else None,
        "unlabelled": bool(unlabelled) and source.labels is None,
        "with_unlabelled": loose,
        "class_level": level,
        "encoding": None if encoding == ENCODINGS[0] else encoding,
    }
    return request | (dict(NO_CHOICE) if request["unlabelled"] else _columns(key, source, request["encoding"]))


def _columns(key: str, source: Source, encoding: Any) -> dict[str, str | None]:
    """Let columns be chosen where the source has a table."""
    table = source.labels or table_beside(source.path)
    if table is None or table.suffix.lower() not in TABLE_SUFFIXES:
        return dict(NO_CHOICE)
    try:
        preview = beginning(table, encoding)
    except FieldguideError:
        return dict(NO_CHOICE)  # the survey of the source reports it, too
    if preview is None:
        return dict(NO_CHOICE)
    # folders beside a table may be the classes, so that the table need not name them
    unsure = source.labels is not None or not has_folders(source.path)
    return choose_columns(key, table.name, preview, expanded=unsure and bool(preview.notes or not preview.complete))


def _with_unlabelled(key: str, source: Source) -> bool:
    """Ask whether photos without a label come in with the others, once such photos were found; by default they do."""
    seen, mark = st.session_state.get(f"{key}-looked"), f"{key}-bare-in"
    job = client().jobs.find(seen[1]) if seen else None
    found = (job.result or {}) if job is not None else {}
    left_out = [*found.get("ignored", ()), *found.get("rejected", ())]
    if any(why in WITHOUT_LABEL for _, why in left_out):
        st.session_state[mark] = str(source.path)
    if st.session_state.get(mark) != str(source.path):
        return False
    return st.toggle(
        "Also photos without a label",
        True,
        key=f"{key}-with-bare",
        help="Some photos are outside the class folders, or not in the label file: import them, too, to be labelled later.",
    )


def _class_level(key: str) -> int:
    """Ask on which level the classes' folders are, once folders were found inside class folders."""
    seen = st.session_state.get(f"{key}-looked")
    job = client().jobs.find(seen[1]) if seen else None
    nested = job is not None and bool((job.result or {}).get("nested"))
    chosen = int(st.session_state.get(f"{key}-level", 1))
    if not nested and chosen == 1:
        return 1
    return int(
        st.number_input(
            "Level of the folders that are classes",
            1,
            MAX_LEVEL,
            key=f"{key}-level",
            width=260,
            help="1: the top folders, with everything in them. 2: the folders inside those, as in group/class/photo.",
        )
    )


def _survey_job(key: str, source: Source, request: dict[str, Any]) -> Job:
    """Return the job that looks through the source, begun if it is another source than before."""
    seen = st.session_state.get(f"{key}-looked")
    job = client().jobs.find(seen[1]) if seen and seen[0] == request else None
    if job is None:
        job = client().jobs.start("scan", "", request)
        st.session_state[f"{key}-looked"] = (request, job.id)
    return job


def _refused(key: str, source: Source, job: Job, request: dict[str, Any]) -> None:
    if job.error is not None:
        show_error(job.error)
    table = job.error.details.get("label_file") if job.error is not None else None
    with st.container(horizontal=True):
        if table:
            st.button(
                f"Use the labels from {plain(Path(table).name)}",
                key=f"{key}-take-beside",
                type="primary",
                on_click=_take_beside,
                args=(key, source, str(table)),
            )
        if not request["unlabelled"] and source.labels is None:
            st.button(
                "Import without labels",
                key=f"{key}-bare",
                type="secondary" if table else "primary",
                on_click=lambda: st.session_state.__setitem__(f"{key}-unlabelled", True),
            )
        if not source.uploaded:
            st.button("Look again", key=f"{key}-look-again", on_click=client().jobs.forget, args=(job,))


def _take_beside(key: str, source: Source, table: str) -> None:
    if source.uploaded:
        st.session_state[f"{key}-beside"] = {st.session_state.get(f"{key}-ticket"): table}
    else:
        st.session_state[f"{key}-labels"] = table


def _import_form(key: str, into: str | None, source: Source, request: dict[str, Any], found: dict[str, Any]) -> None:
    """Show what was found and what an import would do with it; start it."""
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
        bands = _bands(key) if found.get("bands") and into is None else ""
        mirror = into is not None and st.toggle(
            "Remove photos that are not in this source",
            key=f"{key}-mirror",
            help="The new version then holds exactly what the source holds now. Otherwise, photos are only added.",
        )
    with right:
        if classes:
            with guarded():
                _preview(counts, ratios, given=bool(given))
    taken = into is None and name in client().datasets.names()
    if taken:
        st.warning(f"A data set called {plain(name)} exists already: choose it to add photos, or use another name.")
    verb = f"Import {count(found['images'])} photos" if into is None else f"Add {count(found['images'])} photos"
    if st.button(verb, key=f"{key}-import", type="primary", icon=":material/upload:", disabled=taken or not name):
        _begin(key, source, {**request, "ratios": ratios, "group_by": group_by, "mirror": mirror, "bands": bands}, name)


def _left_out(found: dict[str, Any]) -> None:
    out = [(path, "can't be used", why) for path, why in found["rejected"]]
    out += [(path, "ignored", why) for path, why in found["ignored"] if why not in (READ, READ_FOR_MORE)]
    if out:
        title = f"{count(len(out))} other file{'s' if len(out) != 1 else ''} will be left out"
        whole_list(title, pd.DataFrame(out, columns=["File", "Outcome", "Why"]), "left-out.csv", key="add-left-out")


def _shares(key: str) -> tuple[float, float, float]:
    st.markdown("**Split, in percent**", help="Photos for training, for choosing the best weights, and for the test.")
    values = []
    for column, split, default in zip(st.columns(3), SPLITS, (70, 15, 15), strict=True):
        values.append(column.number_input(split, 0, 100, default, 5, key=f"{key}-{split}"))
    train, val, test = (float(value) for value in values)
    if round(train + val + test) != 100:
        st.caption(f"The sum is {train + val + test:g} %: shares are scaled in proportion.")
    return train, val, test


def _grouping(key: str, found: dict[str, Any]) -> str | None:
    with st.expander("Keep photos together"):
        st.caption(
            "Photos of one group (one animal, one camera, one day) stay on one side of the split, "
            "so that the test is fair."
        )
        if found["columns"]:
            none = "no groups"
            chosen = st.selectbox("By column", [none, *found["columns"]], key=f"{key}-column")
            if chosen != none:
                return str(chosen)
        pattern = st.text_input(
            "By a pattern in the file path",
            key=f"{key}-pattern",
            placeholder=r"camera(\d+)",
            help="A regular expression; the part in parentheses names the group.",
        )
        if found["sample"]:
            st.caption(f"Example path: {plain(found['sample'][0])}")
        return pattern.strip() or None


def _bands(key: str) -> str:
    return st.text_input(
        "Bands to show, if there are more than three",
        key=f"{key}-bands",
        placeholder="1,2,3",
        help="For TIFF files with many bands, such as satellite images: those for red, green and blue, or one for "
        "grey. They apply to all versions of the data set and to its models.",
    ).strip()


def _preview(counts: pd.DataFrame, ratios: tuple[float, float, float], *, given: bool) -> None:
    """Show how many photos of each class each split gets."""
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
            few = listed(small, full="the table below")
            st.warning(f"Too few photos for this split: {plain(few)}. Add some, or leave out the test split.")
        st.caption("Approximate photos per class and split (copies and groups stay together):")
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
    """Start the import, and show the data set's page, where it continues."""
    with guarded():
        client().datasets.check_name(name)
        if request.get("bands"):
            client().datasets.check_bands(request["bands"])
        ticket = st.session_state.get(f"{key}-ticket") if source.uploaded else None
        batch = client().uploads.find(ticket) if ticket else None
        client().jobs.start("import", name, request, then=(lambda: client().uploads.discard(batch)) if batch else None)
        hand_over(key)
        st.session_state.pop(f"{key}-looked", None)
        go("data", dataset=name)
