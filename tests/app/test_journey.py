"""A person with a zip of photos gets a classifier that a colleague's program uses: in the browser alone, page by page.

Each page leads to the next one. With `FIELDGUIDE_JOURNEY=FOLDER` a picture of each step is kept there, and
`journey.json` with the clicks and the seconds of each.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app.browser import settle, still
from tests.app.studio import StartedStudio, eventually, running_studio
from tests.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
PHOTOS_PER_CLASS = 60
EPOCHS = 3
MOST_CORRECTED = 3
LONG_MS = 400_000.0


@dataclass
class Journey:
    """What a person does on the pages, step by step."""

    page: Page
    steps: list[dict[str, object]] = field(default_factory=list)
    clicks: int = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Count the clicks and the seconds of one step, and keep a picture of its end."""
        clicks, start = self.clicks, time.monotonic()
        yield
        settle(self.page)
        seconds = round(time.monotonic() - start, 1)
        self.steps.append({"step": title, "clicks": self.clicks - clicks, "seconds": seconds})
        folder = os.environ.get("FIELDGUIDE_JOURNEY")
        if folder:
            self.page.screenshot(path=f"{folder}/{len(self.steps):02d}-{title.replace(' ', '-')}.png")
            Path(folder, "journey.json").write_text(json.dumps(self.steps, indent=1))

    def click(self, target: Locator) -> None:
        still(target).click()
        self.clicks += 1
        settle(self.page)

    def press(self, name: str | re.Pattern[str]) -> None:
        """Press a button that is known by its name."""
        self.click(self.page.get_by_role("button", name=name).first)

    def type(self, label: str, value: object) -> None:
        """Fill a field, and wait until the page has it."""
        entry = self.page.get_by_label(label, exact=True)
        entry.fill(str(value))
        entry.press("Enter")
        settle(self.page)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedStudio]:
    """A studio with an empty home."""
    home = tmp_path_factory.mktemp("journey") / "home"
    with running_studio(home, "web", "runner", "inference", "scheduler") as started:
        yield started


@pytest.fixture
def photos(shared: Path, tmp_path: Path) -> Path:
    """A zip of bees and ants in class folders."""
    for name in ("ants", "bees"):
        (tmp_path / "insects" / name).mkdir(parents=True)
        for photo in sorted((shared / "data" / "hymenoptera" / "train" / name).glob("*.jpg"))[:PHOTOS_PER_CLASS]:
            shutil.copy(photo, tmp_path / "insects" / name)
    return Path(shutil.make_archive(str(tmp_path / "insects"), "zip", tmp_path / "insects"))


def trained(journey: Journey, studio: StartedStudio) -> str:
    """Start the training that the Workflow page shows; return the run once it is finished."""
    page = journey.page
    journey.press("Start training")
    page.wait_for_url("**/run?run=*")
    run = page.url.rpartition("run=")[2]
    eventually(lambda: str(studio.client.store.runs.get(run).state) == "finished", LONG_MS / 1000, studio.logs())
    expect(page.get_by_role("button", name="Look at its mistakes")).to_be_visible()
    return run


def small(journey: Journey, weights: Path) -> None:
    """Change the recommended workflow so that it is trained in seconds."""
    page = journey.page
    expect(page.get_by_text("Most accurate", exact=True)).to_be_visible(timeout=LONG_MS)
    journey.click(page.locator(".graph .node[data-id=model]"))
    journey.type("Image size", 64)
    journey.type("Weights", weights)
    journey.type("Epochs", EPOCHS)


