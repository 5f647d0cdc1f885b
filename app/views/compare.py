"""Compare: two or more runs, on the very same images."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.evaluation import FINALS
from app.components.charts import PERCENT, curves_chart
from app.components.comparison import changed_images, class_changes, metric_changes
from app.components.page import Action, empty_state, go, guarded, header, plain

MOST = 6


def main() -> None:
    """Draw the page."""
    header("Compare", "Runs beside each other on the very same images: is the difference more than luck?")
    with guarded():
        runs = _pick_runs()
        if len(runs) < 2:
            _too_few()
            return
        _settings(runs)
        _curves(runs)
        for run in runs[1:]:
            with guarded():
                _pair(runs[0], run, several=len(runs) > 2)


def _too_few() -> None:
    newest = client().runs.ids(states=("finished",), limit=2)
    if len(newest) < 2:
        empty_state(
            "Two finished runs are needed: there is one until now." if newest else "No training has finished yet.",
            Action("Set up a training", page="workflow", icon="play_arrow", primary=True),
        )
        return
    empty_state(
        "Choose two runs or more. The first is what the others are compared with.",
        Action(
            "Compare the newest two", do=lambda: go("compare", runs=",".join(reversed(newest))), icon="compare_arrows"
        ),
        Action("Train another one", page="workflow", icon="play_arrow"),
    )


def _pick_runs() -> list[str]:
    """Let runs be chosen, bound to `?runs=`."""
    asked = [run for run in st.query_params.get("runs", "").split(",") if run]
    known = client().runs.ids(states=("finished",))
    known += [run for run in asked if run not in known and client().runs.ids(besides=run).count(run)]
    st.session_state["compare-runs"] = [run for run in asked if run in known]

    def note() -> None:
        st.query_params["runs"] = ",".join(st.session_state["compare-runs"])

    return st.multiselect(
        "Runs", known, key="compare-runs", on_change=note, max_selections=MOST, placeholder="Choose finished runs"
    )


def _settings(runs: list[str]) -> None:
    st.subheader("What differs", anchor=False)
    table = client().comparing.differing_settings(runs)
    if table.empty:
        st.caption("All settings are the same.")
        return
    st.dataframe(table, hide_index=True, column_config={"setting": st.column_config.TextColumn("Setting", pinned=True)})


def _curves(runs: list[str]) -> None:
    st.subheader("Curves", anchor=False)
    curves = {run: client().evaluation.curve(run) for run in runs}
    left, right = st.columns(2)
    left.altair_chart(curves_chart(curves, "val/top1", "top-1, validation", PERCENT), theme=None, key="compare-top1")
    right.altair_chart(curves_chart(curves, "val/loss", "loss, validation", "~g"), theme=None, key="compare-loss")


def _pair(first: str, second: str, *, several: bool) -> None:
    st.subheader(f"{plain(second)} against {plain(first)}" if several else "Which is better?", anchor=False)
    splits = [split for split in reversed(FINALS) if split in client().evaluation.subject(first).finals]
    names = {"test": "Test images", "val": "Validation images"}
    split = st.segmented_control(
        "On",
        splits or ["test"],
        format_func=names.__getitem__,
        default=(splits or ["test"])[0],
        key=f"on-{second}",
        required=True,
    )
    with st.spinner("Comparing image by image …", show_time=True):
        found = client().comparing.compare(first, second, "val" if split == "val" else "test")
    st.markdown(plain(found.verdict))
    if any(found.left_out.values()):
        alone, other, moved = (found.left_out[name] for name in ("only_a", "only_b", "relabelled"))
        st.caption(
            f"Left out: {alone + other:,} images that only one of them has answered, {moved:,} with another label."
        )
    left, right = st.columns(2, gap="large")
    with left:
        metric_changes(found, second)
    with right:
        class_changes(found, second)
    changed_images(found, first, second)


main()
