"""The same photo many times as training will see it, next to what validation sees."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

import streamlit as st

from app.client import client
from app.components.gallery import Tile, gallery
from app.components.page import guarded, plain
from app.views.workflow.draft import START, poll_every
from workflows.errors import FieldguideError

if TYPE_CHECKING:
    from app.client.previews import Preview
    from workflows.graph.workflow import Workflow

POLL_SECONDS = 0.3
COUNT = 14
PREVIEW_PIXELS = 300
"""About the height of the finished preview on a wide screen."""
COLUMNS = 7
STRIDE = 7919
"""A prime, so that photos that follow each other are of different classes."""


def augmentation_preview(workflow: Workflow, dataset: str) -> None:
    """Draw the preview; photo and random seed can be changed."""
    photos = client().workflows.training_photos(dataset)
    if not photos:
        st.caption("The training split has no photos yet.")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**The same photo, as training will see it**")
        with st.container(horizontal=True, width="content"):
            if st.button("Another photo", key="augmentation-photo", icon=":material/photo:"):
                st.session_state["augmentation-place"] = int(st.session_state.get("augmentation-place", 0)) + 1
            if st.button("Another seed", key="augmentation-roll", icon=":material/casino:"):
                st.session_state["augmentation-seed"] = int(st.session_state.get("augmentation-seed", 0)) + 1
    place = int(st.session_state.get("augmentation-place", 0)) * STRIDE % len(photos)
    sha256, label = photos[place]
    seed = int(st.session_state.get("augmentation-seed", 0))
    with guarded():
        made = client().workflows.previews.ask(
            workflow, sha256, seed, COUNT, client().datasets.version(dataset).rendering()
        )
        st.fragment(_pictures, run_every=None if made.done() else poll_every(POLL_SECONDS))(made, label, made.done())


def _pictures(made: Future[Preview], label: str, was_done: bool) -> None:
    if not made.done():
        with st.container(height=PREVIEW_PIXELS, border=False):  # so that what is below stays where it is
            st.caption(":material/hourglass_empty: Making the preview; the first one takes a few seconds …")
        return
    if not was_done and not st.session_state.get(START):  # a click at the same time would be lost
        st.rerun()
    if made.cancelled():
        return
    with guarded():
        try:
            preview = made.result()
        except FieldguideError:
            client().workflows.previews.forget(made)
            raise
        left, right = st.columns([1, COLUMNS], gap="small")
        with left:
            tile = Tile("validation", preview.validation, "validation", "always like this", "good")
            gallery([tile], key="augmentation-validation", columns=1, select="none")
            st.caption(plain(label))
        with right:
            tiles = [
                Tile(str(number), one, f"training {number}") for number, one in enumerate(preview.training, start=1)
            ]
            gallery(tiles, key="augmentation-training", columns=COLUMNS, select="none")
