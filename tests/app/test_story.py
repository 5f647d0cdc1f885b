"""What somebody does who never opened a terminal: from an empty studio to a classifier that is understood and used.

Everything happens in a real browser, on a studio that `fieldguide up` started. The digits come with scikit-learn, so
that the story is told everywhere; on real photographs it is told where there are any.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.browser import settle
from tests.app.studio import StartedStudio, eventually, gone, start_studio
from tests.photos import digit_folders

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
EPOCHS = 5
LONG_MS = 400_000.0
"""For a training, and for measuring how fast this machine learns, while others use it, too."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedStudio]:
    """A studio with an empty home, all of it up."""
    place = tmp_path_factory.mktemp("story")
    started = start_studio(place / "home")
    try:
        yield started.wait_for("web", "runner", "inference")
    finally:
        family = started.family()
        started.end()
        gone(family)


# ------------------------------------------------------------ what a person does


def bring_in(page: Page, url: str, archive: Path, name: str) -> None:
    """Drop an archive on the page Data, and import it under a name."""
    page.goto(f"{url}/data?new=1")
    page.locator("input.pick-files").set_input_files(archive)
    expect(page.get_by_text("1 file,")).to_be_visible()
    field = page.get_by_label("Name of the data set")
    field.fill(name)
    field.press("Enter")
    settle(page)
    page.get_by_role("button", name=re.compile("^Import")).click()
    expect(page.get_by_text(re.compile("photos imported"))).to_be_visible()


def audit(page: Page) -> None:
    """Open the audit of the data set that is shown, and wait for its cards."""
    view(page, "Audit")
    again = page.get_by_role("button", name=re.compile("^Audit"))
    expect(again).to_be_visible()
    if page.get_by_text("Not audited yet").is_visible() and again.is_enabled():
        again.click()
    expect(page.get_by_role("button", name="Audit again")).to_be_visible()


def view(page: Page, name: str) -> None:
    """Open one of a page's views."""
    settle(page)
    page.get_by_role("radio", name=name, exact=True).or_(
        page.get_by_role("button", name=name, exact=True)
    ).first.click()
    settle(page)


def fill(page: Page, label: str, value: object) -> None:
    """Fill one field of a form, and wait until it was taken over."""
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    settle(page)


def train(page: Page, weights: str = "none", size: int = 64, epochs: int = EPOCHS) -> str:
    """Take the recommended workflow, have it learn from small pictures, start it, and return the run's id."""
    expect(page.get_by_text("Balanced", exact=True)).to_be_visible()
    expect(page.get_by_text("Most accurate", exact=True)).to_be_visible(timeout=LONG_MS)
    page.locator(".graph .node[data-id=model]").click()
    fill(page, "Image size", size)
    fill(page, "Weights", weights)
    expect(page.locator(".graph .node[data-id=model]")).to_contain_text(str(size))
    fill(page, "Epochs", epochs)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/run?run=*")
    return page.url.rpartition("run=")[2]


def follow(page: Page, studio: StartedStudio, run: str) -> None:
    """Watch a training: curves grow while it runs; then it is finished."""
    expect(page.get_by_text("(lower is better)")).to_be_visible(timeout=LONG_MS)
    assert studio.client.store.runs.get(run).state == "running"
    eventually(lambda: studio.client.store.runs.get(run).state == "finished", LONG_MS / 1000, studio.logs())
    expect(page.get_by_role("button", name="Evaluation")).to_be_visible()


def evaluate(page: Page) -> None:
    """Look at the answers of two steps: the address follows the slider."""
    page.get_by_role("button", name="Evaluation").click()
    page.wait_for_url("**/evaluation?run=*")
    settle(page)
    slider = page.get_by_role("slider")
    for key, step in (("End", EPOCHS), ("ArrowLeft", EPOCHS - 1)):  # the first and the second step to look at
        slider.press(key)
        page.wait_for_url(f"**step={step}*")
        settle(page)
        expect(page.get_by_text(f"Since epoch {step - 1}")).to_be_visible()


def open_mistakes(page: Page) -> tuple[str, str]:
    """Click a cell of the confusion matrix that holds mistakes; return (true, predicted)."""
    view(page, "Confusion matrix")
    cells = page.locator("[aria-roledescription='rect mark']")
    expect(cells.first).to_be_visible()
    for place in range(cells.count()):
        words = cells.nth(place).get_attribute("aria-label") or ""
        true, predicted = (re.search(f"{kind} class: ([^;]*);", words) for kind in ("true", "predicted"))
        if true and predicted and true[1] != predicted[1]:
            cells.nth(place).click()
            page.wait_for_url("**cell=*")
            expect(page.get_by_text(f"{true[1]} predicted as {predicted[1]}")).to_be_visible()
            return true[1], predicted[1]
    raise AssertionError("there is no mistake to look at")


