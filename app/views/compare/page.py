"""Compare: two or more runs, on the same images."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.models import ModelVersion
from app.components.address import change_address
from app.components.charts import PERCENT, curves_chart
from app.components.comparison import changed_images, class_changes, metric_changes
from app.components.next_steps import Lead, next_steps
from app.components.page import Action, empty_state, go, guarded, header, plain
from workflows.data.version import HELD_OUT
from workflows.evaluation.comparison import Comparison
from workflows.state import State
from workflows.targets.judged import IMAGES, OPTIMISTIC_RUNS
from workflows.targets.metrics import TOP1

MOST = 6


def main() -> None:
    """Draw the page."""
    header("Compare", "Runs side by side on the same images: is the difference more than chance?")
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
    newest = client().runs.ids(states=(State.FINISHED,), limit=2)
    if len(newest) < 2:
        empty_state(
            "Two finished runs are needed: so far there is one." if newest else "No training has finished yet.",
            Action("Set up a training", page="workflow", icon="play_arrow", primary=True),
        )
        return
    empty_state(
        "Choose two runs or more. The first is what the others are compared with.",
        Action(
            "Compare the newest two", do=lambda: go("compare", runs=",".join(reversed(newest))), icon="compare_arrows"
        ),
        Action("Train another", page="workflow", icon="play_arrow"),
    )


def _pick_runs() -> list[str]:
    """Let runs be chosen, bound to `?runs=`."""
    listed_runs = [run for run in st.query_params.get("runs", "").split(",") if run]
    known = client().runs.ids(states=(State.FINISHED,))
    known += [run for run in listed_runs if run not in known and client().runs.ids(besides=run).count(run)]
    st.session_state["compare-runs"] = [run for run in listed_runs if run in known]

    def note() -> None:
        change_address({"runs": ",".join(st.session_state["compare-runs"])})

    return st.multiselect(
        "Runs",
        known,
        key="compare-runs",
        on_change=note,
        max_selections=MOST,
        placeholder="Choose finished runs",
        format_func=client().marks.called("run"),
    )


def _settings(runs: list[str]) -> None:
    st.subheader("What differs", anchor=False)
    table = client().comparing.differing_settings(runs)
    if table.empty:
        st.caption("All settings are the same.")
        return
    st.dataframe(table, hide_index=True, column_config={"setting": st.column_config.TextColumn("Setting", pinned=True)})

    for run in runs[1:]:
        _data_changes(runs[0], run)


def _data_changes(first: str, second: str) -> None:
    """Say how the data set changed between two runs, and lead to the images."""
    found = client().comparing.data_changes(first, second)
    if found is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"data-changes-{second}"):
        words = f"{found.dataset} v{found.before} → v{found.after}: {found.words}."
        st.caption(f":material/history: {plain(words)}", width="content")
        if st.button(
            "Show the changes", key=f"show-changes-{second}", type="tertiary", icon=":material/photo_library:"
        ):
            versions = {"version": str(found.after), "against": str(found.before)}
            go("data", dataset=found.dataset, view="history", **versions)


def _curves(runs: list[str]) -> None:
    """Draw the curves, those of each set of validation images in a plot of their own."""
    st.subheader("Curves", anchor=False)
    groups = client().comparing.validation_sets(runs)
    if len(groups) > 1:
        st.caption(
            ":material/warning: These runs have different validation images, so their curves can't be compared with each "
            "other: each set of validation images has plots of its own. The comparison below uses the images in common."
        )
    for number, group in enumerate(groups):
        _curves_of(group, "" if len(groups) == 1 else f"-{number}")


def _curves_of(runs: list[str], suffix: str) -> None:
    curves = {run: client().evaluation.curve(run) for run in runs}
    left, right = st.columns(2)
    left.altair_chart(
        curves_chart(curves, TOP1.on("val"), f"{TOP1.heading}, validation", PERCENT),
        theme=None,
        key=f"compare-top1{suffix}",
    )
    right.altair_chart(
        curves_chart(curves, "val/loss", "loss, validation", "~g"), theme=None, key=f"compare-loss{suffix}"
    )


def _pair(first: str, second: str, *, several: bool) -> None:
    st.subheader(f"{plain(second)} against {plain(first)}" if several else "Which is better?", anchor=False)
    splits = [split for split in reversed(HELD_OUT) if split in client().evaluation.subject(first).finals]
    split = st.segmented_control(
        "On",
        splits or ["test"],
        format_func=lambda split: IMAGES[split].capitalize(),
        default=(splits or ["test"])[0],
        key=f"on-{second}",
        required=True,
    )
    with st.spinner("Comparing image by image …", show_time=True):
        found = client().comparing.compare(first, second, "val" if split == "val" else "test")
    st.markdown(plain(found.verdict))
    if split == "val":
        st.caption(f":material/warning: {OPTIMISTIC_RUNS}")
    left_out = client().comparing.left_out(first, second, found)
    if left_out:
        st.caption(f":material/filter_alt: {plain(left_out)}")
    left, right = st.columns(2, gap="large")
    with left:
        metric_changes(found, second)
    with right:
        class_changes(found, second)
    changed_images(found, first, second, evaluated=True)
    _next(found, first, second)


def _next(found: Comparison, first: str, second: str) -> None:
    """Lead on: to the champion, to the mistakes that are left, and to the next training."""
    models, winner = client().models, found.winner
    better = {"a": first, "b": second}.get(winner, "")
    leads = []
    if better:
        other = second if better == first else first
        champions = {model: models.champion_number(model) for model in models.names()}
        own = models.of_run(better)
        rivals = [one for one in models.of_run(other) if champions.get(one.model) == one.number]
        leads.append(_to_champion(better, own, champions, rivals))
    latest = better or second
    which = "the better run" if better else "this run"
    query = {"run": latest, "step": found.split}
    leads.append(Lead(f"Mistakes of {which}", "evaluation", "grid_on", query, help=latest))
    query = {"dataset": client().runs.get(latest).dataset or "", "run": latest}
    leads.append(Lead(f"Change {which} and train again", "workflow", "account_tree", query, help=latest))
    next_steps(leads, f"compare-{second}", "" if better else "None is clearly better: a champion would stay.")


def _to_champion(
    better: str, own: list[ModelVersion], champions: dict[str, int | None], rivals: list[ModelVersion]
) -> Lead:
    """Lead to where the better run becomes the champion, or already is."""
    if own:
        label = "is the champion" if champions.get(own[0].model) == own[0].number else "can become the champion"
        return Lead(f"{own[0]} {label}", "models", "trophy", {"model": own[0].model})
    if rivals:
        query = {"model": rivals[0].model, "view": "register", "run": better}
        return Lead(f"Register it as a version of {rivals[0].model}", "models", "inventory_2", query)
    return Lead("Register it as a model", "models", "inventory_2", {"run": better})


main()
