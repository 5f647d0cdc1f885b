"""The page Data and the client behind it: photos in, searched, changed, audited, and labels in and out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import app.client as clients
from app.client.datasets import Datasets, expected_splits, suggest_name, too_small
from app.client.images import NO_SPLIT, Images, Query
from tests.app.pages import opened, show, sound, words
from tests.app.trees import CLASSES, ended, picture, write_trees
from workflows.data.importing import add_dataset
from workflows.data.splits import assign_splits
from workflows.errors import DatasetError, SourceError, UsageError
from workflows.store.store import Store

page = partial(show, "data")


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with opened(home, monkeypatch) as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_trees(tmp_path / "trees")


@pytest.fixture
def trees(store: Store, folder: Path) -> Datasets:
    add_dataset(store, "trees", folder)
    return clients.client().datasets


def given(value: object) -> str:
    assert isinstance(value, str)
    return value


# ------------------------------------------------------------------ searching


def test_images_are_found_by_every_property_together(trees: Datasets) -> None:
    version = trees.version("trees")
    table = version.table()
    assert len(trees.find(version, Query())) == 30
    found = trees.find(version, Query(label="birch", split="train", text="BIRCH/0"))
    oracle = table[(table["label"] == "birch") & (table["split"] == "train") & table["path"].str.contains("birch/0")]
    assert found.index.tolist() == oracle["image_id"].tolist()
    one = table["image_id"][7]
    assert trees.find(version, Query(text=one)).index.tolist() == [one]
    assert trees.find(version, Query(text="(")).empty  # what is typed is text, no pattern
    order = (table["image_id"][9], "gone", table["image_id"][2])
    assert trees.find(version, Query(among=order)).index.tolist() == [order[0], order[2]]


def test_counts_agree_with_the_version(trees: Datasets) -> None:
    version = trees.version("trees")
    images = trees.images(version)
    assert (
        images.counts[["train", "val", "test"]].equals(version.split_counts().astype(images.counts["train"].dtype))
        or (images.counts[["train", "val", "test"]].to_numpy() == version.split_counts().to_numpy()).all()
    )
    assert images.counts["all"].sum() == 30
    assert images.sizes["images"].sum() == 30
    assert np.allclose(images.aspects, version.table()["width"] / version.table()["height"])


def test_images_without_labels_and_splits_are_counted() -> None:
    columns = {name: ["x", "y", "z"] for name in ("image_id", "path", "sha256", "mode", "format", "group", "source")}
    table = pd.DataFrame(
        {**columns, "width": 4, "height": 2, "label": ["a", None, "a"], "split": ["train", None, None]}
    )
    images = Images(table)
    assert images.unlabelled == 1
    assert images.counts.loc["a"].to_dict() == {"train": 1, "val": 0, "test": 0, NO_SPLIT: 1, "all": 2}
    assert images.find(Query(split=NO_SPLIT)).index.tolist() == ["y", "z"]


def test_lists_that_are_named(trees: Datasets) -> None:
    version = trees.version("trees")
    ids = [str(each) for each in version.table()["image_id"]]
    assert trees.among(version, "all") is None
    assert trees.among(version, "unlabelled") == ()
    trees.add_to_review("trees", [ids[3]], "which tree?")
    assert trees.among(version, "review") == (ids[3],)
    assert trees.reviews("trees") == {ids[3]: "which tree?"}
    trees.reviewed("trees", [ids[3]])
    assert trees.among(version, "review") == ()
    bare = trees.relabel("trees", {ids[0]: None})
    assert trees.among(bare, "unlabelled") == (ids[0],)
    assert trees.among(bare, "no-such-finding") == ()


# -------------------------------------------------------------------- previews


@pytest.mark.parametrize("ratios", [(0.7, 0.15, 0.15), (80, 20, 0), (1, 1, 1)])
def test_the_preview_of_a_split_is_what_the_split_does(ratios: tuple[float, float, float]) -> None:
    counts = {"a": 10, "b": 37, "c": 5}
    labels = [label for label, number in counts.items() for _ in range(number)]
    images = pd.DataFrame(
        {"label": labels, "sha256": [f"{n:064x}" for n in range(len(labels))], "group": None, "split": None}
    )
    done = pd.crosstab(images["label"], pd.Series(assign_splits(images, ratios)))
    expected = expected_splits(counts, ratios)
    for split in ("train", "val", "test"):
        assert expected[split].tolist() == (done[split].tolist() if split in done else [0, 0, 0])


def test_classes_too_small_for_a_split_are_named() -> None:
    assert too_small({"a": 2, "b": 3}, (70, 15, 15)) == ["a"]
    assert too_small({"a": 2, "b": 3}, (70, 30, 0)) == []
    with pytest.raises(UsageError):
        too_small({"a": 2}, (100, 0, 0))


def test_a_label_file_is_previewed_before_it_changes_anything(trees: Datasets) -> None:
    version = trees.version("trees")
    text = "filename,label\nash/00.png,birch\nash/01.png,ash\ncedar/02.png,dogwood\nelm/9.png,elm\n"
    changes = trees.label_changes(version, text.encode())
    assert changes.rows.to_dict("records") == [
        {"filename": "ash/00.png", "before": "ash", "after": "birch"},
        {"filename": "cedar/02.png", "before": "cedar", "after": "dogwood"},
    ]
    assert (changes.same, changes.unknown, changes.new_classes) == (1, ("elm/9.png",), ("dogwood",))
    assert trees.version("trees").number == 1
    after = trees.relabel("trees", changes.labels)
    labels = after.table().set_index("path")["label"]
    assert (labels["ash/00.png"], labels["cedar/02.png"]) == ("birch", "dogwood")
    with pytest.raises(SourceError, match="columns"):
        trees.label_changes(version, b"a,b\n1,2\n")


def test_labels_go_out_and_in_again_unchanged_and_are_no_formulas(trees: Datasets) -> None:
    image = trees.version("trees").table()["image_id"][0]
    version = trees.relabel("trees", {image: "=1+1"})
    content = trees.labels_csv(version)
    assert content.startswith(b"filename,label,split\n")
    assert b",'=1+1," in content
    changes = trees.label_changes(version, content)
    assert (changes.labels, changes.same, changes.unknown) == ({}, 30, ())


def test_a_name_is_suggested_that_can_be_used(trees: Datasets) -> None:
    for text in ("Flower Photos (2)", "", "Ährenfeld", "../etc"):
        trees.check_name(suggest_name(text))
    with pytest.raises(UsageError):
        trees.check_name("a/b")


# ------------------------------------------------------------------- the page


def test_the_first_thing_is_to_bring_photos_in(store: Store) -> None:
    test = page()
    assert not test.error
    assert not test.selectbox
    assert not test.button


@pytest.mark.parametrize("view", ["photos", "charts", "audit", "classes", "history", "add"])
def test_every_view_can_be_opened_by_its_address(trees: Datasets, view: str) -> None:
    test = page(dataset="trees", view=view)
    assert not test.error
    assert "30 photos · 3 classes" in words(test)


def test_a_new_data_set_from_a_folder_path(store: Store, folder: Path) -> None:
    test = page(new="1")
    test.session_state["add--where"] = "A folder on the studio's machine"
    sound(test.run())
    sound(test.text_input(key="add--path").set_value(str(folder)).run())
    looked = clients.client().jobs.find(test.session_state["add--looked"][1])
    assert looked is not None
    ended(looked)
    sound(test.run())
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
    assert "can't be called" in words(test)


def test_a_source_without_labels_can_be_taken_without(store: Store, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    test = page(new="1")
    test.session_state["add--where"] = "A folder on the studio's machine"
    sound(test.run())
    sound(test.text_input(key="add--path").set_value(str(tmp_path)).run())
    job = clients.client().jobs.find(test.session_state["add--looked"][1])
    assert job is not None
    ended(job)
    sound(test.run())
    assert test.error
    sound(test.button(key="add--bare").click().run())
    job = clients.client().jobs.find(test.session_state["add--looked"][1])
    assert job is not None
    ended(job)
    sound(test.run())
    assert "4 photos" in words(test)
    assert not test.error


def test_a_failed_import_is_said_on_its_page_until_it_is_put_away(store: Store, tmp_path: Path) -> None:
    job = clients.client().jobs.start("import", "lost", {"source": str(tmp_path / "absent"), "ratios": [70, 15, 15]})
    ended(job)
    test = page(dataset="lost")
    assert "absent" in words(test)
    sound(test.button(key=f"job-{job.id}-away").click().run())
    assert "absent" not in words(page())


def test_filters_stand_in_the_address_and_come_from_it(trees: Datasets) -> None:
    version = trees.version("trees")
    number = len(trees.find(version, Query(label="ash", split="train")))
    test = page(dataset="trees", class_="ash", split="train")
    assert f"**{number} photos**" in words(test)
    sound(test.selectbox(key="browse-class").set_value("cedar").run())
    assert test.query_params["class"] in ("cedar", ["cedar"])
    assert "No photo is like that" in words(page(dataset="trees", search="no such name"))


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
    assert len(trees.history("trees")) == 4


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
    assert "copies of one picture into two splits" in words(test)
    assert clients.client().datasets.version("trees").number == 1


def test_a_finding_is_mended_after_it_was_said_what_will_happen(store: Store, folder: Path) -> None:
    (folder / "ash" / "copy.png").write_bytes((folder / "ash" / "00.png").read_bytes())
    add_dataset(store, "trees", folder)
    test = page(dataset="trees", view="audit")
    assert "Not audited yet" in words(test)
    sound(test.button(key="audit-run").click().run())
    [job] = clients.client().jobs.of("trees", "audit")[:1]
    ended(job)
    assert job.error is None
    test = page(dataset="trees", view="audit")
    sound(test.button(key="mend-exact-duplicates").click().run())
    assert "1 copy leaves" in words(test)
    datasets = clients.client().datasets
    assert datasets.version("trees").number == 1
    version = datasets.repair(datasets.plan_repair("trees", "exact-duplicates"))
    assert (version.action, version.images) == ("fix", 30)
    assert "in version 1; the data set is at version 2 now" in words(page(dataset="trees", view="audit"))


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
