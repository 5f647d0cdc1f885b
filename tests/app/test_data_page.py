"""The page Data: photos in, searched, changed, audited."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import app.client as clients
from app.client.datasets import Datasets
from app.client.images import Query
from app.views.data.add import FOLDER, UPLOAD
from tests.app.pages import button_keys, show, sound, words
from tests.app.trees import CLASSES, ended, picture
from tests.texts import mentions
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError
from workflows.store.store import Store

page = partial(show, "data")


def given(value: object) -> str:
    assert isinstance(value, str)
    return value


def test_the_first_thing_is_to_bring_photos_in(store: Store) -> None:
    test = page()
    assert not test.error
    assert test.segmented_control(key="add--where").options == [UPLOAD, FOLDER]
    assert not test.selectbox
    assert not test.button


OWN_WIDGETS = {
    "photos": "browse-class",
    "charts": "charts-order",
    "audit": "audit-run",
    "labels": "label-check-run",
    "classes": "rename-old",
    "history": "history-undo",
    "add": "add-trees-where",
}
"""The key of a widget that only this view has."""


@pytest.mark.parametrize("view", OWN_WIDGETS)
def test_every_view_can_be_opened_by_its_address(trees: Datasets, view: str) -> None:
    test = page(dataset="trees", view=view)
    assert not test.error
    assert "30 photos · 3 classes" in words(test)
    kinds = ("button", "segmented_control", "selectbox", "toggle")
    keys = {widget.key for kind in kinds for widget in getattr(test, kind)}
    assert keys & set(OWN_WIDGETS.values()) == {OWN_WIDGETS[view]}


def test_filters_stand_in_the_address_and_come_from_it(trees: Datasets) -> None:
    version = trees.version("trees")
    number = len(trees.find(version, Query(label="ash", split="train")))
    test = page(dataset="trees", class_="ash", split="train")
    assert f"**{number} photos**" in words(test)
    sound(test.selectbox(key="browse-class").set_value("cedar").run())
    assert test.query_params["class"] in ("cedar", ["cedar"])
    assert len(page(dataset="trees", search="no such name").info) == 1 + len(test.info)


def chosen(test: AppTest, ids: list[str]) -> AppTest:
    """Choose photos in the gallery."""
    rounds = test.session_state.get("browse-gallery-round", 0)
    test.session_state[f"browse-gallery-{rounds}"] = {"selected": ids}
    return sound(test.run())


def test_a_photo_is_looked_at_by_its_address(trees: Datasets) -> None:
    row = trees.version("trees").table().iloc[17]
    test = page(dataset="trees", image=row["image_id"])
    assert f"**{row['label']}** · {row['split']}" in words(test)
    assert row["path"] in words(test)


def test_many_photos_are_labelled_moved_removed_and_it_is_undone(trees: Datasets) -> None:
    ids = trees.version("trees").table()["image_id"].tolist()[:3]
    test = chosen(page(dataset="trees"), ids)
    assert "**3 chosen** of 30" in words(test)
    test.selectbox(key="bulk-label").set_value("cedar").run()
    sound(test.button(key="bulk-label-do").click().run())
    assert set(trees.version("trees").table().set_index("image_id").loc[ids, "label"]) == {"cedar"}
    chosen(test, ids)
    sound(test.button(key="bulk-remove").click().run())
    assert trees.version("trees").images == 27
    test = page(dataset="trees", view="history")
    sound(test.button(key="history-undo").click().run())
    assert trees.version("trees").images == 30
    assert trees.version("trees").action == "undo"
    sound(test.button(key="history-undo").click().run())
    assert set(trees.version("trees").classes) == set(trees.version("trees", 1).classes)
    assert test.button(key="history-undo").disabled
    sound(test.button(key="history-redo").click().run())
    assert "cedar" in trees.version("trees").classes
    assert [each.action for each in trees.history("trees")] == ["redo", "undo", "undo", "remove", "relabel", "import"]
    assert "history-restore" not in {button.key for button in page(dataset="trees", view="history").button}


def test_an_edit_that_is_refused_says_so_where_the_person_looks(store: Store, tmp_path: Path) -> None:
    for name in CLASSES[:2]:
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "in" / name / f"{number}.png").write_bytes(picture(number if name == "ash" else 50 + number))
    copy = tmp_path / "in" / "ash" / "copy.png"
    copy.write_bytes(picture(0))
    add_dataset(store, "trees", tmp_path / "in")
    table = clients.client().datasets.version("trees").table().set_index("path")
    image, split = (given(table.at["ash/0.png", column]) for column in ("image_id", "split"))
    test = chosen(page(dataset="trees"), [image])
    test.session_state["bulk-split"] = "val" if split != "val" else "test"
    test.run()
    test.button(key="bulk-move").click().run()
    assert "ash/copy.png" in words(test)
    assert clients.client().datasets.version("trees").number == 1


def test_a_finding_is_mended_after_it_was_said_what_will_happen(store: Store, folder: Path) -> None:
    (folder / "ash" / "copy.png").write_bytes((folder / "ash" / "00.png").read_bytes())
    add_dataset(store, "trees", folder)
    test = page(dataset="trees", view="audit")
    assert not [key for key in button_keys(test) if key.startswith("fix-")]
    sound(test.button(key="audit-run").click().run())
    [job] = clients.client().jobs.of("trees", "audit")[:1]
    ended(job)
    assert job.error is None
    test = page(dataset="trees", view="audit")
    sound(test.button(key="fix-exact-duplicates").click().run())
    assert mentions(words(test), "1 copy")
    datasets = clients.client().datasets
    assert datasets.version("trees").number == 1
    version = datasets.repair(datasets.plan_repair("trees", "exact-duplicates"))
    assert (version.action, version.images) == ("fix", 30)
    assert mentions(words(page(dataset="trees", view="audit")), "version 1", "version 2")


def test_classes_are_named_renamed_and_merged(trees: Datasets) -> None:
    test = page(dataset="trees", view="classes")
    test.text_area(key="classes-new").set_value("dogwood\n elm \n\nelm").run()
    sound(test.button(key="classes-name").click().run())
    assert clients.client().annotation.classes(trees.version("trees")) == [*CLASSES, "dogwood", "elm"]
    test.selectbox(key="rename-old").set_value("ash")
    test.text_input(key="rename-new").set_value("Fraxinus").run()
    sound(test.button(key="rename-do").click().run())
    assert trees.version("trees").classes == ("birch", "cedar", "Fraxinus")
    test.multiselect(key="merge-olds").set_value(["birch", "cedar"]).run()
    sound(test.button(key="merge-do").click().run())
    assert trees.version("trees").classes == ("birch", "Fraxinus")


def test_a_data_set_is_deleted_only_by_its_name(trees: Datasets) -> None:
    test = page(dataset="trees", view="history")
    test.toggle(key="delete-show").set_value(True).run()
    assert "1 version, 30 pictures" in words(test)
    assert test.button(key="delete-do").disabled
    sound(test.text_input(key="delete-name").set_value("trees").run())
    test.button(key="delete-do").click().run()
    with pytest.raises(DatasetError):
        trees.version("trees")


def test_names_of_people_are_text(store: Store, tmp_path: Path) -> None:
    for name in ("**bold**", "<b>x</b>"):
        (tmp_path / "in" / name.replace("/", "∕")).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "in" / name.replace("/", "∕") / f"{number}.png").write_bytes(picture(len(name) * 10 + number))
    add_dataset(store, "odd", tmp_path / "in")
    table = clients.client().datasets.version("odd").table()
    test = page(dataset="odd", image=table["image_id"][0])
    shown = "\n".join(str(part.value) for part in test.markdown)
    assert r"\*\*bold\*\*" in shown
    for view in ("charts", "audit", "classes", "history"):
        page(dataset="odd", view=view)
