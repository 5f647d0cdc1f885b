"""Re-splitting from what the audit found: in the studio and in a terminal, with the sizes shown before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import app.client as clients
from tests.app.pages import marked, opened, show, sound, words
from tests.data.conftest import write
from tests.data.exposures import exposures, part_of
from tests.processes import fieldguide
from tests.texts import mentions
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.recommend.facts import dataset_facts
from workflows.store.store import Store

page = partial(show, "data")


def leaky(folder: Path) -> Path:
    """Parts of two classes under two exposures each, one in train and the other held out."""
    for name, content in exposures(32, most=2).items():
        number, again = int(part_of(name)), name.endswith("1")
        split = "train" if not again else "val" if number % 8 < 4 else "test"
        write(folder / split / "ab"[number // 4 % 2] / f"{name}.png", content)
    return folder


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    with opened(home, monkeypatch) as store:
        add_dataset(store, "parts", leaky(tmp_path / "parts"))
        audit(store, get_version(store, "parts"))
        yield store


@pytest.mark.parametrize("finding", ["leak-near", "near-duplicates"])
def test_one_click_divides_anew_after_the_sizes_were_shown(store: Store, finding: str) -> None:
    test = page(dataset="parts", view="audit")
    sound(test.button(key=f"resplit-{finding}").click().run())
    planned = clients.client().datasets.plan_resplit("parts")
    metrics = {metric.label: metric.value for metric in test.metric}
    assert {split: int(metrics[split]) for split in ("train", "val", "test")} == planned.totals()
    assert f"{planned.leaking[0]} now, 0 afterwards" in marked(test) and planned.leaking[0] == 16
    assert get_version(store, "parts").number == 1
    clients.client().datasets.carry_out_resplit(planned)
    assert get_version(store, "parts").split_counts().sum().to_dict().items() >= planned.totals().items()
    assert mentions(words(page(dataset="parts", view="audit")), "version 1", "version 2")


def test_other_shares_are_shown_before_too(store: Store) -> None:
    test = page(dataset="parts", view="classes")
    for split, share in (("train", 50), ("val", 25), ("test", 25)):
        test.number_input(key=f"resplit-{split}").set_value(share)
    sound(test.run())
    sound(test.button(key="resplit-do").click().run())
    metrics = {metric.label: int(metric.value) for metric in test.metric}
    assert metrics == clients.client().datasets.plan_resplit("parts", (50, 25, 25)).totals()
    assert get_version(store, "parts").number == 1


def test_the_recommender_proposes_it(store: Store) -> None:
    assert dataset_facts(get_version(store, "parts")).leaking == 16


def test_the_verbs_tell_the_sizes_and_do_it(store: Store) -> None:
    told = fieldguide(store.home, "dataset", "audit", "parts", "--finding", "leak-near")
    assert "fieldguide dataset resplit parts" in told.stdout
    fix = fieldguide(store.home, "dataset", "fix", "parts", "near-duplicates", "--dry-run", "--json").document
    assert fix["instead"].startswith("fieldguide dataset resplit parts")
    words = fix["instead"].split()[1:]
    plan = fieldguide(store.home, *words, "--dry-run", "--json").document
    assert (plan["version"], plan["leaking"], plan["look_alikes"]["torn"]) == (1, {"before": 16, "after": 0}, 0)
    assert sum(plan["sizes"].values()) == 48
    assert {label: sum(sizes.values()) for label, sizes in plan["sizes_by_class"].items()} == {"a": 24, "b": 24}
    assert get_version(store, "parts").number == 1
    human = fieldguide(store.home, *words, "--dry-run")
    assert "16 now, 0 afterwards" in human.stdout
    done = fieldguide(store.home, *words, "--json").document
    assert (done["version"], done["action"], done["sizes"]) == (2, "split", plan["sizes"])
    counts = get_version(store, "parts").split_counts().sum()
    assert {split: int(counts[split]) for split in plan["sizes"]} == plan["sizes"]
