"""Re-splitting: what is said beforehand is what comes out, look-alikes stay together, and nothing is lost silently."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.data.audit.pictures import audited, photos
from tests.data.conftest import MakeImages, write
from tests.data.exposures import exposures, part_of
from workflows.data.audit.gate import refuse_errors
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.edits import remove
from workflows.data.importing import add_dataset
from workflows.data.resplit import carry_out_resplit, plan_resplit, resplit
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, UsageError
from workflows.pipeline import create_run
from workflows.requests import TrainRequest
from workflows.store.files import write_table
from workflows.store.store import Store

SPLITS = ("train", "val", "test")


@pytest.fixture
def leaky(store: Store, tmp_path: Path) -> DatasetVersion:
    """Parts of two classes under up to six exposures, that came divided at random: most held-out ones are known."""
    for number, (name, content) in enumerate(sorted(exposures(36).items(), key=lambda item: hash_of(item[0]))):
        split = "train" if number % 10 < 6 else "val" if number % 10 < 8 else "test"
        write(tmp_path / "parts" / split / "ab"[int(part_of(name)) // 6 % 2] / f"{name}.png", content)
    add_dataset(store, "parts", tmp_path / "parts")
    return get_version(store, "parts")


def hash_of(name: str) -> str:
    """An order that has nothing to do with the names."""
    return f"{(int(part_of(name)) * 7919 + int(name[-1]) * 104729) % 1000:04}"


def torn_parts(version: DatasetVersion) -> int:
    table = version.table()
    return int((table["split"].groupby(table["path"].map(part_of)).nunique() > 1).sum())


def test_look_alikes_stay_together_and_what_was_said_comes_out(store: Store, leaky: DatasetVersion) -> None:
    assert torn_parts(leaky) > 20
    plan = plan_resplit(store, "parts")
    assert get_version(store, "parts").number == 1  # nothing is done yet
    assert plan.ratios == (60, 20, 20) and plan.leaking[0] > 30 and plan.leaking[1] == plan.torn == 0
    made = carry_out_resplit(store, plan)
    assert (made.number, made.given_split, made.action) == (2, False, "split")
    assert torn_parts(made) <= 1  # an exposure may have been missed
    assert made.split_counts()[list(SPLITS)].sum().to_dict() == plan.totals()
    assert made.split_counts().loc["a", list(SPLITS)].tolist() == plan.sizes.loc["a"].tolist()
    before, after = leaky.table().set_index("image_id")["split"], made.table().set_index("image_id")["split"]
    assert set(before.index) == set(after.index)
    assert int((before != after.reindex(before.index)).sum()) == plan.moved


def test_the_sizes_are_near_those_asked_for(store: Store, leaky: DatasetVersion) -> None:
    totals = plan_resplit(store, "parts", (0.7, 0.15, 0.15)).totals()
    whole = sum(totals.values())
    assert whole == leaky.images
    assert [totals[split] / whole for split in SPLITS] == pytest.approx([0.7, 0.15, 0.15], abs=0.05)


def test_resplitting_anew_mends_the_leak(store: Store, leaky: DatasetVersion) -> None:
    found = audit(store, leaky).find("leak-near")
    assert found is not None and found.count > 0.8 * leaky.split_counts()[["val", "test"]].to_numpy().sum()
    resplit(store, "parts", None)
    assert audit(store, get_version(store, "parts")).find("leak-near") is None


def test_what_would_change_nothing_is_said_to(store: Store, leaky: DatasetVersion) -> None:
    plan = plan_resplit(store, "parts", (0.7, 0.15, 0.15))
    assert plan.moved
    warned = len(plan.warnings())
    carry_out_resplit(store, plan)
    again = plan_resplit(store, "parts", (0.7, 0.15, 0.15))
    assert not again.moved
    assert len(again.warnings()) == warned - plan.version.given_split + 1


def test_a_group_of_several_labels_stops_no_training(store: Store, tmp_path: Path) -> None:
    """Exposures of one part, that two people called differently, in train and in test."""
    images = exposures(60, most=2)
    for name, content in images.items():
        number, again = int(part_of(name)), name.endswith("1")
        split = "test" if again else "train" if number % 4 else "val"
        label = "ab"[number // 2 % 2 if not again else 1 - number // 2 % 2]
        write(tmp_path / "set" / split / label / f"{name}.png", content)
    report = audited(store, tmp_path / "set")
    both, leak = report.find("near-two-labels"), report.find("leak-near")
    assert both is not None and both.severity == "warning" and len(both.facts["groups"]) > 20
    assert leak is not None and leak.severity == "warning"
    refuse_errors(report)


def test_the_very_same_photo_under_another_label_stops_no_training(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "set" / "train", cats=20, dogs=20).parent
    photos(source / "val", seed=1, cats=8, dogs=8)
    photo = sorted((source / "val" / "cats").iterdir())[0]
    write(source / "train" / "dogs" / "other.png", photo.read_bytes())
    report = audited(store, source)
    leak = report.find("leak-exact")
    assert leak is not None and leak.severity == "warning"
    refuse_errors(report)
    write(source / "train" / "cats" / "same.png", photo.read_bytes())
    with pytest.raises(DatasetError, match="leak-exact"):
        refuse_errors(audited(store, source, "again"))


def test_other_shares_and_seeds(store: Store, make_images: MakeImages) -> None:
    first = add_dataset(store, "set", make_images(cats=20, dogs=20)).version
    second = resplit(store, "set", (0.5, 0.25, 0.25), seed=3)
    assert second.split_counts().loc["cats"].tolist() == [10, 5, 5]
    assert (second.given_split, second.ratios(), first.ratios()) == (False, (0.5, 0.25, 0.25), (0.7, 0.15, 0.15))
    labels = [version.table().set_index("image_id")["label"] for version in (first, second)]
    assert labels[0].sort_index().equals(labels[1].sort_index())
    assert plan_resplit(store, "set").ratios == (0.5, 0.25, 0.25)
    with pytest.raises(UsageError):
        plan_resplit(store, "set", (1, 0, 0))


def test_a_plan_is_refused_where_the_set_has_changed_since(store: Store, leaky: DatasetVersion) -> None:
    plan = plan_resplit(store, "parts")
    remove(store, "parts", leaky.table()["image_id"].iloc[:1])
    with pytest.raises(DatasetError, match="has changed"):
        carry_out_resplit(store, plan)
    assert get_version(store, "parts").number == 2


def champion_tested_on(store: Store, images: pd.DataFrame) -> None:
    """Make the store's first model, tested on `images` of the data set."""
    run = create_run(store, TrainRequest(dataset="parts", weights="none"))
    champion = store.models.add(
        "reader", run_id=run.run_id, dataset="parts", version=1, card={}, metrics={}, author="Ada", reason="first"
    )
    store.models.record_promotion("reader", 1, expected=None, action="register", author="Ada", reason="the first")
    frozen = images[["image_id", "path", "sha256", "split", "label"]].reset_index(drop=True)
    write_table(store.model_folder("reader", champion.number) / "test_images.parquet", frozen)


