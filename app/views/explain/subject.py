"""Choosing the photo to explain: one of the data set, or one of the person's own."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app.client import client
from app.client.drops import MAX_PHOTO_BYTES
from app.components.address import change_address
from app.components.gallery import Tile, Tone, gallery, pager
from app.components.page import count, percent, plain
from app.components.uploads import drop_zone
from workflows.data.version import HELD_OUT

PER_PAGE = 12
ALL_CLASSES = "All classes"
SPLITS = {"test": "Test", "val": "Validation", "train": "Training", "all": "All images"}


@dataclass(frozen=True)
class Chosen:
    """The photo to explain.

    Attributes:
        image: the SHA-256 of an image of the store, or the content of a file.
        name: its path in the data set, or the file's name.
        truth: its label, if it has one.
        split: train, val or test; empty for a file.
    """

    image: str | bytes
    name: str
    truth: str | None = None
    split: str = ""


def choose_upload(run_id: str) -> Chosen | None:
    """Let photos be dropped, and one of them be chosen, drawn as the run's model sees it.

    Raises:
        SourceError: there is no photo in what was dropped, or it is too large.
        StorageError: the disk is full or can't be written.
    """
    batch = drop_zone(
        key="explain",
        title="Drop a photo here",
        hint=f"It stays on this machine, in no data set. At most {MAX_PHOTO_BYTES // 1024**2} MB.",
        many=False,
    )
    if batch is None:
        return None
    with st.spinner("Reading what was dropped …"):
        photos = client().drops.take(batch).photos
    photo = photos[0]
    if len(photos) > 1:
        number = st.selectbox(
            f"Which of the {count(len(photos))} photos",
            range(len(photos)),
            format_func=lambda number: photos[number].name,
            key=f"explain-photo-{batch.folder.name}",
        )
        photo = photos[number]
    preview = client().drops.preview(run_id, photo)
    if preview is not None:
        st.image(preview, width="stretch", caption="The whole photo")
    return Chosen(client().drops.content(photo), photo.name)


def choose_stored(run_id: str) -> Chosen | None:
    """Let an image of the run's data set be chosen; the address (`?image=`) says which.

    Raises:
        RunError: the run has no list of images yet.
    """
    table = answered_images(run_id)
    found = _filtered(table)
    if found.empty:
        st.info("No image matches these filters.", icon=":material/filter_alt_off:")
    else:
        _offer(run_id, found)
    wanted = st.query_params.get("image")
    if wanted is not None and wanted not in table.index:
        st.warning(plain(f"This run has no image {wanted}."))
        wanted = None
    if wanted is None:
        if found.empty:
            return None
        wanted = str(found.index[0])
    row = table.loc[wanted]
    return Chosen(str(row["sha256"]), str(row["path"]), str(row["label"]), str(row["split"]))


def answered_images(run_id: str) -> pd.DataFrame:
    """Return the run's images with its final answers, mistakes first, the most confident first.

    Index `image_id`; columns `path`, `sha256`, `split`, `label`, `predicted`, `confidence` and `correct`, the last
    three empty where there is no answer (training images).
    """
    evaluation = client().evaluation
    records = evaluation.records(run_id)
    parts = [evaluation.evaluated(run_id, split).frame for split in evaluation.subject(run_id).finals]
    if not parts:
        return records.assign(predicted=None, confidence=float("nan"), correct=None)
    answers = pd.concat([part[["image_id", "predicted", "confidence", "correct"]] for part in parts])
    joined = records.join(answers.astype({"predicted": object, "correct": object}).set_index("image_id"))
    wrong = joined["correct"].eq(False)
    return joined.assign(wrong=wrong).sort_values(["wrong", "confidence"], ascending=False, kind="stable")


def _filtered(table: pd.DataFrame) -> pd.DataFrame:
    held = [split for split in SPLITS if split == "all" or (table["split"] == split).any()]
    left, right = st.columns(2)
    split = left.selectbox("Images", held, format_func=SPLITS.__getitem__, key="explain-split")
    label = right.selectbox("Class", [ALL_CLASSES, *sorted(table["label"].unique())], key="explain-class")
    left, right = st.columns(2, vertical_alignment="bottom")
    text = left.text_input("Search file names", key="explain-search", placeholder="part of a file's name")
    only_wrong = right.toggle("Mistakes only", key="explain-wrong", disabled=split not in (*HELD_OUT, "all"))
    keep = pd.Series(True, index=table.index)
    if split != "all":
        keep &= table["split"] == split
    if label != ALL_CLASSES:
        keep &= table["label"] == label
    if text.strip():
        keep &= table["path"].str.contains(text.strip(), case=False, regex=False)
    if only_wrong and split != "train":
        keep &= table["correct"].eq(False)
    return table[keep]


def _offer(run_id: str, found: pd.DataFrame) -> None:
    st.caption(f"{count(len(found))} images, mistakes first")
    page = found.iloc[pager(len(found), PER_PAGE, "explain-page")]
    thumbs = client().evaluation.thumbnails(run_id, page.index)
    tiles = [_tile(image_id, row, thumbs.get(str(image_id))) for image_id, row in page.iterrows()]
    clicked = gallery(tiles, key="explain-images", columns=3)
    if clicked and clicked[0] != st.session_state.get("explain-clicked"):
        st.session_state["explain-clicked"] = clicked[0]
        change_address({"image": clicked[0]})


def _tile(image_id: Hashable, row: pd.Series, thumb: object) -> Tile:
    answered = isinstance(row["predicted"], str)
    tone: Tone = "" if not answered else "bad" if row["wrong"] else "good"
    detail = f"{row['predicted']} {percent(float(row['confidence']))}" if answered else "not predicted yet"
    return Tile(str(image_id), thumb, str(row["label"]), detail, tone)  # type: ignore[arg-type]
