"""The shortcut check: names the trivial fact that gives a label away, and does not cry wolf on honest photos."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from tests.data.audit.pictures import audited, found, photo
from tests.data.conftest import encoded, write
from tests.texts import mentions
from workflows.data.audit.findings import AuditInput, CheckResult
from workflows.data.audit.shortcut import Guess, check_shortcut, shortcut_check, strongest
from workflows.data.audit.trivial import FACTS, bound_together, trivial_table
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.store.store import Store


def facts_of(images: int = 150, classes: int = 3, seed: int = 0) -> pd.DataFrame:
    """Measured facts that have nothing to do with the labels."""
    generator = np.random.default_rng(seed)
    names = ("brightness", "darkest", "brightest", "contrast", "entropy", "sharpness", "saturation", "border")
    casts = ("red_cast", "green_cast", "blue_cast")
    table = pd.DataFrame({name: generator.uniform(0, 1, images) for name in (*names, *casts)})
    numbers = [f"{number:04d}" for number in range(images)]
    return table.assign(
        image_id=numbers,
        path=[f"class/{number}.jpg" for number in generator.permutation(numbers)],
        sha256=numbers,
        phash=numbers,
        group=None,
        label=[f"c{number % classes}" for number in range(images)],
        split="train",
        width=generator.integers(90, 110, images),
        height=generator.integers(90, 110, images),
        format="JPEG",
        mode="RGB",
        jpeg_quality=generator.choice([75, 85, 92], images),
        camera=None,
        dark_share=0.01,
        bright_share=0.01,
    )


@pytest.fixture
def check(store: Store, tmp_path: Path) -> Callable[[pd.DataFrame], CheckResult]:
    """Runs the check on a table of facts."""
    write(tmp_path / "any" / "a" / "1.png", encoded(photo(1)))
    for number in range(2, 9):
        write(tmp_path / "any" / "ab"[number % 2] / f"{number}.png", encoded(photo(number)))
    add_dataset(store, "any", tmp_path / "any")
    version = get_version(store, "any")
    return lambda table: check_shortcut(AuditInput(store, version, table))


def test_facts_without_any_bearing_on_the_label_are_at_chance(check: Callable[[pd.DataFrame], CheckResult]) -> None:
    for seed in range(3):
        outcome = shortcut_check(facts_of(seed=seed))
        assert outcome is not None
        low, high = outcome.everything.interval
        assert low <= outcome.chance <= high
        assert max(guess.low for guess in outcome.facts.values()) < 0.6
        assert check(facts_of(seed=seed)).findings == ()


@pytest.mark.parametrize(
    ("columns", "fact", "severity"),
    [
        ({"jpeg_quality": 60}, "jpeg_quality", "error"),
        ({"format": "PNG", "jpeg_quality": None}, "format", "error"),
        ({"camera": "Acme One"}, "camera", "error"),
        ({"width": 300, "height": 300}, "size", "error"),
        ({"brightest": 0.01, "brightness": 0.0}, "brightness", "warning"),
        ({"sharpness": 2.0}, "sharpness", "warning"),
        ({"red_cast": 2.0}, "colour", "warning"),
    ],
)
def test_names_the_fact_that_gives_one_class_of_several_away(
    check: Callable[[pd.DataFrame], CheckResult], columns: dict[str, object], fact: str, severity: str
) -> None:
    table = facts_of(images=450).astype(dict.fromkeys(columns, object))
    guilty = table["label"] == "c1"
    for name, value in columns.items():
        table.loc[guilty, name] = value
    (finding,) = check(table).findings
    assert (finding.key, finding.severity, finding.facts["fact"], finding.facts["label"]) == (
        "tank",
        severity,
        fact,
        "c1",
    )
    assert set(finding.image_ids) == set(table.loc[guilty, "image_id"])
    assert finding.score is not None and finding.threshold is not None and finding.score >= finding.threshold


def test_a_label_in_the_file_name_is_told_and_not_blamed(check: Callable[[pd.DataFrame], CheckResult]) -> None:
    table = facts_of()
    table["path"] = [f"x/{label}-photo{'s' * int(label[1])}.jpg" for label in table["label"]]
    outcome = shortcut_check(table)
    assert outcome is not None
    assert outcome.families["name"].accuracy == pytest.approx(1.0)
    assert outcome.everything.interval[0] <= outcome.chance  # the names are not part of this
    assert check(table).findings == ()


@pytest.mark.parametrize(("joint", "alone", "first"), [(0.71, 0.83, 83), (0.83, 0.71, 83), (0.8, 0.8, 80)])
def test_the_strongest_figure_comes_first_and_is_not_contradicted(joint: float, alone: float, first: int) -> None:
    together, single = (Guess(0.5, (0.4, 0.6), "a", area, area - 0.05) for area in (joint, alone))
    colour = next(fact for fact in FACTS if fact.name == "colour")
    text = strongest("colour", together, colour, single)
    figures = [int(number) for number in re.findall(r"(\d+) of 100", text)]
    assert figures[0] == first == max(figures)
    assert len(figures) == (2 if joint > alone else 1)


def test_folders_are_no_part_of_the_name() -> None:
    table = facts_of(images=40)
    moved = table.assign(path=[f"{label}/{Path(path).name}" for label, path in table[["label", "path"]].to_numpy()])
    assert trivial_table(table).equals(trivial_table(moved))


def test_every_fact_has_columns_and_every_column_a_fact() -> None:
    columns = [column for fact in FACTS for column in fact.columns]
    assert sorted(columns) == sorted(trivial_table(facts_of(images=20)).columns)


def test_copies_are_never_on_both_sides() -> None:
    table = facts_of(images=6).assign(
        sha256=list("aabcde"), phash=list("xyyzzw"), group=[None, None, None, "g", None, "g"]
    )
    bound = bound_together(table)
    assert len({*bound[:3]}) == 1  # by content, then by hash
    assert len({*bound[3:]}) == 1  # by hash, and by group
    assert bound[0] != bound[3]


def test_ink_on_paper_is_not_blamed_for_its_amount(check: Callable[[pd.DataFrame], CheckResult]) -> None:
    table = facts_of(images=300)
    table.loc[table["label"] == "c1", "brightness"] = 2.0
    assert check(table).findings[0].severity == "warning"
    (finding,) = check(table.assign(dark_share=0.5)).findings
    assert finding.severity == "info"


def test_small_classes_take_no_part() -> None:
    assert shortcut_check(facts_of(images=30)) is None
    assert shortcut_check(facts_of(images=60)) is not None


def test_work_is_bounded_in_images_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.data.audit.shortcut.MAX_IMAGES", 120)
    monkeypatch.setattr("workflows.data.audit.shortcut.MAX_CLASSES", 4)
    outcome = shortcut_check(facts_of(images=1000, classes=10))
    assert outcome is not None
    assert (outcome.images, outcome.chance) == (120, 0.25)


def darkened(source: Path, target: Path, label: str, gain: float, each: int) -> Path:
    """Copy the first photos of each class; darken those of one, and encode all alike."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        (target / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:each]:
            with Image.open(path) as image:
                factor = gain if folder.name == label else 1.0
                shown = ImageEnhance.Brightness(image.convert("RGB")).enhance(factor)
                shown.save(target / folder.name / path.name, quality=90)
    return target


