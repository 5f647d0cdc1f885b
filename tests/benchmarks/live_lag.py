"""How long until the browser shows what has just happened in a training, and does memory stay flat meanwhile?

Starts a studio, writes a training's records through its own recorder (a batch every half second, an evaluation every
four) as fast as a training would, and watches the Run page in Chromium. An event counts as visible when the figure on
the page has it, or a newer one. Prints the lag's median, 95th percentile and maximum, and the memory of page and web
process over time.

    .venv/bin/python -m tests.benchmarks.live_lag --minutes 30

The page's heap is measured after its garbage was collected.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.app.browser import ARGUMENTS, CHROMIUM, open_page, settle
from tests.app.studio import StartedStudio, running_studio
from workflows.graph.workflow import load_template
from workflows.store.store import Store
from workflows.training.recorder import Recorder

BATCH_SECONDS, STEP_SECONDS = 0.5, 4.0
BATCHES_AN_EPOCH = 8
SAMPLES = 30
LATE_SECONDS = 15.0

# Notes when each figure came to be seen. Newest batch: the loss counts up by a thousandth; evaluation: top-1, too.
WATCH = """() => {
  window.seen = {Loss: [], "Best top-1": []};
  const look = () => {
    for (const metric of document.querySelectorAll("[data-testid=stMetric]")) {
      const title = metric.querySelector("[data-testid=stMetricLabel]")?.innerText.trim();
      const list = window.seen[title], text = metric.querySelector("[data-testid=stMetricValue]")?.innerText.trim();
      if (list && text && list.at(-1)?.[0] !== text) list.push([text, Date.now()]);
    }
  };
  new MutationObserver(() => requestAnimationFrame(look)).observe(document.body, {
    subtree: true, childList: true, characterData: true });
  look();
}"""


@dataclass
class Trainer:
    """Writes what a training writes, and when it did."""

    store: Store
    run_id: str
    batches: list[float] = field(default_factory=list)
    """Moment of each batch, in seconds since 1970; likewise of each evaluation."""
    steps: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Go on until it is over."""
        runs, folder = self.store.runs, self.store.run_folder(self.run_id).training
        with runs.alive(self.run_id):
            recorder = Recorder(
                folder,
                lambda *step: runs.record_step(self.run_id, *step),
                lambda after: runs.forget_steps(self.run_id, after),
            )
            while not self.over.wait(BATCH_SECONDS):
                self._batch(recorder)
                if len(self.batches) % round(STEP_SECONDS / BATCH_SECONDS) == 0:
                    self._step(recorder)

    def _batch(self, recorder: Recorder) -> None:
        number = len(self.batches) + 1
        epoch, batch = divmod(number - 1, BATCHES_AN_EPOCH)
        facts = {"epoch": epoch + 1, "batch": batch + 1, "batches": BATCHES_AN_EPOCH, "loss": 1 + number / 1000}
        self.batches.append(time.time())
        recorder.batch(facts | {"learning_rate": 0.001, "images_per_second": 100.0})

    def _step(self, recorder: Recorder) -> None:
        number = len(self.steps) + 1
        top1 = min(1.0, number / 1000)
        values = {"val/top1": top1, "val/loss": 2.0 - top1, "train/loss": 2.0 - top1, "train/top1": top1}
        self.steps.append(time.time())
        recorder.step(number, {**values, "val/f1_macro": top1}, pd.DataFrame({"image_id": ["a"]}))


def order(store: Store) -> str:
    """Make a run that asks for more epochs than there will be; return its id."""
    workflow = load_template("fast-photos").for_dataset("made-up", 1).with_settings("training", epochs=1000)
    record = store.runs.create("made-up", {"dataset": "made-up"})
    store.runs.update(record.run_id, dataset="made-up", version=1, workflow=workflow.model_dump(mode="json"))
    return record.run_id


