"""The studio's entry: `streamlit run app/main.py`, as `fieldguide up` starts it. Settings, login, navigation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import workflows  # noqa: F401 - first: it sets the switches that Streamlit reads when it is imported

import streamlit as st  # isort: skip

from app.client import client  # isort: skip
from app.components.address import kept_address  # isort: skip
from app.components.login import require_login, sign_out_link  # isort: skip

ICON = Path(__file__).resolve().parent / "components" / "icon.png"
"""A file of ours: Streamlit has browsers fetch the icons that it knows by name from elsewhere."""
SIDEBAR_PIXELS = 210
STYLE = """<style>
.stMainBlockContainer { padding: 1.4rem 2.5rem 3rem; }
[data-testid=stBottomBlockContainer] { padding: 0.6rem 2.5rem 0.7rem; border-top: 1px solid #8883; }
.stAppHeader { background: transparent; pointer-events: none; }
.stAppHeader * { pointer-events: auto; }
[data-testid=stSidebarHeader] { margin-bottom: 0; }
.stMainBlockContainer h2 { font-size: 1.75rem; padding: 0.25rem 0; }
.stMainBlockContainer h3 { font-size: 1.25rem; padding: 0.5rem 0 0.25rem; }
[data-testid=stMetricValue] { font-size: 1.6rem; }
[data-testid=stCaptionContainer] { opacity: 0.78; }
.stDataFrame > [data-testid=stElementToolbar] { top: -0.25rem !important; right: 0.15rem; }
[data-testid=stLayoutWrapper]:has(> .st-key-browse-bar) {
  position: sticky; top: 0; z-index: 99; padding: 0.4rem 0; background: color-mix(in srgb, Canvas 94%, transparent);
}
@media (min-width: 641px) {
  [data-testid=stColumn]:has(.st-key-browse-look) { position: sticky; top: 4.5rem; align-self: flex-start; }
  .st-key-browse-look { max-height: calc(100vh - 6rem); overflow-y: auto; }
}
@media (max-width: 640px) {
  .stMainBlockContainer { padding: 3.6rem 1rem 3rem; }
  .stAppHeader { background: Canvas; }
  [data-testid=stLayoutWrapper]:has(> .st-key-browse-bar) { top: 3.5rem; }
}
</style>"""
"""What Streamlit leaves to do: a quarter of a small screen empty, a bar on top that holds next to nothing, large numbers;
toolbars of tables over the buttons above them; bars of actions that scroll away; on a phone, a logo
over the heading."""


@dataclass(frozen=True)
class View:
    """A page of the studio: `views/<name>/page.py`, with the parts that only it uses beside it."""

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
    if not require_login(client().store.home):
        return
    page = st.navigation({title: [_page(view) for view in views] for title, views in SECTIONS.items()})
    sign_out_link(client().store.home)
    with kept_address(page.url_path):
        page.run()


def _page(view: View) -> st.Page:
    return st.Page(
        f"views/{view.name}/page.py",  # from the folder of this file
        title=view.title,
        icon=f":material/{view.icon}:",
        url_path=view.name,
        default=view.name == "home",
    )


main()
