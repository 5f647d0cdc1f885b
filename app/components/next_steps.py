"""What to do next, at the end of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from app.client import client
from app.client.attention import STEPS, Progress
from app.components.page import go, plain


@dataclass(frozen=True)
class Lead:
    """A way on: what its button says, and the page that it leads to.

    Attributes:
        query: parameters of the page's address.
    """

    label: str
    page: str
    icon: str
    query: dict[str, str] = field(default_factory=dict)
    help: str | None = None


def next_steps(leads: Sequence[Lead], key: str, words: str = "") -> None:
    """Draw the ways on, the most important first.

    Args:
        leads: at least one.
        key: distinguishes several on one page.
        words: why the first is the next step.
    """
    with st.container(border=True, key=f"next-{key}"):
        st.markdown(f"**Next:** {plain(words)}" if words else "**Next**")
        with st.container(horizontal=True):
            for number, lead in enumerate(leads):
                pressed = st.button(
                    lead.label,
                    key=f"next-{key}-{number}",
                    icon=f":material/{lead.icon}:",
                    type="secondary" if number else "primary",
                    help=lead.help,
                )
                if pressed:
                    go(lead.page, **lead.query)


def next_for_dataset(dataset: str, key: str) -> None:
    """Draw the next step of a data set on its way to a model that stays good, unless it is the view that is open."""
    progress = client().attention.progress(dataset)
    if progress is None:
        return
    leads = [lead for lead in leads_of(progress) if not _is_here(lead)]
    if leads:
        next_steps(leads, key, progress.words)


def _is_here(lead: Lead) -> bool:
    """Return whether the page that is open is where this leads."""
    return "view" in lead.query and all(st.query_params.get(name) == value for name, value in lead.query.items())


def leads_of(progress: Progress) -> list[Lead]:
    """Return the ways on from where a data set stands."""
    dataset, run, model = progress.dataset, progress.run_id, progress.model
    if progress.next == "evaluate":
        return [mistakes_of(run), Lead("Register it as a model", "models", "inventory_2", {"run": run})]
    found = {
        "look": [Lead("Check the photos", "data", "fact_check", {"dataset": dataset, "view": "audit"})],
        "train": [Lead("Set up a training", "workflow", "play_arrow", {"dataset": dataset})],
        "watch": [Lead("Watch the run", "run", "show_chart", {"run": run})],
        "schedule": [
            Lead("Schedule its retraining", "schedules", "schedule", {"model": model}),
            Lead("Use it on new photos", "predict", "image_search", {"model": model}),
        ],
        "": [
            Lead("Use it on new photos", "predict", "image_search", {"model": model}),
            Lead("Import more photos", "data", "upload", {"dataset": dataset, "view": "add"}),
        ],
    }
    return found[progress.next]


def mistakes_of(run_id: str) -> Lead:
    """Return the way to a finished run's mistakes: on the images that its accuracy is of, test images where it has any."""
    query = {"run": run_id} | ({"step": "test"} if "test" in client().evaluation.subject(run_id).finals else {})
    return Lead("Look at its mistakes", "evaluation", "grid_on", query)


def in_use_of(model: str) -> list[Lead]:
    """Return the way to have a model served to programs, if it is not yet. Raises StorageError if that can't be read."""
    if client().serving.state(model) is not None:
        return []
    return [Lead("Let programs and colleagues use it", "models", "api", {"model": model, "view": "serve"})]


def path_line(progress: Progress | None) -> str:
    """Return the way from photos to a model as a line of words: done, next, still to come."""
    step = "import" if progress is None else {"watch": "train"}.get(progress.next, progress.next)
    names = list(STEPS)
    place = names.index(step) if step else len(names)
    parts = [f":green[✓ {STEPS[name]}]" for name in names[:place]]
    parts += [f"**▶ {STEPS[name]}**" for name in names[place : place + 1]]
    return " · ".join([*parts, *(f":gray[{STEPS[name]}]" for name in names[place + 1 :])])
