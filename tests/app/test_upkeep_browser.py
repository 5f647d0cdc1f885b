"""Models, their decisions, schedules and tunings in a real browser, as somebody keeps a classifier in use."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app.browser import settle
from tests.app.homes import DATASET, MODEL, write_decisions, write_tuning
from tests.app.studio import StartedStudio, eventually, gone, start_studio
from workflows.registry.models import champion
from workflows.tuning.tune import refit

pytestmark = pytest.mark.slow  # what the pages say and do is in tests/app/test_models_page.py and its neighbours
HEAD_PIXELS, ROW_PIXELS, TICK_PIXELS = 36, 35, 16
"""A table is a picture to the browser: rows are ticked by where they are."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Iterator[StartedStudio]:
    """A studio over a model that was retrained twice (once for nothing), and a tuning that is done."""
    home = tmp_path_factory.mktemp("upkeep") / "home"
    write_decisions(home, tiny_source)
    refit(write_tuning(home, tiny_source))
    started = start_studio(home)
    try:
        yield started.wait_for("web", "scheduler")
    finally:
        family = started.family()
        started.end()
        gone(family)


def tick(table: Locator, row: int) -> None:
    """Choose a row of a table; 0 is the first below the heading."""
    expect(table.locator("canvas").first).to_be_visible()
    settle(table.page)
    table.click(position={"x": TICK_PIXELS, "y": HEAD_PIXELS + ROW_PIXELS * row + ROW_PIXELS // 2})
    settle(table.page)


def cell(table: Locator, row: int, title: str) -> Locator:
    """Return a cell as it is told to people who don't see the picture; row 0 is the first below the heading."""
    heading = table.locator("th").filter(has_text=re.compile(f"^{re.escape(title)}$"))
    column = heading.get_attribute("aria-colindex")
    return table.locator(f"tr[aria-rowindex='{row + 2}'] td[aria-colindex='{column}']")


def chart(page: Page, words: str) -> Locator:
    """Return the chart that these words are written in."""
    return page.get_by_test_id("stVegaLiteChart").filter(has_text=words)


def fill(page: Page, label: str, value: str) -> None:
    """Type into a field, and wait until it was taken over."""
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")
    settle(page)


def press(page: Page | Locator, name: str) -> None:
    """Press a button, and wait until that has been drawn."""
    page.get_by_role("button", name=name, exact=True).click()
    settle(page if isinstance(page, Page) else page.page)


def view(page: Page, name: str) -> None:
    """Open one of a page's views."""
    settle(page)
    page.get_by_role("radio", name=name, exact=True).click()
    settle(page)


# ------------------------------------------------------------------------ models


def test_a_model_is_opened_another_version_promoted_and_that_taken_back(page: Page, studio: StartedStudio) -> None:
    store = studio.client.store
    better = champion(store, MODEL).number
    page.goto(f"{studio.url}/models")
    models = page.locator(".st-key-models-table").get_by_test_id("stDataFrame")
    expect(cell(models, 0, "Model")).to_have_text(MODEL)
    tick(models, 0)
    page.wait_for_url(f"**model={MODEL}")
    crowned = page.locator(".st-key-champion-card")
    expect(crowned).to_contain_text(f"{MODEL} v{better}")
    versions = page.locator(f".st-key-versions-{MODEL}").get_by_test_id("stDataFrame")
    expect(versions.locator("td", has_text="champion").first).to_be_attached()
    tick(versions, 1)
    expect(page.get_by_role("button", name="Promote", exact=True)).to_be_disabled()  # it is worse than the champion
    page.get_by_text("Promote it although it is worse").click()
    settle(page)
    press(page, "Promote")
    expect(page.get_by_text("A reason is needed: it goes into the log.")).to_be_visible()
    fill(page, "Why should it be champion?", "it was *kinder*")
    press(page, "Promote")
    expect(crowned).to_contain_text(f"{MODEL} v{3 - better}")
    expect(crowned).to_contain_text("it was *kinder*")
    settle(page)  # what is pressed while a page is drawn may be another button by then
    crowned.get_by_role("button", name=re.compile("^.*Roll back")).click()
    settle(page)
    expect(page.get_by_label("Why", exact=True)).to_have_count(1)  # not the form of the page before as well
    fill(page, "Why", "complaints from the field")
    press(page, "Roll back")
    expect(crowned).to_contain_text(f"{MODEL} v{better}")
    assert champion(store, MODEL).number == better
    view(page, "Champions")
    log = page.get_by_test_id("stDataFrame")
    for row, (what, why) in enumerate((("rolled back", "complaints from the field"), ("promoted", "it was *kinder*"))):
        expect(cell(log, row, "What")).to_have_text(what)
        expect(cell(log, row, "Why")).to_have_text(why)


def test_a_decision_is_read_with_what_spoke_for_it(page: Page, studio: StartedStudio) -> None:
    decisions = studio.client.models.decisions(MODEL)
    retrained = [(row, one) for row, one in enumerate(decisions) if one.trigger == "a test"]  # not those by hand
    (_, idle), (row, judged) = retrained
    page.goto(f"{studio.url}/models?model={MODEL}&view=decisions")
    expect(page.locator(".st-key-decision-head")).to_contain_text(decisions[0].reason.partition(":")[0])  # the newest
    tick(page.locator(f".st-key-decisions-{MODEL}").get_by_test_id("stDataFrame"), row)
    page.wait_for_url(f"**decision={judged.decision_id}")
    read_decision(page, judged.reason)
    page.goto(f"{studio.url}/models?decision={judged.decision_id}")  # as it is sent to somebody
    read_decision(page, judged.reason)
    assert f"model={MODEL}" in page.url
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    assert "McNemar" in Path(download.value.path()).read_text()
    page.goto(f"{studio.url}/models?decision={idle.decision_id}")
    expect(page.locator(".st-key-decision-head")).to_contain_text("Nothing to do")
    expect(page.locator(".st-key-decision-head")).to_contain_text("0 images differ")


def read_decision(page: Page, reason: str) -> None:
    """Look for the numbers with their interval, the classes, and the images that changed sides."""
    head = page.locator(".st-key-decision-head")
    expect(head).to_contain_text("The challenger is the new champion")
    expect(head).to_contain_text(reason)
    expect(head).to_contain_text("95 % interval")
    expect(chart(page, "difference to the champion")).to_be_visible()
    classes = page.get_by_test_id("stDataFrame").last
    classes.scroll_into_view_if_needed()
    expect(cell(classes, 0, "Class")).to_have_text(re.compile("^[014]$"))
    expect(cell(classes, 0, "Points")).to_have_text(re.compile(r"^[1-9]"))  # the best first
    expect(page.get_by_role("radio", name=re.compile("^Fixed"))).to_be_checked()
    expect(page.locator("button.tile, .tile").first).to_contain_text("true:")


# --------------------------------------------------------------------- schedules


def test_a_schedule_from_its_beginning_to_its_end(page: Page, studio: StartedStudio) -> None:
    store = studio.client.store
    page.goto(f"{studio.url}/schedules")
    expect(page.get_by_text("No model is retrained automatically yet")).to_be_visible()
    page.get_by_text("Add a schedule", exact=True).click()
    expect(page.get_by_text(re.compile(r"^Next: \w{3} \d{4}-"))).to_be_visible()
    page.get_by_role("radio", name="Cron line").click()
    line = "Cron line: minute, hour, day of the month, month, day of the week"
    fill(page, line, "0 99 * * *")
    press(page, "Add the schedule")
    expect(page.get_by_text(re.compile("not a cron expression"))).to_be_visible()
    fill(page, line, "30 4 * * 1")
    press(page, "Add the schedule")
    card = page.locator("[class*=st-key-schedule-card-]")
    expect(card).to_contain_text(MODEL)
    expect(card).to_contain_text("never")
    expect(page.get_by_text(re.compile("not a cron expression"))).to_have_count(0)
    (schedule,) = store.schedules.list()
    assert schedule.cron == "30 4 * * 1"
    press(card, "Pause")
    expect(card).to_contain_text("when it is resumed")
    press(card, "Resume")
    expect(card).not_to_contain_text("when it is resumed")
    expect(card.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    settle(page)  # until then the buttons beside it are on the move
    press(card, "Run now")
    expect(card).to_contain_text("0 images differ")
    log = page.locator(".st-key-schedule-log").get_by_test_id("stDataFrame")
    expect(cell(log, 0, "Model")).to_have_text(MODEL)
    expect(cell(log, 0, "Outcome")).to_contain_text("0 images differ")
    tick(log, 0)
    page.wait_for_url("**/models?*decision=*")
    expect(page.locator(".st-key-decision-head")).to_contain_text("Nothing to do")
    page.goto(f"{studio.url}/schedules")
    press(card, "Remove")
    press(page, "Remove it")
    expect(card).to_have_count(0)
    assert store.schedules.list() == []
    expect(cell(log, 0, "Outcome")).to_contain_text("0 images differ")  # what it did is not forgotten


def test_photos_in_a_watched_folder_are_imported(
    page: Page, studio: StartedStudio, tiny_source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "arriving"
    (folder / "0").mkdir(parents=True)
    page.goto(f"{studio.url}/schedules")
    page.get_by_text("Watch a folder", exact=True).click()
    fill(page, "Data set", "arrivals")
    fill(page, "Folder on the studio's machine", str(folder / "absent"))
    press(page, "Watch it")
    expect(page.get_by_text(re.compile("is not a folder"))).to_be_visible()
    fill(page, "Folder on the studio's machine", str(folder))
    fill(page, "Check every … seconds", "2")
    press(page, "Watch it")
    card = page.locator("[class*=st-key-watch-card-]")
    expect(card).to_contain_text("arrivals")
    for name in ("0", "1"):
        shutil.copytree(tiny_source / name, folder / name, dirs_exist_ok=True)
    expect(card).to_contain_text("80 imported, 0 rejected")
    eventually(lambda: "arrivals" in studio.client.datasets.names())
    press(card, "Open the data set")
    page.wait_for_url("**/data?dataset=arrivals")
    expect(page.get_by_text("80 photos · 2 classes").first).to_be_visible()
    page.goto(f"{studio.url}/schedules")
    press(card, "Remove")
    press(page, "Remove it")
    expect(card).to_have_count(0)


# ------------------------------------------------------------------------ tuning


def test_a_tuning_is_read_and_the_next_one_can_be_begun(page: Page, studio: StartedStudio) -> None:
    (study_id,) = studio.client.tuning.ids()
    page.goto(f"{studio.url}/tuning")
    studies = page.locator(".st-key-studies").get_by_test_id("stDataFrame")
    expect(cell(studies, 0, "State")).to_have_text("finished")
    page.get_by_text("Start a tuning", exact=True).click()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    expect(page.get_by_label("Trials", exact=True)).to_have_value("20")
    expect(page.get_by_role("radio", name="Balanced")).to_be_checked()
    tick(studies, 0)
    page.wait_for_url(f"**study={study_id}")
    result = page.locator(".st-key-study-result")
    expect(result).to_contain_text("90.0 %")
    expect(result).to_contain_text("+40.0 points")
    expect(result).to_contain_text("50.0 %")
    expect(result).to_contain_text("dropout 0.25 → 0.45")
    expect(page.get_by_text("8 of 12 trials, 7 finished, 1 ended early")).to_be_visible()
    for words in ("the start", "share of the differences", "milliseconds a photo"):  # history, importances, Pareto
        expect(chart(page, words).first).to_be_visible()
    tick(page.locator(f".st-key-trials-{study_id}").get_by_test_id("stDataFrame"), 2)
    expect(page.get_by_text("Trial 6", exact=True)).to_be_visible()
    result.get_by_role("button", name=re.compile("Save as workflow")).click()
    fill(page, "Name", "the winner")
    press(page, "Save")
    expect(page.get_by_text("the winner is among the workflows now.")).to_be_visible()
    assert [saved.name for saved in studio.client.workflows.saved()] == ["the winner"]
    assert studio.client.tuning.get(study_id).request.dataset == DATASET