def from_photos_to_mistakes(journey: Journey, studio: StartedStudio, photos: Path, weights: Path) -> str:
    """Import, look, train, and open the mistakes; return the run."""
    page = journey.page
    page.goto(studio.url)
    with journey.step("import"):
        journey.press("Import")
        page.locator("input.pick-files").set_input_files(photos)
        journey.press(re.compile(rf"^Import {2 * PHOTOS_PER_CLASS}"))
        expect(page.get_by_text(re.compile("photos imported"))).to_be_visible()
    with journey.step("look"):
        journey.press("Check the photos")
        expect(page.get_by_role("button", name="Audit again")).to_be_visible()  # it began with the import
    with journey.step("train"):
        journey.press("Set up a training")
        small(journey, weights)
        run = trained(journey, studio)
    with journey.step("mistakes"):
        journey.press("Look at its mistakes")
        page.wait_for_url("**/evaluation?*")
        expect(page.locator("button.tile").first).to_be_visible()
    return run


def correct_and_train_again(journey: Journey, studio: StartedStudio, first: str) -> None:
    """Correct labels where the mistakes are, train on them, compare, and register the new run."""
    page = journey.page
    with journey.step("correct"):
        corrected = min(MOST_CORRECTED, page.locator("button.tile").count())
        assert corrected > 0
        for place in range(corrected):
            tile = page.locator("button.tile").nth(place)
            journey.click(tile)
            journey.press(re.compile("^Accept the prediction"))
            expect(tile).to_contain_text("now labelled")
        assert studio.client.datasets.version("insects").number == 1 + corrected
    with journey.step("train again"):
        journey.press(re.compile(f"^Train again with {corrected} corrected label"))
        page.wait_for_url("**/workflow?*")
        second = trained(journey, studio)
        assert studio.client.store.runs.get(second).version == 1 + corrected
    with journey.step("compare"):
        journey.press(f"Compare it with {first}")
        expect(page.get_by_text("Which is better?")).to_be_visible()
        expect(page.get_by_text(re.compile(f"{corrected} labels? changed"))).to_be_visible()
    with journey.step("champion"):
        page.goto(f"{studio.url}/run?run={second}")
        journey.press("Register it as a model")
        journey.type("Its name", "insects")
        journey.press("Register")
        expect(page.locator(".st-key-champion-card")).to_contain_text("insects v1")


def keep_and_serve(journey: Journey, studio: StartedStudio) -> tuple[str, str]:
    """Have it retrained each week and served; return the address and the token that the page shows."""
    page = journey.page
    with journey.step("schedule"):
        journey.press("Schedule its retraining")
        journey.press("Add a schedule")
        journey.press("Add the schedule")
        expect(page.locator("[class*=st-key-schedule-card-]")).to_contain_text("insects")
        [schedule] = studio.client.store.schedules.list()
        assert schedule.cron == "0 3 * * 1"
    with journey.step("serve"):
        page.goto(f"{studio.url}/models?model=insects&view=serve")
        journey.type("Port", free_port())  # another test may want the first free one at the same time
        journey.press("Start serving")
        expect(page.locator(".st-key-serve-status")).to_contain_text("running", timeout=LONG_MS)
    state = studio.client.serving.state("insects")
    assert state is not None
    token = studio.client.serving.token(state.served)
    expect(page.get_by_text(token).first).to_be_visible()
    return f"{state.served.address}/predict", token


def test_from_a_zip_to_a_colleagues_program(page: Page, studio: StartedStudio, photos: Path, shared: Path) -> None:
    journey = Journey(page)
    [weights] = (shared / "weights").glob("*.safetensors")
    first = from_photos_to_mistakes(journey, studio, photos, weights)
    correct_and_train_again(journey, studio, first)
    address, token = keep_and_serve(journey, studio)
    with journey.step("colleague"):
        photo = next((shared / "data" / "hymenoptera" / "val" / "bees").glob("*.jpg"))
        headers, files = {"Authorization": f"Bearer {token}"}, {"files": (photo.name, photo.read_bytes())}
        answer = httpx.post(address, headers=headers, files=files, timeout=60, trust_env=False)
        assert answer.raise_for_status().json()["results"][0]["label"] in ("ants", "bees")
        expect(page.locator(".st-key-serve-status").get_by_test_id("stMetric").first).to_contain_text("1")
