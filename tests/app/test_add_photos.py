"""Adding photos on the page Data: what is found in a source, what is asked, and what became of the import."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import app.client as clients
from app.client.datasets import expected_splits
from tests.app.adding import begun, looked
from tests.app.pages import show, sound, words
from tests.app.trees import ended, picture
from workflows.store.store import Store

page = partial(show, "data")


def test_a_new_data_set_from_a_folder_path(store: Store, folder: Path) -> None:
    test = begun(folder)
    assert "31 photos, 3 classes" in words(test)
    assert test.text_input(key="add--name").value == "trees"
    table = test.dataframe[-1].value
    assert table.loc[table["class"] == "birch", ["train", "val", "test"]].to_numpy().tolist() == [[7, 2, 1]]
    sound(test.number_input(key="add--train").set_value(50).run())
    table = test.dataframe[-1].value
    assert (
        table["train"].tolist()
        == expected_splits({"ash": 11, "birch": 10, "cedar": 10}, (50, 15, 15))["train"].tolist()
    )
    test.text_input(key="add--name").set_value("no/name").run()
    test.button(key="add--import").click().run()
    assert "'no/name'" in words(test)


def test_a_source_without_labels_can_be_taken_without(store: Store, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    test = begun(tmp_path)
    assert test.error
    looked(sound(test.button(key="add--bare").click().run()))
    assert "4 photos" in words(test)
    assert not test.error


@pytest.mark.slow  # four processes
def test_photos_with_and_without_labels_come_in_together_and_the_second_time_they_are_here(
    store: Store, folder: Path
) -> None:
    (folder / "loose.png").write_bytes(picture(999))
    test = looked(begun(folder))  # once photos without a label were found, they come in, too
    assert "32 photos, 3 classes" in words(test)
    assert test.toggle(key="add--with-bare").value
    request = {**test.session_state["add--looked"][0], "ratios": [70, 15, 15]}
    jobs = clients.client().jobs
    for _ in range(2):
        ended(jobs.start("import", "trees", request))
    assert jobs.of("trees", "import")[0].result is not None
    test = page(dataset="trees")
    assert "All 31 are here already" in words(test)
    assert len([button for button in test.button if button.label == "Dismiss"]) == 1
    test.query_params["finding"] = "here-already"
    assert "**31 photos**" in words(sound(test.run()))


def test_the_level_of_the_classes_is_asked_where_folders_lie_in_class_folders(store: Store, tmp_path: Path) -> None:
    for number, place in enumerate(("birds/owl", "birds/hen", "fish/cod")):
        (tmp_path / "animals" / place).mkdir(parents=True)
        for each in range(4):
            (tmp_path / "animals" / place / f"{each}.png").write_bytes(picture(10 * number + each))
    test = begun(tmp_path / "animals")
    assert "12 photos, 2 classes" in words(test)
    looked(sound(test.number_input(key="add--level").set_value(2).run()))
    assert "12 photos, 3 classes" in words(test)
    assert "Folders inside class folders" not in words(test)


def test_a_failed_import_is_said_on_its_page_until_it_is_put_away(store: Store, tmp_path: Path) -> None:
    job = clients.client().jobs.start("import", "lost", {"source": str(tmp_path / "absent"), "ratios": [70, 15, 15]})
    ended(job)
    test = page(dataset="lost")
    assert "absent" in words(test)
    sound(test.button(key=f"job-{job.id}-away").click().run())
    assert "absent" not in words(page())


def test_a_table_beside_the_photos_is_taken_by_a_button(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "flat"
    (place / "images").mkdir(parents=True)
    for number in range(8):
        (place / "images" / f"{number}.png").write_bytes(picture(number))
    rows = "".join(f"images/{number}.png,{'ash' if number % 2 else 'birch'}\n" for number in range(8))
    (place / "one.csv").write_text(f"filename,label\n{rows}")
    (place / "two.csv").write_text("filename,label\nimages/0.png,ash\n")  # with one table alone there is nothing to ask
    test = begun(place)
    looked(sound(test.button(key="add--take-beside").click().run()))
    assert test.text_input(key="add--labels").value == str(place / "one.csv")
    assert "8 photos, 2 classes" in words(test)


def test_every_fault_of_a_refused_import_is_shown(store: Store, folder: Path) -> None:
    for number in range(20):
        (folder / "ash" / f"torn{number:02}.png").write_bytes(b"no picture")
    request = {"source": str(folder), "ratios": [70, 15, 15]}
    job = ended(clients.client().jobs.start("import", "torn", request))
    assert job.error is not None and job.error.details["rejected"] == 21
    test = page(dataset="torn")
    shown = test.dataframe[0].value["Problem"]
    assert [text.partition(":")[0] for text in shown] == ["ash/broken.png", *(f"ash/torn{n:02}.png" for n in range(20))]
    assert len(test.get("download_button")) == 1