def lags(events: list[float], seen: list[list[Any]], until: float) -> tuple[list[float], int]:
    """Return the seconds from each event to when it, or a newer one, was seen; and how many never were.

    Args:
        events: their moments; the first is number 1.
        seen: (number shown, moment in seconds), in the order of their showing.
        until: events after this moment do not count.
    """
    found, lost, place = [], 0, 0
    for number, moment in enumerate(events, start=1):
        while place < len(seen) and seen[place][0] < number:
            place += 1
        if moment < until and place < len(seen):
            found.append(max(0.0, seen[place][1] - moment))
        elif moment < until:
            lost += 1
    return found, lost


def numbers(seen: list[list[Any]], scale: float, first: float) -> list[list[float]]:
    """Turn the texts that were seen into the numbers of their events."""
    found = []
    for text, moment in seen:
        figure = text.split()[0].replace(",", "")
        if figure[0].isdigit():
            found.append([round((float(figure) - first) * scale), moment / 1000])
    return found


def memory(page: Page, tools: CDPSession, studio: StartedStudio) -> tuple[float, int, float]:
    """Return the page's heap in MB, its number of nodes, and the web process's memory in MB."""
    tools.send("HeapProfiler.collectGarbage")
    heap = tools.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    nodes = tools.send("Memory.getDOMCounters")["nodes"]
    web = psutil.Process(studio.file.parts["web"].pid or 0).memory_info().rss / 1e6
    return heap, nodes, web


def watch(page: Page, studio: StartedStudio, minutes: float) -> list[tuple[float, float, int, float]]:
    """Keep the page open; return (minutes passed, heap, nodes, web process) some thirty times."""
    tools, samples, began = page.context.new_cdp_session(page), [], time.monotonic()
    tools.send("HeapProfiler.enable")
    page.evaluate(WATCH)
    while (passed := (time.monotonic() - began) / 60) < minutes:
        samples.append((passed, *memory(page, tools, studio)))
        page.wait_for_timeout(max(5.0, minutes * 60 / SAMPLES) * 1000)
    samples.append(((time.monotonic() - began) / 60, *memory(page, tools, studio)))
    return samples


def tell(name: str, found: list[float], lost: int) -> None:
    """Print the lag of one kind of event."""
    if not found:
        print(f"{name}: none was seen, {lost} were not")
        return
    ordered = sorted(found)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(
        f"{name}: {len(found)} seen, {lost} not; lag median {statistics.median(ordered):.2f} s, p95 {late:.2f} s, "
        f"most {ordered[-1]:.2f} s"
    )


def measure(studio: StartedStudio, minutes: float) -> None:
    """Measure with a studio that is up."""
    trainer = Trainer(studio.client.store, order(studio.client.store))
    thread = threading.Thread(target=trainer.work, daemon=True)
    thread.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = open_page(browser)
        page.goto(f"{studio.url}/run?run={trainer.run_id}")
        page.get_by_text("Learning rate").first.wait_for()
        settle(page)
        began = time.time()
        samples = watch(page, studio, minutes)
        seen = page.evaluate("window.seen")
        browser.close()
    trainer.over.set()
    thread.join()
    for name, events, key, scale, first in (
        ("batches", trainer.batches, "Loss", 1000, 1.0),
        ("evaluations", trainer.steps, "Best top-1", 10, 0.0),
    ):
        shown = numbers(seen[key], scale, first)
        before = sum(moment < began for moment in events)
        late = [[number - before, moment] for number, moment in shown]
        tell(name, *lags(events[before:], late, time.time() - LATE_SECONDS))
    for passed, heap, nodes, web in samples:
        print(f"after {passed:5.1f} min: heap {heap:6.1f} MB, {nodes:6d} nodes, web process {web:6.1f} MB")


def main() -> None:
    """Start a studio in a temporary state folder, measure, and end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the studio is ended then, too
    with tempfile.TemporaryDirectory() as folder, running_studio(Path(folder) / "home") as studio:
        studio.wait_for(*studio.file.parts)
        measure(studio, options.minutes)


if __name__ == "__main__":
    main()
