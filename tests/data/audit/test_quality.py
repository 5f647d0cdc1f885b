"""Checks of single images: spoilt ones are named, and real photos are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tests.data.audit.pictures import audited, found, photo
from tests.data.conftest import encoded, write
from workflows.data.audit.findings import AuditInput
from workflows.data.audit.quality import check_quality
from workflows.data.audit.run import audit, scores
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.data.measures import measure_file, measures_table
from workflows.data.version import DatasetVersion
from workflows.store.store import Store

SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.15),
    "bright": lambda image: Image.blend(image, Image.new("RGB", image.size, "white"), 0.92),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(6)),
    "blank": lambda image: Image.new("RGB", image.size, image.getpixel((3, 3))),
    "tiny": lambda image: image.resize((40, 30)),
}


def judged(contents: dict[str, bytes]) -> pd.DataFrame:
    """Scores and verdicts of the contents of image files."""
    measures = measures_table({name: measure_file(content) for name, content in contents.items()})
    images = pd.DataFrame({"image_id": measures["sha256"], "label": "a", "split": "train"}).join(measures)
    sizes = [Image.open(io.BytesIO(contents[name])).size for name in measures["sha256"]]
    images = images.assign(width=[width for width, _ in sizes], height=[height for _, height in sizes])
    result = check_quality(AuditInput(None, None, images))  # type: ignore[arg-type]  # it looks at the images alone
    assert result.scores is not None
    return result.scores.assign(name=measures["sha256"].to_numpy())


@pytest.mark.parametrize("way", SPOILT)
def test_spoilt_photos_are_named_for_what_they_are(shared: Path, way: str) -> None:
    paths = sorted((shared / "data" / "hymenoptera" / "val" / "bees").glob("*.jpg"))[:25]
    contents = {}
    for path in paths:
        with Image.open(path) as image:
            spoilt = SPOILT[way](image.convert("RGB"))
        contents[path.name] = encoded(spoilt, "JPEG", quality=90)
    verdicts = judged(contents)
    assert verdicts[f"is_{way}"].mean() >= 0.9
    columns = [column for column in verdicts if column.startswith("is_") and column != f"is_{way}"]
    assert verdicts[columns].to_numpy().mean() < 0.05
    assert verdicts.filter(like="_score").stack().between(0, 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flowers", "hymenoptera"])
def test_real_photos_are_hardly_ever_named(shared: Path, store: Store, name: str) -> None:
    add_dataset(store, name, shared / "data" / name)
    table = scores(store, get_version(store, name))
    verdicts = table[[f"is_{quality}" for quality in ("tiny", "huge", "blank", "dark", "bright", "blurred")]]
    assert verdicts.to_numpy().sum() == 0


def test_findings_tell_who_and_how_bad(store: Store, tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", encoded(photo(number)))
    write(tmp_path / "set" / "a" / "night.png", encoded(photo(100, gain=0.18)))
    write(tmp_path / "set" / "b" / "lens cap.png", encoded(Image.new("RGB", (48, 40), (3, 2, 4))))
    report = audited(store, tmp_path / "set")
    paths = report_paths(store)
    dark, blank = found(report, "dark"), found(report, "blank")
    assert ([paths[image] for image in dark.image_ids], dark.severity) == (["a/night.png"], "warning")
    assert dark.score is not None and dark.threshold is not None and dark.score < dark.threshold
    assert [paths[image] for image in blank.image_ids] == ["b/lens cap.png"]
    assert blank.repair is not None and dark.repair is None
    assert dark.facts["by_class"] == {"a": 1}
    assert audit(store, get_version(store, "set")).to_dict() == report.to_dict()


def report_paths(store: Store) -> dict[str, str]:
    version: DatasetVersion = get_version(store, "set")
    return dict(version.table()[["image_id", "path"]].itertuples(index=False))


def test_huge_images_are_a_remark(store: Store, tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", encoded(photo(number)))
    write(tmp_path / "set" / "a" / "poster.png", encoded(photo(50).resize((5400, 4800), Image.Resampling.NEAREST)))
    finding = found(audited(store, tmp_path / "set"), "huge")
    assert (finding.severity, finding.count, finding.repair) == ("info", 1, None)
