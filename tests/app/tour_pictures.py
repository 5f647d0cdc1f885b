"""Takes the pictures of the studio that `docs/tour.md` and the README show: `make pictures`.

They show scikit-learn's handwritten digits, which come with Fieldguide, in Chromium at 1280 x 900 with the light theme. A state
folder is made with the command line (data set, two runs, a model, a schedule); a studio is started on it; each page is
photographed once everything on it is drawn, and its colours are reduced to a palette so that the files stay small.

    .venv/bin/python -m tests.app.tour_pictures                              # all, into docs/
    .venv/bin/python -m tests.app.tour_pictures --home /tmp/tour --only run  # one of them; what was trained there is reused

Look at each of them afterwards.
"""

from __future__ import annotations

import argparse
import io
import re
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from app.digits import DEMO, write_digits
from tests.app.browser import ARGUMENTS, CHROMIUM, open_page, settle
from tests.app.studio import StartedStudio, gone, start_studio
from tests.processes import ROOT, installed_fieldguide
from workflows.data.catalog import get_version
from workflows.evaluation.steps import read_final, read_step
from workflows.store.store import Store

SIZE, EPOCHS, FEW_EPOCHS = 32, 6, 3
USER = "you"
UNLABELLED = 12
WELL_ON_ITS_WAY = 0.6
"""The evaluation is shown after the first epoch with a higher accuracy: some mistakes are left to look at."""
PREDICTED, DOUBTFUL = 10, 3
COLOURS = 256
LONG_MS = 300_000.0
STILL_SECONDS = 1.5
"""For what moves into place after it is drawn."""
DRAWN = """() => {
  const main = document.querySelector("[data-testid=stMain]");
  if (main.querySelector("[data-stale=true], [data-testid=stSpinner], [data-testid=stSkeleton]")) return false;
  const pictures = [...main.querySelectorAll("img")];
  for (const host of main.querySelectorAll("*")) {
    if (host.shadowRoot) pictures.push(...host.shadowRoot.querySelectorAll("img"));
  }
  return pictures.every((each) => each.complete);
}"""


@dataclass(frozen=True)
class Tour:
    """What the pictures are taken of."""

    page: Page
    url: str
    store: Store
    run: str
    photos: Path

    def go(self, address: str) -> None:
        """Open a page and wait until it is drawn."""
        self.page.goto(f"{self.url}/{address}")
        self.page.get_by_test_id("stSidebarNav").wait_for()
        self.drawn()

    def drawn(self) -> None:
        """Wait until everything is drawn and still."""
        settle(self.page)
        self.page.wait_for_function(DRAWN, timeout=LONG_MS)
        self.page.wait_for_timeout(1000 * STILL_SECONDS)
        settle(self.page)
        self.page.wait_for_function(DRAWN, timeout=LONG_MS)

    def scroll_to(self, place: Locator, above: int = 0) -> None:
        """Scroll so that a part of the page comes to the top, with some pixels `above` it."""
        place.evaluate("(element) => element.scrollIntoView({block: 'start'})")
        self.page.get_by_test_id("stMain").evaluate("(main, above) => main.scrollBy(0, -above)", above)


def home(tour: Tour) -> None:
    """The next step, the runs, the data set."""
    tour.go("")
    expect(tour.page.get_by_text("Latest runs")).to_be_visible()


def data(tour: Tour) -> None:
    """The photos in a grid."""
    tour.go(f"data?dataset={DEMO}")
    expect(tour.page.locator("button.tile").first).to_be_visible()


def audit(tour: Tour) -> None:
    """A finding with its groups of photos."""
    tour.go(f"data?dataset={DEMO}&view=audit")
    expect(tour.page.locator("[class*=st-key-card-]").first).to_be_visible()


def annotate(tour: Tour) -> None:
    """A photo without a label."""
    tour.go(f"annotate?dataset={DEMO}")


def workflow(tour: Tour) -> None:
    """The recommended workflows and the graph."""
    tour.go(f"workflow?dataset={DEMO}")
    expect(tour.page.get_by_text("Most accurate", exact=True)).to_be_visible(timeout=LONG_MS)
    expect(tour.page.locator(".graph .node[data-id=model]")).to_be_visible(timeout=LONG_MS)
    tour.drawn()
    tour.scroll_to(tour.page.get_by_text("Small and fast", exact=True), above=30)


def run(tour: Tour) -> None:
    """The curves of a training."""
    tour.go(f"run?run={tour.run}")
    expect(tour.page.get_by_text("(lower is better)")).to_be_visible()


