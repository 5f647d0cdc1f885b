"""The pages Data and Annotate in a real browser: from a zip of photos to labels, and out again; columns; re-splitting."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from app.client import Client
from tests.app.browser import settle
from tests.app.studio import StartedStudio, eventually
from tests.app.test_resplitting import leaky
from tests.app.trees import picture
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.store.store import Store

CLASSES = ("daisy", "roses", "sunflowers", "tulips")


@pytest.fixture
def flowers(shared: Path, tmp_path: Path) -> Path:
    """40 real photos of four classes, one that is broken, and one that is there twice."""
    folder = tmp_path / "flowers"
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for photo in sorted((shared / "data" / "flowers" / name).glob("*.jpg"))[:10]:
            shutil.copyfile(photo, folder / name / photo.name)
    (folder / "roses" / "broken.jpg").write_bytes(b"no picture")
    shutil.copyfile(sorted((folder / "tulips").glob("*.jpg"))[0], folder / "tulips" / "twice.jpg")
    return folder


def newest(client: Client, name: str) -> dict[str, object]:
    """Path to label, in the newest version."""
    table = client.datasets.version(name).table()
    return dict(zip(table["path"], table["label"], strict=True))


def labelled(page: Page, number: int) -> None:
    """Wait until so many photos of the queue are behind us."""
    expect(page.get_by_test_id("stProgress").get_by_text(f"{number} of", exact=False)).to_be_visible()
    settle(page)  # a key that comes before all is drawn may find the photo before, or nobody


def write(page: Page, label: str, text: str) -> None:
    """Fill one field, and wait until it was taken over."""
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Enter")
    settle(page)


def places_of(tiles: Locator) -> list[list[float]]:
    """Return where tiles are in the page, wherever it is scrolled to."""
    places: list[list[float]] = tiles.evaluate_all(
        """tiles => tiles.map(tile => {
            const box = tile.getBoundingClientRect();
            return [box.x, box.y + document.querySelector("[data-testid=stMain]").scrollTop];
        })"""
    )
    return places


def test_from_a_zip_to_labels_and_out_again(studio: StartedStudio, page: Page, flowers: Path, tmp_path: Path) -> None:
    client = studio.client
    archive = shutil.make_archive(str(tmp_path / "flowers"), "zip", flowers.parent, "flowers")

    # create
    page.goto(f"{studio.url}/data")
    expect(page.get_by_text("Drop photos, a folder of photos, or a zip here")).to_be_visible()
    page.locator("input.pick-files").set_input_files(archive)
    expect(page.get_by_text("42 photos, 4 classes")).to_be_visible()
    expect(page.get_by_label("Name of the data set")).to_have_value("flowers")
    page.get_by_role("button", name="Import 42 photos").click()
    expect(page.get_by_text("Version 1: 41 photos imported")).to_be_visible()
    expect(page.get_by_text("41 accepted · 1 rejected · 0 ignored of 42 files")).to_be_visible()
    eventually(lambda: not list((studio.home / "cache" / "uploads").glob("*/files/*")), what="the upload was left")

    # audit and fix
    settle(page)
    page.get_by_text("Audit", exact=True).click()
    expect(
        page.get_by_text("1 image is the same", exact=False).or_(page.get_by_text("same", exact=False)).first
    ).to_be_visible()
    page.locator(".st-key-card-exact-duplicates").get_by_role("button", name="Fix it").click()
    expect(page.get_by_text("1 copy is removed", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Do it").click()
    eventually(lambda: client.datasets.version("flowers").number == 2)
    assert client.datasets.version("flowers").images == 40

    # browse by address, look closely
    page.goto(f"{studio.url}/data?dataset=flowers&class=roses")
    tiles = page.locator("button.tile")
    expect(tiles).to_have_count(10)
    tiles.nth(0).click()
    expect(page.get_by_text("Download the original")).to_be_visible()
    assert "image=" in page.url

    # a second one, and both onto the review list: typed and pressed at once
    places = places_of(tiles)
    tiles.nth(1).press("Enter")  # as the mouse chose the first
    expect(page.get_by_text("2 chosen")).to_be_visible()
    assert places_of(tiles) == places  # choosing moves no photo
    page.get_by_role("button", name="Review", exact=True).click()
    page.get_by_label("Reason (optional)").fill("are these <b>roses</b>?")
    page.get_by_role("button", name="Put 2 photos on the list").click()
    eventually(lambda: set(client.datasets.reviews("flowers").values()) == {"are these <b>roses</b>?"})
    assert len(client.datasets.reviews("flowers")) == 2

    # the actions stay in sight
    page.mouse.move(600, 700)
    page.mouse.wheel(0, 3000)
    expect(page.get_by_role("button", name="Review", exact=True)).to_be_in_viewport()


def test_ten_photos_by_hot_keys_and_a_csv_in_and_out(
    studio: StartedStudio, page: Page, flowers: Path, tmp_path: Path
) -> None:
    client = studio.client
    bare = [path for path in sorted(flowers.rglob("*.jpg")) if path.stem not in ("broken", "twice")][:12]

    # photos without labels, dropped one by one
    page.goto(f"{studio.url}/data?new=1")
    page.locator("input.pick-files").set_input_files(bare)
    page.get_by_role("button", name="Import without labels").click()
    expect(page.get_by_text("12 photos", exact=True)).to_be_visible()
    write(page, "Name of the data set", "garden")
    page.get_by_role("button", name="Import 12 photos").click()
    expect(page.get_by_text("Version 1: 12 photos imported")).to_be_visible()

    # ten by keys
    page.goto(f"{studio.url}/annotate?dataset=garden")
    expect(page.get_by_text("Add classes first", exact=False)).to_be_visible()
    page.get_by_role("button", name="New classes").click()
    page.get_by_label("One per line").fill("daisy\nrose")
    page.get_by_label("One per line").blur()
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_role("button", name="daisy")).to_be_visible()
    page.get_by_role("heading", name="Annotate").click()  # away from the text field
    for number in range(10):
        page.keyboard.press("2" if number % 2 else "1")
        labelled(page, number + 1)
    page.keyboard.press("z")
    labelled(page, 9)
    page.keyboard.press("1")
    labelled(page, 10)
    assert len(client.annotation.pending("garden")) == 10
    assert client.datasets.version("garden").number == 1
    page.reload()  # as if the browser had been closed
    page.get_by_role("button", name="Finish").click()
    eventually(lambda: client.datasets.version("garden").number == 2)
    given = [label for label in newest(client, "garden").values() if isinstance(label, str)]
    assert sorted(given) == ["daisy"] * 6 + ["rose"] * 4

    # a CSV out, changed, and in again
    page.goto(f"{studio.url}/data?dataset=garden&view=classes")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download filename,label,split").click()
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == sorted(newest(client, "garden"))
    changed = tmp_path / "labels.csv"
    with changed.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["filename", "label"], *([row["filename"], row["label"] or "rose"] for row in rows)])
    page.locator("input[type=file]").last.set_input_files(changed)
    expect(page.get_by_text("2 photos get a new label", exact=False)).to_be_visible()
    page.get_by_role("button", name="Apply 2 changes").click()
    eventually(lambda: client.datasets.version("garden").number == 3)
    assert all(isinstance(label, str) for label in newest(client, "garden").values())

    # and back
    page.goto(f"{studio.url}/data?dataset=garden&view=history")
    page.get_by_role("button", name="Undo", exact=True).click()
    eventually(lambda: client.datasets.version("garden").number == 4)
    assert sum(isinstance(label, str) for label in newest(client, "garden").values()) == 10


# ------------------------------------------------------------ the columns of a label file


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def test_columns_of_a_dropped_table_are_chosen(studio: StartedStudio, page: Page, tmp_path: Path) -> None:
    files = [tmp_path / "survey.csv"]
    lines = ["nr,shot,what,seen by"]
    for number in range(12):
        files.append(tmp_path / f"p{number}.png")
        files[-1].write_bytes(picture(number))
        lines.append(f"{number},p{number}.png,{('oak', 'elm')[number % 2]},Ada")
    files[0].write_text("\n".join(lines) + "\n")
    page.goto(f"{studio.url}/data?new=1")
    page.locator("input.pick-files").set_input_files(files)
    expect(page.get_by_text("No column name suggests", exact=False)).to_be_visible()
    choose(page, "Column with file names", "shot")
    choose(page, "Column with labels", "what")
    expect(page.get_by_text("12 photos, 2 classes")).to_be_visible()
    page.get_by_label("Name of the data set").fill("survey")
    page.get_by_label("Name of the data set").press("Enter")
    settle(page)
    page.get_by_role("button", name="Import 12 photos").click()
    expect(page.get_by_text("Version 1: 12 photos imported")).to_be_visible()
    eventually(lambda: studio.client.datasets.version("survey").classes == ("elm", "oak"))


# ------------------------------------------------------------- re-splitting


def test_a_leak_is_mended_by_dividing_anew(studio: StartedStudio, page: Page, tmp_path: Path) -> None:
    store = Store(studio.home)
    add_dataset(store, "parts", leaky(tmp_path / "parts"))
    audit(store, get_version(store, "parts"))
    page.goto(f"{studio.url}/data?dataset=parts&view=audit")
    card = page.locator(".st-key-card-leak-near")
    expect(card.get_by_text("no photo is removed", exact=False)).to_be_visible()
    card.get_by_role("button", name="Re-split").click()
    dialogue = page.get_by_role("dialog")
    expect(dialogue.get_by_text("16 now, 0 afterwards", exact=False)).to_be_visible()
    for split in ("train", "val", "test"):
        expect(dialogue.get_by_text(split, exact=True).first).to_be_visible()
    settle(page)
    dialogue.get_by_role("button", name="Re-split").click()
    eventually(lambda: get_version(store, "parts").number == 2, what="nothing was split")
    expect(dialogue).to_be_hidden()
    eventually(lambda: audit(store, get_version(store, "parts")).find("leak-near") is None, what="it still leaks")