def test_images_that_a_champion_is_tested_on_stay_out_of_training(store: Store, leaky: DatasetVersion) -> None:
    frozen = leaky.table().query("split == 'test'")
    champion_tested_on(store, frozen)
    plan = plan_resplit(store, "parts")
    assert set(pd.Series(dict(plan.splits)).reindex(frozen["image_id"])) == {"test"}
    assert (plan.frozen, plan.released, plan.torn, plan.leaking[1]) == ({"reader": len(frozen)}, {}, 0, 0)
    carry_out_resplit(store, plan)
    assert set(get_version(store, "parts").table().set_index("image_id").loc[frozen["image_id"], "split"]) == {"test"}
    released = plan_resplit(store, "parts", seed=1, release_test_images=True)
    trained_on = pd.Series(dict(released.splits)).reindex(frozen["image_id"]) == "train"
    assert released.released == {"reader": int(trained_on.sum())} and trained_on.any()
    assert any("reader" in warning for warning in released.warnings())


def test_frozen_images_that_were_trained_on_meanwhile_come_back_to_the_test(
    store: Store, leaky: DatasetVersion
) -> None:
    train = leaky.table().query("split == 'train'").head(3)
    champion_tested_on(store, train)
    plan = plan_resplit(store, "parts")
    assert {plan.splits[image] for image in train["image_id"]} == {"test"}