def relabel_first(page: Page, studio: StartedStudio, dataset: str, into: str) -> None:
    """Look at the first image of those that are shown, with its heat-map beside it, and relabel it."""
    tile = page.locator("button.tile").first
    expect(tile.get_by_alt_text(re.compile("^heat-map of"))).to_be_visible(timeout=LONG_MS)
    image = tile.get_attribute("data-key") or ""
    tile.click()
    expect(page.locator(".st-key-detail-maps").get_by_text("Eigen-CAM", exact=True)).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name=re.compile(f"Accept the prediction: {into}$")).click()
    expect(tile).to_contain_text(f"now labelled {into}")
    version = studio.client.datasets.version(dataset)
    assert (version.number, version.action) == (2, "relabel")
    assert version.table().set_index("image_id").at[image, "label"] == into


def predict(page: Page, url: str, run: str, photo: Path) -> None:
    """Have a photo predicted that the page has never seen."""
    page.goto(f"{url}/predict?run={run}")
    page.locator("input.pick-files").set_input_files(photo)
    expect(page.get_by_text("All (1)")).to_be_visible(timeout=LONG_MS)


def tell(page: Page, studio: StartedStudio, photos: Path, weights: str = "none") -> None:
    """The whole story with 40 photos in class folders."""
    archive = Path(shutil.make_archive(str(photos.parent / f"{photos.name} photos"), "zip", photos))
    bring_in(page, studio.url, archive, photos.name)
    expect(page.get_by_text("40 photos · 4 classes").first).to_be_visible()
    audit(page)
    page.get_by_role("button", name=re.compile("Train$")).click()  # not the tiles, which name their split
    run = train(page, weights)
    follow(page, studio, run)
    evaluate(page)
    true, predicted = open_mistakes(page)
    assert true != predicted
    relabel_first(page, studio, photos.name, predicted)
    predict(page, studio.url, run, next(photos.rglob("*.*g")))


def test_from_an_empty_studio_to_a_prediction(page: Page, studio: StartedStudio, tmp_path: Path) -> None:
    tell(page, studio, digit_folders(tmp_path / "digits", classes=4, per_class=10))


def test_the_same_with_real_photos(page: Page, studio: StartedStudio, shared: Path, tmp_path: Path) -> None:
    for name in ("daisy", "roses", "sunflowers", "tulips"):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for photo in sorted((shared / "data" / "flowers" / name).glob("*.jpg"))[:10]:
            shutil.copy(photo, tmp_path / "flowers" / name)
    [weights] = (shared / "weights").glob("*.safetensors")
    tell(page, studio, tmp_path / "flowers", str(weights))


# ------------------------------------------------------------ and what else happens


def test_a_failed_run_says_why_and_what_to_do(page: Page, studio: StartedStudio, tmp_path: Path) -> None:
    run = studio.client.studio.start_training({"source": str(tmp_path), "epochs": 1})
    eventually(lambda: studio.client.store.runs.get(run).state == "failed", LONG_MS / 1000, studio.logs())
    page.goto(studio.url)
    expect(page.get_by_text("Needs attention")).to_be_visible()
    page.locator(f".st-key-look-{run}").get_by_role("button").click()
    page.wait_for_url(f"**run={run}")
    expect(page.get_by_text("What to do:")).to_be_visible()
    expect(page.get_by_text(re.compile("failed$")).first).to_be_visible()
    expect(page.get_by_role("alert").get_by_text("contains no images")).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_enabled()


def test_an_address_opens_one_view_and_two_tabs_do_not_disturb_each_other(
    page: Page, studio: StartedStudio, tmp_path: Path
) -> None:
    source = digit_folders(tmp_path / "digits", classes=4, per_class=10)
    settings = {"weights": "none", "size": 32, "epochs": EPOCHS}
    run = studio.client.studio.start_training({"source": str(source), **settings})
    eventually(lambda: studio.client.store.runs.get(run).state == "finished", LONG_MS / 1000, studio.logs())
    evaluated = {step: studio.client.evaluation.evaluated(run, step).frame for step in (1, 2)}
    tabs = {1: page, 2: page.context.new_page()}
    cells = {}
    for step, tab in tabs.items():
        row = evaluated[step].iloc[step]
        cells[step] = (str(row["label"]), str(row["predicted"]))
        tab.goto(f"{studio.url}/evaluation?run={run}&step={step}&cell={'→'.join(cells[step])}")
    for step, tab in tabs.items():
        true, predicted = cells[step]
        words = f"{true} recognised" if true == predicted else f"{true} predicted as {predicted}"
        found = evaluated[step][(evaluated[step]["label"] == true) & (evaluated[step]["predicted"] == predicted)]
        expect(tab.get_by_text(words)).to_be_visible()
        expect(tab.locator("button.tile")).to_have_count(min(len(found), 6))
        expect(tab.get_by_role("slider")).to_have_attribute("aria-valuetext", str(step))
    tabs[2].get_by_role("slider").press("End")
    tabs[2].wait_for_url(f"**step={EPOCHS}*")
    settle(tabs[1])
    assert f"step={1}&" in tabs[1].url
    expect(tabs[1].get_by_role("slider")).to_have_attribute("aria-valuetext", "1")
    tabs[2].close()
