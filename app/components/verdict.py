"""How well a model does, on which images, and the way to an independent figure where validation images judge it."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.page import go, plain
from app.components.resplitting import resplit_dialog
from app.words import headline
from workflows.data.splits import DEFAULT_RATIOS
from workflows.errors import DatasetError
from workflows.targets.judged import Judged


def verdict_line(judged: Judged | None, dataset: str, key: str) -> None:
    """Say how accurate a model is, on which images; where these chose its checkpoint, warn and offer the way out.

    Args:
        judged: what judged it; None if it was not evaluated.
        dataset: the data set that it was trained on.
        key: distinguishes several on one page.
    """
    if judged is None:
        st.caption("It was not evaluated on test or validation images.")
        return
    words = plain(f"{headline(judged)[:1].upper()}{headline(judged)[1:]}.")
    if not judged.optimistic:
        st.caption(words)
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"verdict-{key}"):
        st.caption(f"{words} :material/warning: {plain(judged.caution)}", width="stretch")
        way_out(dataset, key)


def way_out(dataset: str, key: str) -> None:
    """Offer to set test images aside; where that was done since, to train again."""
    try:
        ready = _has_test_images(dataset)
    except DatasetError:
        return  # it was deleted
    if ready:
        if st.button(
            "Train again",
            key=f"again-{key}",
            icon=":material/account_tree:",
            help="The data set has test images now: a new run is judged on them.",
        ):
            go("workflow", dataset=dataset)
    elif st.button(
        "Set test images aside …",
        key=f"set-aside-{key}",
        icon=":material/call_split:",
        help="Shows the sizes of a new split with test images before it is made. Then train again.",
    ):
        resplit_dialog(dataset, DEFAULT_RATIOS)


def _has_test_images(dataset: str) -> bool:
    datasets = client().datasets
    return bool(datasets.images(datasets.version(dataset)).counts["test"].sum())
