"""Who answers: the choice of a model or run to ask, and what to do where nobody can be asked (yet)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from app.client import client
from app.client.inference import ServerDown
from app.components.page import Action, empty_state, go, guarded, plain, show_error, state_badge
from workflows.errors import FieldguideError, ModelError, RunError

POLL_SECONDS = 1.0
UNDER_WAY = ("pending", "running")


@dataclass(frozen=True)
class Answerer:
    """Who is asked: the version of a model that is in use, or a run.

    Attributes:
        run_id: the run whose classifier answers.
        label: what the choice calls it.
        parameter: `model` or `run`, as in the address.
        value: of the parameter.
    """

    run_id: str
    label: str
    parameter: str
    value: str


def pick_answerer(key: str, follow: bool = False) -> Answerer | None:
    """Let a model (its champion answers) or a finished run be chosen; the address (`?model=` or `?run=`) says which.

    None (and what to do instead) if there is none, or if the address names one that can't be asked.

    Args:
        key: tells several choices in one session apart.
        follow: begin with the run that other pages have shown, if any, rather than with the first model.
    """
    with guarded():
        asked = st.query_params.get("run")
        if asked is not None and "model" not in st.query_params and not _askable(asked, key):
            return None
        found = [*_models(), *_runs()]
        if found:
            return _choice(found, key, follow)
        _nothing_trained(key)
    return None


def _askable(run_id: str, key: str) -> bool:
    """Return whether a run has a classifier to ask; say what to do if it has none."""
    try:
        state = client().runs.get(run_id).state
    except RunError:
        st.warning(plain(f"There is no run {run_id!r} here: it was deleted, or the link is not quite right."))
        return True  # the choice offers the others
    if state == "finished":
        return True
    words = "is not finished: it has no model to ask yet." if state in UNDER_WAY else "has left no model to ask."
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            state_badge(state)
            st.markdown(f"The run **{plain(run_id)}** {words}")
        with st.container(horizontal=True):
            label = "Watch it" if state in UNDER_WAY else "See why, and go on with it"
            if st.button(label, key=f"{key}-unready-run", type="primary", icon=":material/show_chart:"):
                go("run", run=run_id)
            st.button("Ask another one", key=f"{key}-unready-other", on_click=_forget_address)
    return False


@contextmanager
def asking(run_id: str, key: str) -> Iterator[None]:
    """Show, in its place, why the body could not ask the inference server, with what can be done in the studio."""
    try:
        yield
    except ServerDown as error:
        server_down(error, key)
    except RunError as error:
        show_error(RunError(error.message, "Choose another one above, or train it again."))
        with st.container(horizontal=True):
            if st.button("Open the run", key=f"{key}-broken-run", icon=":material/show_chart:"):
                go("run", run=run_id)
            if st.button("Set up a training", key=f"{key}-broken-train", icon=":material/play_arrow:"):
                go("workflow")
    except FieldguideError as error:
        show_error(error)


def server_down(error: ServerDown, key: str, again: Callable[[], None] | None = None) -> None:
    """Say how the inference server fares; where it is on its way, the page goes on by itself once it is there.

    Args:
        error: what came of asking it.
        key: tells several places apart.
        again: what to do once it is there, before the page runs again.
    """
    part = client().studio.parts().get("inference")
    if part is None or part.state not in ("starting", "restarting"):
        show_error(error)
        with st.container(horizontal=True):
            st.button("Try again", key=f"{key}-down-again", on_click=again, icon=":material/refresh:")
            if st.button("What runs, and what needs attention", key=f"{key}-down-home", icon=":material/home:"):
                go("home")
        return
    st.fragment(_wait_for_server, run_every=POLL_SECONDS)(part.state == "restarting", again)


def _wait_for_server(died: bool, again: Callable[[], None] | None) -> None:
    part = client().studio.parts().get("inference")
    if part is None or part.state not in ("starting", "restarting"):
        if again is not None:
            again()
        st.rerun()
    words = "The inference server, which holds the models, is starting. This page goes on by itself."
    if died:
        words = "The inference server has ended and is being started again. This page goes on by itself."
    st.info(words, icon=":material/hourglass_top:")
    if died and part is not None:
        st.caption(f"Why it ended stands in its log: {plain(part.log)}")


def _models() -> list[Answerer]:
    wanted = st.query_params.get("model", "")
    found = [
        Answerer(each.champion.run_id, f"{each.name}  (champion: v{each.champion.number})", "model", each.name)
        for each in client().models.briefs()
        if each.champion is not None
    ]
    if wanted and wanted not in [each.value for each in found]:
        found += _named(wanted)
    return found


def _named(wanted: str) -> list[Answerer]:
    """Return the model, or the version of one, that an address names, as `birds` or `birds:2`."""
    name, _, number = wanted.partition(":")
    try:
        version = client().models.get(name, int(number) if number.isascii() and number.isdigit() else None)
    except ModelError as error:
        st.warning(plain(f"{error.message} It may have been renamed or removed."))
        return []
    return [Answerer(version.run_id, f"{version.model}  (v{version.number})", "model", wanted)]


def _runs() -> list[Answerer]:
    besides = st.query_params.get("run")
    ids = client().runs.ids(states=("finished",), besides=besides)
    return [Answerer(run_id, f"Run {run_id}", "run", run_id) for run_id in ids]


def _choice(found: list[Answerer], key: str, follow: bool) -> Answerer:
    widget, last = f"{key}-answerer", f"{key}-answerer-last"
    by_name = {f"{each.parameter}={each.value}": each for each in found}
    wanted = next((f"{name}={st.query_params[name]}" for name in ("model", "run") if name in st.query_params), None)
    if wanted not in by_name:
        wanted = st.session_state.get(last, f"run={st.session_state.get('last-run')}" if follow else None)
    st.session_state[widget] = wanted if wanted in by_name else next(iter(by_name))

    def note() -> None:
        _address(by_name[st.session_state[widget]])

    chosen = st.selectbox(
        "Model or run",
        list(by_name),
        format_func=lambda name: by_name[name].label,
        key=widget,
        on_change=note,
        help="A model's champion answers for its name. Runs that are no model's version can be asked, too.",
    )
    st.session_state[last] = chosen
    _address(by_name[chosen])
    trained = client().runs.get(by_name[chosen].run_id)
    st.caption(plain(f"Trained on {trained.dataset} v{trained.version}, run {trained.run_id}."))
    return by_name[chosen]


def _address(chosen: Answerer) -> None:
    st.query_params.pop("run" if chosen.parameter == "model" else "model", None)
    st.query_params[chosen.parameter] = chosen.value
    if chosen.parameter == "run":
        st.session_state["last-run"] = chosen.value  # other pages begin with it


def _forget_address() -> None:
    for name in ("run", "model"):
        st.query_params.pop(name, None)


def _nothing_trained(key: str) -> None:
    train = Action("Set up a training", page="workflow", icon="play_arrow", primary=True)
    begin = Action("Bring in photos", page="data", icon="upload", primary=True)
    empty_state(
        "There is no model yet: the first training that finishes leaves one.",
        train if client().store.datasets.list() else begin,
        key=key,
    )
