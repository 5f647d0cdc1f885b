"""Re-splitting a data set, look-alikes together: the result is shown, and made once confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app.client import client
from app.client.datasets import SPLITS, DatasetVersion, ResplitPlan
from app.components.page import count, guarded, plain


def report_split(version: DatasetVersion) -> None:
    """Have a new split audited, and show the page anew."""
    client().jobs.start("audit", version.name)
    st.toast(plain(f"{version.name} v{version.number}: {version.reason}."), icon=":material/check:")
    st.rerun()


@st.dialog("Re-split, look-alikes together", width="medium")
def resplit_dialog(
    name: str, ratios: Sequence[float] | None = None, done: Callable[[DatasetVersion], None] = report_split
) -> None:
    """Show the resulting sizes, and split once confirmed.

    Args:
        name: the data set.
        ratios: shares of training, validation and test; by default the present ones.
        done: called with the new version.
    """
    with guarded():
        with st.spinner("Finding photos that belong together …"):
            release = bool(st.session_state.get("resplit-release"))
            plan = client().datasets.plan_resplit(name, ratios, release_test_images=release)
        _frozen(plan, release)
        _sizes(plan)
        _warnings(plan)
        st.caption(f"No photo is removed. This makes version {plan.version.number + 1}; undo reverts it.")
        if st.button(
            "Re-split", key="resplit-confirm", type="primary", icon=":material/call_split:", disabled=not plan.moved
        ):
            done(client().datasets.carry_out_resplit(plan))


def _frozen(plan: ResplitPlan, release: bool) -> None:
    """Say which images stay, and let a person move them all the same."""
    if not plan.frozen:
        return
    if not release:
        models = ", ".join(f"{plain(model)} ({count(images)})" for model, images in plan.frozen.items())
        st.caption(f"Photos that a champion is tested on stay out of training: {models}.")
    st.checkbox("Split these test photos, too", key="resplit-release")


def _sizes(plan: ResplitPlan) -> None:
    totals = plan.totals()
    for column, split in zip(st.columns(3), SPLITS, strict=True):
        column.metric(split, count(totals[split]))
    before, after = plan.leaking
    st.markdown(
        f"Held-out photos with a look-alike in an earlier split: **{count(before)} now, {count(after)} afterwards**. "
        f"{count(plan.moved)} photos move."
    )
    st.dataframe(
        plan.sizes.rename_axis("class").reset_index(),
        hide_index=True,
        key="resplit-sizes",
        height=min(300, 38 + 35 * len(plan.sizes)),
        column_config={"class": st.column_config.TextColumn("Class", width="medium", pinned=True)},
    )


def _warnings(plan: ResplitPlan) -> None:
    for warning in plan.warnings():
        st.warning(plain(warning), icon=":material/warning:")
