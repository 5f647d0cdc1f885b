"""The studio's entry: `streamlit run app/main.py`, as `fieldguide up` starts it. Settings, door, navigation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import workflows  # noqa: F401 - first: it sets the switches that Streamlit reads when it is imported

import streamlit as st  # isort: skip

from app.client import client  # isort: skip
from app.components.door import let_in, way_out  # isort: skip

ICON = Path(__file__).resolve().parent / "components" / "icon.png"
"""A file of ours: Streamlit has browsers fetch the icons that it knows by name from elsewhere."""
SIDEBAR_PIXELS = 210
STYLE = """<style>
.stMainBlockContainer { padding: 1.4rem 2.5rem 3rem; }
.stAppHeader { background: transparent; pointer-events: none; }
.stAppHeader * { pointer-events: auto; }
[data-testid=stSidebarHeader] { margin-bottom: 0; }
.stMainBlockContainer h2 { font-size: 1.75rem; padding: 0.25rem 0; }
.stMainBlockContainer h3 { font-size: 1.25rem; padding: 0.5rem 0 0.25rem; }
[data-testid=stMetricValue] { font-size: 1.6rem; }
</style>"""
"""Streamlit leaves a quarter of a small screen empty: a bar on top that holds next to nothing, and large numbers."""
VIEWS = Path(__file__).resolve().parent / "views"


@dataclass(frozen=True)
class View:
    """A page of the studio; it is offered once its file exists."""

    name: str
    title: str
    icon: str


SECTIONS: dict[str, tuple[View, ...]] = {
    "": (View("home", "Home", "home"),),
    "Photos": (
        View("data", "Data", "photo_library"),
        View("annotate", "Annotate", "label"),
    ),
    "Training": (
        View("workflow", "Workflow", "account_tree"),
        View("run", "Run", "show_chart"),
        View("evaluation", "Evaluation", "grid_on"),
        View("explain", "Explain", "center_focus_strong"),
        View("compare", "Compare", "compare_arrows"),
    ),
    "In use": (
        View("predict", "Predict", "image_search"),
        View("models", "Models", "inventory_2"),
        View("schedules", "Schedules", "schedule"),
        View("tuning", "Tuning", "tune"),
    ),
}


def main() -> None:
    """Draw the page that the address asks for."""
    st.set_page_config(page_title="Fieldguide", page_icon=ICON, layout="wide", initial_sidebar_state=SIDEBAR_PIXELS)
    st.html(STYLE)
    st.logo(ICON, size="large")
    if not let_in(client().store.home):
        return
    pages = {title: [_page(view) for view in views if _exists(view)] for title, views in SECTIONS.items()}
    page = st.navigation({title: found for title, found in pages.items() if found})
    way_out(client().store.home)
    page.run()


def _exists(view: View) -> bool:
    return (VIEWS / f"{view.name}.py").is_file()


def _page(view: View) -> st.Page:
    return st.Page(
        f"views/{view.name}.py",  # from the folder of this file
        title=view.title,
        icon=f":material/{view.icon}:",
        url_path=view.name,
        default=view.name == "home",
    )


main()
