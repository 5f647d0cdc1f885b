"""One photo of a data set in detail: its facts, and the actions on it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import DatasetVersion
from app.components.page import count, guarded, plain, size_of
from app.views.data.jobs import source_words
from workflows.errors import ImageError


def photo_detail(version: DatasetVersion, image_id: str, row: pd.Series, note: str | None) -> None:
    """Show a photo with its facts; actions on it stand in the bar above."""
    try:
        st.image(str(client().datasets.photo(version, row["sha256"])), width="stretch", alt=str(row["path"]))
    except ImageError as error:
        st.warning(plain(error.message))
    label = plain(row["label"]) if isinstance(row["label"], str) else "no label"
    split = plain(row["split"]) if isinstance(row["split"], str) else "no split yet"
    st.markdown(f"**{label}** · {split}")
    if note is not None:
        st.caption(f":material/playlist_add_check: On the review list{f': {plain(note)}' if note else ''}")
    findings = _findings(version.name, image_id)
    if findings:
        st.caption(f":material/report: {plain('; '.join(findings))}")
    st.caption(plain(row["path"]))
    with guarded():
        _facts(version, image_id, row)


def several(rows: pd.DataFrame) -> None:
    """Summarise several chosen photos."""
    st.markdown(f"**{count(len(rows))} photos**")
    st.caption("Label, move or remove them together, above.")
    counts = rows.assign(label=rows["label"].fillna("no label"), split=rows["split"].fillna("no split yet"))
    table = counts.groupby(["label", "split"]).size().rename("photos").reset_index()
    st.dataframe(
        table,
        hide_index=True,
        key="several-table",
        height=min(420, 38 + 35 * len(table)),
        column_config={"label": "Class", "split": "Split", "photos": "Photos"},
    )


def _facts(version: DatasetVersion, image_id: str, row: pd.Series) -> None:
    original = client().datasets.original(row["sha256"])
    facts = {
        "Size": f"{row['width']:,} x {row['height']:,} px, {size_of(original.stat().st_size) if original.exists() else '-'}",
        "Format": f"{row['format']}, {row['mode']}",
        "Source": source_words(str(row["source"])),
        "Group": str(row["group"]) if isinstance(row["group"], str) else "-",
        "Version": f"{version.number} of {version.name}",
        "Id": image_id,
    }
    st.dataframe(
        pd.DataFrame({"fact": list(facts), "value": list(facts.values())}),
        hide_index=True,
        key="photo-facts",
        column_config={"fact": st.column_config.TextColumn(" ", width=80), "value": " "},
    )
    if original.exists():
        st.download_button(
            "Download the original",
            original.read_bytes,
            str(row["path"]).rpartition("/")[2],
            key="photo-original",
            icon=":material/download:",
            on_click="ignore",
        )


def _findings(name: str, image_id: str) -> list[str]:
    report = client().datasets.audit(name)
    return [found.title for found in report.findings if image_id in found.image_ids] if report else []
