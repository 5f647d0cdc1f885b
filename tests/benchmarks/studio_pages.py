"""How long from a click to the finished page, with large records, and how much memory does the web process take?

Starts a studio on a state folder that `studio_records` has filled and opens every page in Chromium from another one,
several times in turn. A page is finished when its script has run, its heading and main part are there, nothing of the
page before is left, and the pictures in sight are loaded. Prints the median and 95th percentile for each page, and the
same for some clicks within pages. Pages that do not exist yet are named and left out.

    .venv/bin/python -m tests.benchmarks.studio_records /tmp/large
    .venv/bin/python -m tests.benchmarks.studio_pages /tmp/large --repetitions 10

The first visit of each page is told apart: it reads what the others find read already.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Error, Page, TimeoutError, sync_playwright

from flows.studio_file import read_studio
from tests.app.browser import ARGUMENTS, CHROMIUM, open_page, settle
from tests.app.studio import StartedStudio, running_studio
from workflows.store.store import Store

LONGEST_SECONDS = 60.0

# Starts the clock at a click or key, or by hand; stops it when the page is finished. Components draw in shadow roots.
WATCH = """() => {
  const app = () => document.querySelector("[data-testid=stApp]");
  const find = (selector) => {
    const found = [...document.querySelectorAll(`[data-testid=stMain] ${selector}`)];
    for (const host of document.querySelectorAll("[data-testid=stMain] *")) {
      if (host.shadowRoot) found.push(...host.shadowRoot.querySelectorAll(selector));
    }
    return found.filter((each) => each.getClientRects().length);
  };
  const inSight = (each) => each.getBoundingClientRect().top < innerHeight;
  window.begin = () => {
    window.clock = {from: performance.now(), ran: false, path: location.pathname};
    const states = new MutationObserver(() => (window.clock.ran = true));
    states.observe(app(), {attributes: true, attributeFilter: ["data-test-script-state"]});
    window.clock.states = states;
  };
  window.lacking = ([path, heading, selector]) => {
    // a quick script is over before the browser draws that it ran; another page's heading is proof enough
    if (!window.clock?.ran && window.clock?.path === location.pathname) return "its script did not begin";
    if (app()?.dataset.testScriptState !== "notRunning") return "its script did not end";
    if (location.pathname.slice(1) !== path) return `the address is ${location.pathname}`;
    if (document.querySelector("[data-testid=stMain] [data-stale=true]")) return "parts are of the page before";
    const headings = find("h1, h2, h3").map((each) => each.innerText.trim());
    if (!headings.includes(heading)) return `it is headed ${headings.join(", ")}`;
    if (!find(selector).length) return `there is no ${selector}`;
    if (find("img").some((each) => inSight(each) && !each.complete)) return "pictures are still to come";
    return "";
  };
  window.finished = (wanted) => {
    if (window.lacking(wanted)) return null;
    window.clock.states.disconnect();
    return Math.max(1, performance.now() - window.clock.from);
  };
  addEventListener("click", () => window.armed && (window.armed = false, window.begin()), true);
  addEventListener("keydown", () => window.armed && (window.armed = false, window.begin()), true);
}"""
GO = """(address) => {
  window.begin();
  history.pushState({}, "", address);
  dispatchEvent(new PopStateEvent("popstate", {state: {}}));
}"""


@dataclass(frozen=True)
class Shown:
    """How a page is known to be finished.

    Attributes:
        view: its name.
        heading: what stands on top.
        part: a CSS selector of its main part.
        query: what its address asks for; `{first}` and `{second}` are runs.
        name: how it is called here; its view if empty.
    """

    view: str
    heading: str
    part: str = "h1, h2, h3"
    query: str = ""
    name: str = ""

    @property
    def title(self) -> str:
        """What the figures are printed under."""
        return self.name or self.view


PAGES = (
    Shown("home", "Fieldguide", "[data-testid=stDataFrame]"),
    Shown("data", "Data", "button.tile"),
    Shown("data", "Data", "canvas, svg.marks", "view=charts", "data, charts"),
    Shown("data", "Data", "[data-testid=stMarkdown]", "view=audit", "data, audit"),
    Shown("data", "Data", "[data-testid=stDataFrame]", "view=classes", "data, classes"),
    Shown("data", "Data", "[data-testid=stMarkdown]", "view=history", "data, history"),
    Shown("annotate", "Annotate", "img"),
    Shown("workflow", "Workflow", ".graph svg, .graph button"),
    Shown("run", "Runs", "[data-testid=stDataFrame]"),
    Shown("run", "{first}", ".lines svg path", "run={first}", "run, one"),
    Shown("evaluation", "Evaluation", "button.tile", "run={first}"),
    Shown("evaluation", "Evaluation", "canvas, svg.marks", "run={first}&view=matrix", "evaluation, matrix"),
    Shown("evaluation", "Evaluation", "[data-testid=stDataFrame]", "run={first}&view=classes", "evaluation, classes"),
    Shown("evaluation", "Evaluation", "canvas, svg.marks", "run={first}&view=confidence", "evaluation, confidence"),
    Shown("evaluation", "Evaluation", "button.tile", "run={first}&view=labels", "evaluation, labels"),
    Shown("explain", "Explain", "button.tile", "run={first}"),
    Shown("compare", "Compare", "[data-testid=stMultiSelect]"),
    Shown("compare", "Compare", "canvas, svg.marks", "runs={first},{second}", "compare, two runs"),
    Shown("predict", "Predict", "[data-testid=stFileUploader], .zone", "run={first}"),
    Shown("models", "Models"),
    Shown("schedules", "Schedules"),
    Shown("tuning", "Tuning"),
)


class Unfinished(Exception):  # noqa: N818 - an outcome
    """A page was not finished in time; says what was lacking."""


class Visitor:
    """Somebody who clicks, with a stopwatch."""

    def __init__(self, page: Page, runs: tuple[str, str]) -> None:
        self.page, self.runs = page, {"first": runs[0], "second": runs[1]}

    def visit(self, shown: Shown) -> float:
        """Open a page as a click does; return the seconds until it was finished."""
        if shown.query:
            self.page.evaluate(GO, f"/{shown.view}?{shown.query.format(**self.runs)}")
        else:
            self._arm()
            self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=shown.view.title(), exact=True).click()
        path = "" if shown.view == "home" else shown.view
        return self._finished(path, shown.heading.format(**self.runs), shown.part)

    def away(self, shown: Shown) -> None:
        """Go where the next page is not."""
        other = PAGES[0] if shown.view != "home" else Shown("compare", "Compare", "[data-testid=stMultiSelect]")
        self.visit(other)

    def slide(self) -> float:
        """Move the slider of the evaluation page by a step; return the seconds until everything followed."""
        self.page.get_by_role("slider").first.focus()
        self._arm()
        self.page.keyboard.press("ArrowLeft")
        return self._finished("evaluation", "Evaluation", "button.tile")

    def _arm(self) -> None:
        self.page.evaluate("window.armed = true")

    def _finished(self, path: str, heading: str, part: str) -> float:
        wanted = [path, heading, part]
        try:
            found = self.page.wait_for_function(
                "(wanted) => window.finished(wanted)", arg=wanted, polling=20, timeout=LONGEST_SECONDS * 1000
            )
        except TimeoutError as error:
            raise Unfinished(str(self.page.evaluate("(wanted) => window.lacking(wanted)", wanted))) from error
        return float(found.json_value()) / 1000


def tell(name: str, seconds: list[float]) -> None:
    """Print the figures of a page; the first visit apart."""
    first, others = seconds[0], sorted(seconds[1:] or seconds)
    late = others[min(len(others) - 1, int(0.95 * len(others)))]
    print(f"{name:24s} first {first:5.2f} s   then median {statistics.median(others):5.2f} s   p95 {late:5.2f} s")


def measure(studio: StartedStudio, page: Page, runs: tuple[str, str], repetitions: int, only: list[str]) -> None:
    """Visit all pages and print how long each took."""
    visitor = Visitor(page, runs)
    page.goto(studio.url)
    page.get_by_test_id("stSidebarNav").wait_for()
    settle(page)
    page.evaluate(WATCH)
    web = psutil.Process(studio.file.parts["web"].pid or 0)
    most = web.memory_info().rss
    for shown in PAGES:
        if only and shown.view not in only:
            continue
        seconds = []
        try:
            for _ in range(repetitions + 1):
                visitor.away(shown)
                seconds.append(visitor.visit(shown))
                most = max(most, web.memory_info().rss)
        except (Unfinished, Error) as error:
            print(f"{shown.title:24s} NOT FINISHED: {str(error).splitlines()[0]}")
            page.goto(studio.url)
            settle(page)
            page.evaluate(WATCH)
            continue
        tell(shown.title, seconds)
    if not only or "evaluation" in only:
        visitor.visit(next(shown for shown in PAGES if shown.view == "evaluation"))
        tell("evaluation, slider step", [visitor.slide() for _ in range(repetitions + 1)])
    print(f"web process: {web.memory_info().rss / 1e6:.0f} MB at the end, {most / 1e6:.0f} MB at most between visits")


def main() -> None:
    """Start a studio on the state folder, measure, and end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path, help="what `studio_records` has filled")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--pages", nargs="*", default=[], help="only these views")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the studio is ended then, too
    store = Store(options.home)
    full = [run.run_id for run in store.runs.list() if run.dataset == store.datasets.list()[0].name]
    if len(full) < 2:
        parser.error(f"{options.home} has no two runs of one data set; see `studio_records`")
    if read_studio(options.home) is not None:
        parser.error(f"a studio is up on {options.home} already")
    with running_studio(options.home) as studio:
        studio.wait_for(*studio.file.parts)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
            measure(studio, open_page(browser), (full[0], full[1]), options.repetitions, options.pages)
            browser.close()


if __name__ == "__main__":
    main()
