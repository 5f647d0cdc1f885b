"""A real Chromium without a window. `page` is a fresh one per test; what it asks of strangers is noted and forbidden."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect, sync_playwright

CHROMIUM = Path(os.environ.get("FIELDGUIDE_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDTH, HEIGHT = 1280, 900
TIMEOUT_SECONDS = 60.0
STILL_MS = 400
expect.set_options(timeout=TIMEOUT_SECONDS * 1000)
HERE = ("127.0.0.1", "localhost", "")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser; tests that need it are skipped without one, but not where CI has installed it.

    Per module, because its driver keeps an event loop in this thread, which flows in other modules could not bear.
    """
    if not CHROMIUM.exists():
        if os.environ.get("FIELDGUIDE_TESTS_COMPLETE"):
            pytest.fail(f"{CHROMIUM} is not there: CI must not skip browser tests")
        pytest.skip(f"NO BROWSER: {CHROMIUM} is not there, so the pages were NOT tested in one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


def open_page(browser: Browser, scheme: Literal["light", "dark"] = "light") -> Page:
    """Return a new window of 1280 x 900, in light or dark."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
    context.set_default_timeout(TIMEOUT_SECONDS * 1000)
    return context.new_page()


def settle(page: Page) -> None:
    """Wait until Streamlit has drawn what it was asked for."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def still(target: Locator) -> Locator:
    """Wait until an element has stopped moving, and return it.

    Charts and pictures that arrive above a button push it down; between press and release of the mouse that costs the
    click. A person waits for the page to come to rest; a script must be told.
    """
    target.wait_for()
    before = None
    while before is None or target.bounding_box() != before:
        settle(target.page)
        before = target.bounding_box()
        target.page.wait_for_timeout(STILL_MS)
    return target


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh window; the test fails if a page in it asked anything of another machine, or threw an exception."""
    window = open_page(chromium)
    strangers: list[str] = []
    errors: list[str] = []

    def note(request: Request) -> None:
        if (urlsplit(request.url).hostname or "") not in HERE:
            strangers.append(request.url)

    window.on("request", note)
    window.on("pageerror", lambda error: errors.append(str(error)))
    yield window
    window.context.close()
    assert not strangers, f"the page asked others: {strangers}"
    assert not errors, f"the page broke: {errors}"