def evaluation(tour: Tour) -> None:
    """The cell of the confusion matrix with most mistakes after an early epoch, and its images."""
    steps = tour.store.run_folder(tour.run).training.steps
    found = [(step, read_step(steps, step)[0]) for step in steps.steps()]
    step, table = next((step, table) for step, table in found if table["correct"].mean() > WELL_ON_ITS_WAY)
    true, predicted = table[~table["correct"]].groupby(["label", "predicted"]).size().idxmax()
    tour.go(f"evaluation?run={tour.run}&step={step}&view=matrix&cell={true}→{predicted}")
    expect(tour.page.get_by_alt_text(re.compile("^heat-map of")).first).to_be_visible(timeout=LONG_MS)
    tour.drawn()
    tour.scroll_to(tour.page.get_by_text("Confusion matrix", exact=True), above=85)


def explain(tour: Tour) -> None:
    """The evidence for the predicted class."""
    tour.go(f"explain?run={tour.run}")
    expect(tour.page.get_by_text("What the network saw", exact=True)).to_be_visible(timeout=LONG_MS)
    tour.drawn()
    tour.scroll_to(tour.page.get_by_text(re.compile("The model says")).first, above=20)


def predict(tour: Tour) -> None:
    """Photos with their predictions."""
    tour.go(f"predict?run={tour.run}")
    tests = read_final(tour.store.run_folder(tour.run).evaluation.predictions, "test")[0].sort_values("confidence")
    paths = [*tests["path"].head(DOUBTFUL), *tests["path"].tail(PREDICTED - DOUBTFUL)]
    photos = [tour.photos / path for path in paths]
    tour.page.locator("input.pick-files").set_input_files(photos)
    expect(tour.page.get_by_text(f"All ({len(photos)})")).to_be_visible(timeout=LONG_MS)


def models(tour: Tour) -> None:
    """A model, its champion and its versions."""
    tour.go(f"models?model={DEMO}")


PICTURES: dict[str, Callable[[Tour], None]] = {
    "studio-home": home,
    "studio-data": data,
    "studio-audit": audit,
    "studio-annotate": annotate,
    "studio-workflow": workflow,
    "studio-run": run,
    "studio": evaluation,
    "studio-explain": explain,
    "studio-predict": predict,
    "studio-models": models,
}


def prepare(place: Path) -> Path:
    """Fill a state folder, if that was not done before; return the folder of the photos."""
    photos = place / "demo" / DEMO
    if Store(place).models.champions():
        return photos
    write_digits(photos)

    def say(*arguments: object) -> None:
        print("fieldguide", *arguments, flush=True)
        done = installed_fieldguide(place, *arguments, timeout=3600, FIELDGUIDE_USER=USER)
        if done.code:
            sys.exit(done.stderr)

    say("dataset", "add", DEMO, photos)
    for epochs in (FEW_EPOCHS, EPOCHS):
        options = ("--weights", "none", "--size", SIZE, "--epochs", epochs, "--seed", 0, "--device", "cpu")
        say("train", DEMO, *options)
        say("models", "register", DEMO, "latest")
    say("models", "promote", DEMO, 2, "--why", "better on the same photos")
    say("runs", "star", "latest")
    say("models", "threshold", DEMO, "--accuracy", 0.99, "--why", "one mistake in 100 is acceptable")
    say("schedule", "add", DEMO, "--cron", "0 3 * * 1")
    table = get_version(Store(place), DEMO).table()
    training = table.loc[table["split"] == "train", "path"]
    say("dataset", "relabel", DEMO, *(f"{name}=" for name in training.sample(UNLABELLED, random_state=0)))
    say("dataset", "audit", DEMO)
    return photos


def take(studio: StartedStudio, photos: Path, folder: Path, only: list[str]) -> None:
    """Photograph the pages."""
    runs = studio.client.store.runs.list()
    newest = max((each for each in runs if each.state == "finished"), key=lambda each: each.created_at)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        for name, show in PICTURES.items():
            if only and name.removeprefix("studio-") not in only:
                continue
            page = open_page(browser)
            tour = Tour(page, studio.url, studio.client.store, newest.run_id, photos)
            show(tour)
            tour.drawn()
            page.mouse.move(0, 0)
            save(page.screenshot(), folder / f"{name}.png")
            page.context.close()
        browser.close()


def save(png: bytes, path: Path) -> None:
    """Store a picture with a palette of its own."""
    with Image.open(io.BytesIO(png)) as picture:
        palette = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def main() -> None:
    """Prepare a state folder, start a studio on it, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a state folder to make or reuse; by default one that is deleted")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs", help="where the pictures go")
    parser.add_argument("--only", nargs="*", default=[], help="only these, e.g. run models; the README's is studio")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the studio is ended then, too
    with tempfile.TemporaryDirectory() as place:
        folder = options.home or Path(place) / "home"
        photos = prepare(folder)
        studio = start_studio(folder)
        try:
            studio.wait_for("web", "runner", "inference", "scheduler")
            take(studio, photos, options.folder, options.only)
        finally:
            family = studio.family()
            studio.end()
            gone(family)


if __name__ == "__main__":
    main()
