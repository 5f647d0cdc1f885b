"""Every page by axe-core, at the width of a desk and of a phone: for people with a screen reader, a keyboard, a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.client import Client
from tests.app.browser import settle
from tests.app.pages import VIEWS
from tests.app.studio import StartedStudio, running_studio
from tests.app.trees import write_trees
from tests.benchmarks.studio_records import Size, generate
from workflows.data.importing import add_dataset
from workflows.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PHONE = {"width": 390, "height": 844}
LOOKS, FADING_MS = 4, 1500
SERIOUS = ("serious", "critical")
OF_STREAMLIT = {
    "list": "[data-testid=stSidebarNavItems]",  # the sidebar's list of pages has its headings between the list's items
    "listitem": "[data-testid=stSidebarNavItems]",
}
"""What Streamlit's own parts violate, and no page of ours can change: the rule, and where alone it may be broken."""
SIZE = Size(classes=3, images=60, steps=3, full_runs=1, other_runs=4, pictures=2)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedStudio]:
    """A studio with photos and runs."""
    home = tmp_path_factory.mktemp("accessible") / "home"
    store = Store(home)
    generate(store, SIZE)
    add_dataset(store, "trees", write_trees(home.parent / "trees"))
    with running_studio(home) as started:
        yield started


def opened(page: Page, studio: StartedStudio, view: str) -> None:
    run = next(run.run_id for run in Client(studio.home).store.runs.list() if run.result)
    query = {"run": "", "data": "dataset=trees", "annotate": "dataset=trees"}.get(view, f"run={run}")
    page.goto(f"{studio.url}/{'' if view == 'home' else view}?{query}")
    page.locator("h2").first.wait_for()
    settle(page)


def violations(page: Page) -> list[str]:
    """Return what axe-core calls serious each time that it looks: what is being drawn again is faded for a moment."""
    for _ in range(LOOKS):
        settle(page)
        expect(page.locator("[data-stale=true]")).to_have_count(0)
        if not (found := _violations(page)):
            return []
        page.wait_for_timeout(FADING_MS)
    return found


def _violations(page: Page) -> list[str]:
    """Return what axe-core calls serious now, except for what is Streamlit's own."""
    from axe_playwright_python.sync_playwright import Axe

    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
        if not (each["id"] in OF_STREAMLIT and inside(page, node["target"], OF_STREAMLIT[each["id"]]))
    ]


def inside(page: Page, target: list[str], place: str) -> bool:
    return bool(page.evaluate("([at, place]) => !!document.querySelector(at)?.closest(place)", [target[0], place]))


@pytest.mark.parametrize("view", sorted(path.parent.name for path in VIEWS.glob("*/page.py")))
def test_a_page_has_no_serious_violation_and_fits_a_phone(studio: StartedStudio, page: Page, view: str) -> None:
    opened(page, studio, view)
    assert violations(page) == []
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    opened(page, studio, view)
    assert violations(page) == []
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= PHONE["width"]
    logo, heading = page.get_by_test_id("stHeaderLogo").bounding_box(), page.locator("h2").first.bounding_box()
    assert logo is not None and heading is not None and logo["y"] + logo["height"] <= heading["y"]


@pytest.mark.parametrize("view", ["run", "evaluation"])
def test_the_toolbar_of_a_table_lies_on_it_and_not_on_the_buttons_above(
    studio: StartedStudio, page: Page, view: str
) -> None:
    opened(page, studio, view)
    if view == "evaluation":
        page.get_by_role("radio", name="Classes", exact=True).click()
        settle(page)
    table = page.get_by_test_id("stDataFrame").first
    table.hover()  # shows it
    toolbar = table.get_by_test_id("stElementToolbarButtonContainer")
    expect(toolbar).to_be_visible()
    bar, box = toolbar.bounding_box(), table.bounding_box()
    assert bar is not None and box is not None
    assert bar["y"] >= box["y"]


def test_photos_are_chosen_and_labelled_by_keyboard_alone(studio: StartedStudio, page: Page) -> None:
    opened(page, studio, "data")
    page.locator("button.tile").first.focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.get_by_text("1 chosen").wait_for()
    label = page.get_by_role("button", name="Label", exact=True)
    for _ in range(30):  # back from the grid to the bar of actions
        page.keyboard.press("Shift+Tab")
        if label.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Class", exact=True).last.wait_for()