def test_real_flowers_do_not_make_it_cry_wolf(store: Store, shared: Path, tmp_path: Path) -> None:
    for folder in (shared / "data" / "flowers").iterdir():
        (tmp_path / "flowers" / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:120]:
            shutil.copyfile(path, tmp_path / "flowers" / folder.name / path.name)
    report = audited(store, tmp_path / "flowers")
    shortcut = found(report, "tank")
    assert shortcut.severity == "info"
    assert shortcut.image_ids == ()
    # colours of flowers do differ: it says so, with figures
    assert shortcut.facts["family"] == "colour"
    assert 0.3 < shortcut.facts["everything"]["accuracy"] < 0.6
    assert shortcut.facts["chance"] == 0.2
    assert report.errors == ()


def test_a_darkened_class_of_real_flowers_is_found(store: Store, shared: Path, tmp_path: Path) -> None:
    source = darkened(shared / "data" / "flowers", tmp_path / "flowers", "roses", gain=0.6, each=100)
    shortcut = found(audited(store, source), "tank")
    assert (shortcut.severity, shortcut.facts["fact"], shortcut.facts["label"]) == ("warning", "brightness", "roses")
    assert shortcut.count == 100
    assert mentions(shortcut.title, "Brightness", "'roses'")


def test_a_darkened_class_of_two_is_found(store: Store, shared: Path, tmp_path: Path) -> None:
    insects = shared / "data" / "hymenoptera" / "train"
    undisturbed = darkened(insects, tmp_path / "undisturbed", "ants", gain=1.0, each=80)
    assert found(audited(store, undisturbed, "undisturbed"), "tank").severity == "info"
    dark = darkened(insects, tmp_path / "dark", "ants", gain=0.6, each=80)
    shortcut = found(audited(store, dark, "dark"), "tank")
    assert (shortcut.severity, shortcut.facts["fact"]) == ("warning", "brightness")
    assert mentions(shortcut.title, "Brightness", "'ants'", "'bees'")
