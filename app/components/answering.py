"""The choice of the model or run that predicts, and what to do where none can (yet)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from app.client import client
from app.client.inference import ServerDown
from app.components.address import change_address
from app.components.page import Action, empty_state, go, guarded, plain, show_error, state_badge
from app.components.verdict import verdict_line
from workflows.errors import FieldguideError, ModelError, RunError
from workflows.state import State
from workflows.targets.judged import judged_by

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Answerer:
    """What predicts: a version of a model, or a run.

    Attributes:
        run_id: the run whose classifier is used.
        label: what the choice calls it.
        parameter: `model` or `run`, as in the address.
        value: of the parameter.
    """

    run_id: str
    label: str
    parameter: str
    value: str


def pick_answerer(key: str, follow: bool = False) -> Answerer | None:
    """Let a model (its champion is used) or a finished run be chosen; the address (`?model=` or `?run=`) says which.

    None (and what to do instead) if there is none, or if the address names one without a classifier.

    Args:
        key: distinguishes several choices in one session.
        follow: start with the run that other pages have shown, if any, rather than with the first model.
    """
    with guarded():
        named = st.query_params.get("run")
        if named is not None and "model" not in st.query_params and not _usable(named, key):
            return None
        found = [*_models(), *_runs()]
        if found:
            return _choice(found, key, follow)
        _nothing_trained(key)
    return None


def _usable(run_id: str, key: str) -> bool:
    """Return whether a run has a classifier; show what to do if it has none."""
    try:
        state = client().runs.get(run_id).state
    except RunError:
        st.warning(plain(f"No run is called {run_id!r}: it was deleted, or the link is wrong."))
        return True  # the select box offers the others
    if state == State.FINISHED:
        return True
    words = "is not finished: it has no model yet." if state.alive else "has no model."
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            state_badge(state)
            st.markdown(f"The run **{plain(run_id)}** {words}")
        with st.container(horizontal=True):
            label = "Watch it" if state.alive else "See why, and resume it"
            if st.button(label, key=f"{key}-unready-run", type="primary", icon=":material/show_chart:"):
                go("run", run=run_id)
            st.button("Choose another one", key=f"{key}-unready-other", on_click=_forget_address)
    return False


@contextmanager
def asking(run_id: str, key: str) -> Iterator[None]:
    """Show why a request of the body to the inference server failed, with what can be done in the studio."""
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
    """Show the state of the inference server; while it starts, the page polls and continues once it is up.

    Args:
        error: what a request to it raised.
        key: distinguishes several places.
        again: what to do once it is up, before the page runs again.
    """
    part = client().studio.parts().get("inference")
    if part is None or part.state not in ("starting", "restarting"):
        show_error(error)
        with st.container(horizontal=True):
            st.button("Try again", key=f"{key}-down-again", on_click=again, icon=":material/refresh:")
            if st.button("Show the status of the studio", key=f"{key}-down-home", icon=":material/home:"):
                go("home")
        return
    st.fragment(_wait_for_server, run_every=POLL_SECONDS)(part.state == "restarting", again)


def _wait_for_server(died: bool, again: Callable[[], None] | None) -> None:
    part = client().studio.parts().get("inference")
    if part is None or part.state not in ("starting", "restarting"):
        if again is not None:
            again()
        st.rerun()
    words = "The inference server, which holds the models, is starting. This page continues automatically."
    if died:
        words = "The inference server has ended and is being restarted. This page continues automatically."
    st.info(words, icon=":material/hourglass_top:")
    if died and part is not None:
        st.caption(f"See its log for the reason: {plain(part.log)}")


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
    """Return the model, or the version of a model, that an address names, as `birds` or `birds:2`."""
    name, _, number = wanted.partition(":")
    try:
        version = client().models.get(name, int(number) if number.isascii() and number.isdigit() else None)
    except ModelError as error:
        st.warning(plain(f"{error.message} It may have been renamed or removed."))
        return []
    return [Answerer(version.run_id, f"{version.model}  (v{version.number})", "model", wanted)]


def _runs() -> list[Answerer]:
    besides = st.query_params.get("run")
    ids = client().runs.ids(states=(State.FINISHED,), besides=besides)
    called = client().marks.called("run")
    return [Answerer(run_id, f"Run {called(run_id)}", "run", run_id) for run_id in ids]


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
        help="A model stands for its champion. Runs that are not registered as a model can be used, too.",
    )
    st.session_state[last] = chosen
    _address(by_name[chosen])
    trained = client().runs.get(by_name[chosen].run_id)
    st.caption(plain(f"Trained on {trained.dataset} v{trained.version}, run {trained.run_id}."))
    verdict_line(judged_by(trained.result.metrics if trained.result else {}), trained.dataset or "", key)
    return by_name[chosen]


def _address(chosen: Answerer) -> None:
    change_address({"run": None, "model": None, chosen.parameter: chosen.value})
    if chosen.parameter == "run":
        st.session_state["last-run"] = chosen.value  # other pages start with it


def _forget_address() -> None:
    change_address({"run": None, "model": None})


def _nothing_trained(key: str) -> None:
    train = Action("Set up a training", page="workflow", icon="play_arrow", primary=True)
    begin = Action("Import photos", page="data", icon="upload", primary=True)
    empty_state(
        "There is no model yet: the first finished training makes one.",
        train if client().store.datasets.list() else begin,
        key=key,
    )
