"""The pictures and the HTML report of whole runs."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.report.runs import HOSTILE, make_frame, make_run, pixels_of, steps_table
from tests.texts import mentions
from workflows.errors import RunError
from workflows.evaluation.predictions import read_predictions
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.report.build import SHOWN, draw_run_pictures
from workflows.report.decision import write_decision_report
from workflows.report.html import build_report
from workflows.report.tables import read_csv
from workflows.requests import PromotionRules
from workflows.retraining.decision import decide
from workflows.store.files import to_plain, write_table
from workflows.store.run_folder import RunFolder
from workflows.store.run_result import RunResult


class Page(HTMLParser):
    """What a browser would make of a page: its tags with attributes, and its visible text."""

    VOID = frozenset({"meta", "img", "br", "source", "link", "hr", "input"})

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self._texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())


@dataclass(frozen=True)
class Run:
    folder: Path
    result: dict[str, Any]
    page: Page


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An ordinary run and its report. Tests don't change it."""
    folder = tmp_path_factory.mktemp("usual")
    result = make_run(folder)
    return Run(folder, result, _report(folder, result))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose names try to break out of the page."""
    folder = tmp_path_factory.mktemp("hostile")
    result = make_run(folder, HOSTILE, images=200) | {"run_id": "<i>run</i>"}
    return Run(folder, result, _report(folder, result))


def _report(folder: Path, result: dict[str, Any], epochs: int = 3) -> Page:
    steps, found = steps_table(epochs), RunResult.model_validate(result)
    draw_run_pictures(RunFolder(folder), found, steps, pixels_of)
    return Page(build_report(RunFolder(folder), found, steps))


def test_all_pictures_are_drawn_and_the_photos_kept(tmp_path: Path) -> None:
    result = make_run(tmp_path)
    paths = draw_run_pictures(RunFolder(tmp_path), RunResult.model_validate(result), steps_table(3), pixels_of)
    splits = ("val", "test")
    expected = {f"{name}_{split}" for name in ("confusion_matrix", "reliability", "most_wrong") for split in splits}
    assert set(paths) == expected | {"learning_curves", "suspected_labels", "heatmaps"}
    assert all(path == tmp_path / "pictures" / f"{name}.png" and path.is_file() for name, path in paths.items())
    wrong = pd.read_csv(tmp_path / "evaluation" / "most_wrong_test.csv", dtype={"image_id": str})
    assert all((tmp_path / "pictures" / "photos" / f"{image}.jpg").is_file() for image in wrong["image_id"][:SHOWN])


def test_only_photos_that_are_shown_are_loaded(tmp_path: Path) -> None:
    result = make_run(tmp_path, images=600)
    loaded: list[str] = []

    def load(image_id: str) -> Any:
        loaded.append(image_id)
        return pixels_of(image_id)

    draw_run_pictures(RunFolder(tmp_path), RunResult.model_validate(result), steps_table(1), load)
    assert 0 < len(loaded) <= 3 * SHOWN


def test_the_report_says_what_the_metrics_say(usual: Run) -> None:
    text, result = usual.page.text, usual.result
    test = result["metrics"]["test"]
    assert f"{test['top1'] * 100:.1f} %" in text.replace("\u00a0", " ")
    assert f"{test['log_loss']:.3f}" in text
    assert mentions(text, "Result", "test")
    for words in ("animals", "made-up-run", "It is quick <b>enough</b>.", "Estimated before the start", "as expected"):
        assert words in text, words
    assert mentions(text, "epoch 2")
    assert "Heat" not in text and "eigen-cam" in text


def test_the_report_says_what_is_to_be_reviewed(usual: Run) -> None:
    assert mentions(usual.page.text, "60.0 %", "the default")
    build = partial(build_report, RunFolder(usual.folder), RunResult.model_validate(usual.result), steps_table(3))
    text = Page(build(ReviewThreshold(0.97, is_default=False, author="ada", reason="<i>few</i> mistakes"))).text
    build()
    assert "97.0 %" in text.replace("\u00a0", " ") and "<i>few</i> mistakes" in text
    frame, _ = read_predictions(RunFolder(usual.folder).evaluation.predictions)
    test = frame[frame["split"] == "test"]
    accepted = int((test["confidence"] >= 0.97).sum())
    assert f"{accepted / len(test) * 100:.1f} % of {len(test)} test photos" in text.replace("\u00a0", " ")


def test_the_report_asks_no_machine_for_anything_and_runs_no_script(hostile: Run) -> None:
    for tag, attributes in hostile.page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "form", "base", "svg", "video", "audio"}, tag
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "srcset"):
            assert attributes.get(name, "data:image/").startswith("data:image/"), (tag, name)
        assert attributes.get("href", "#").startswith("#")
        assert "url(" not in attributes.get("style", "")
    policies = [
        found["content"] for tag, found in hostile.page.tags if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies and policies[0].startswith("default-src 'none'; img-src data:;")
    style = (hostile.folder / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style


def test_hostile_names_are_shown_as_text(hostile: Run) -> None:
    for name in HOSTILE:
        assert " ".join(name.split()) in hostile.page.text, name
    assert "<i>run</i>" in hostile.page.text


def test_pictures_come_for_light_and_dark_and_with_words(usual: Run) -> None:
    sources = [attributes for tag, attributes in usual.page.tags if tag == "source"]
    assert len(sources) == 3
    assert {attributes["media"] for attributes in sources} == {"(prefers-color-scheme: dark)"}
    assert all(attributes.get("alt") for tag, attributes in usual.page.tags if tag == "img")


def test_a_run_without_test_split_says_so(tmp_path: Path) -> None:
    result = make_run(tmp_path, splits=("val",))
    assert result["metrics"]["test"] is None
    text = _report(tmp_path, result).text
    assert "Result on the validation photos" in text and "Result on the test photos" not in text
    assert "test split" in text
    assert not (tmp_path / "pictures" / "confusion_matrix_test.png").exists()


def test_a_run_without_anything_evaluated_is_refused(tmp_path: Path) -> None:
    result = make_run(tmp_path) | {"metrics": {"val": None, "test": None}}
    with pytest.raises(RunError, match="report"):
        build_report(RunFolder(tmp_path), RunResult.model_validate(result), steps_table(1))
    with pytest.raises(RunError, match="elsewhere"):
        build_report(RunFolder(tmp_path / "elsewhere"), RunResult.model_validate(result), steps_table(1))


def test_a_perfect_run_is_reported_without_mistakes(tmp_path: Path) -> None:
    text = _report(tmp_path, make_run(tmp_path, skill=60.0)).text
    assert "no mistake" in text and "does not prove" in text


def test_a_bare_result_is_enough(tmp_path: Path) -> None:
    full = make_run(tmp_path)
    for name in ("explanation", "records.parquet", "evaluation/suspected_labels.csv"):
        path = tmp_path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = Page(build_report(RunFolder(tmp_path), RunResult(metrics=full["metrics"]), steps_table(0)))
    assert "not stored" in page.text and "evaluations" in page.text


def test_the_result_may_come_from_json_and_the_report_names_no_local_path(tmp_path: Path) -> None:
    result = json.loads(json.dumps(make_run(tmp_path)))
    result["artifacts"] = {"report": str(tmp_path / "report.html")}
    _report(tmp_path, result)
    page = (tmp_path / "report.html").read_text()
    assert str(tmp_path) not in page
    assert "/another/machine" not in page
    assert "/somebody/private" not in page and "net.safetensors" in page


def test_hundreds_of_classes_are_folded_away(tmp_path: Path) -> None:
    classes = [f"kind {number}" for number in range(120)]
    page = _report(tmp_path, make_run(tmp_path, classes, images=1200))
    assert mentions(page.text, "120 classes", 20)
    assert sum(tag == "details" for tag, _ in page.tags) == 4
    assert (tmp_path / "report.html").stat().st_size < 6_000_000


def test_cells_made_safe_for_spreadsheets_are_read_as_they_were(tmp_path: Path) -> None:
    cells = ["=1+2", "-dash", "'quoted", "plain", "007", "NA", ""]
    write_table(tmp_path / "t.csv", pd.DataFrame({"text": cells}))
    assert read_csv(tmp_path / "t.csv")["text"].tolist() == cells
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00a,\x00")
    with pytest.raises(RunError, match=r"bad\.csv"):
        read_csv(tmp_path / "bad.csv")


def test_a_class_without_images_has_no_figures_and_the_means_say_so(tmp_path: Path) -> None:
    result = make_run(tmp_path, ("ant", "bee", "cat"), present=2)
    assert result["metrics"]["test"]["absent"] == ["cat"]
    page = _report(tmp_path, result)
    assert page.text.count("without cat") == 6, "three means in two splits"
    row = page.text.split("no photos in this split", 1)[0].rsplit("cat", 1)[1]
    assert "%" not in row


def test_the_report_says_what_calibration_did(tmp_path: Path) -> None:
    plain = _report(tmp_path / "plain", make_run(tmp_path / "plain"))
    assert "uncalibrated" not in plain.text and "not calibrated" in plain.text
    calibration = {"temperature": 0.5, "images": 60, "ece_before": 0.2, "ece_after": 0.03, "reason": ""}
    result = make_run(tmp_path / "run", temperature=0.5) | {"calibration": calibration}
    text = _report(tmp_path / "run", result).text
    test = result["metrics"]["test"]
    for value in (test["ece"], test["uncalibrated"]["ece"]):
        assert f"{value * 100:.1f} points" in text or f"it was {value * 100:.1f}" in text
    assert "temperature 0.5" in text


def test_the_page_of_a_decision_names_classes_without_images(tmp_path: Path) -> None:
    frame, other = (make_frame(("ant", "bee", "cat"), 60, skill=skill, present=2) for skill in (1.0, 2.0))
    both = (each.assign(split="test") for each in (frame, other))
    decision = decide(*both, known=("ant", "bee", "cat"), resamples=20)
    side = {"number": 1, "run_id": "a", "dataset": "animals", "version": 1, "test_top1": 0.5, "started_from": "x"}
    document = {
        "decision_id": "d",
        "model": "m",
        "trigger": "by hand",
        "created_at": "2026-01-01T00:00:00",
        "outcome": "kept",
        "reason": decision.reason,
        "champion": side,
        "challenger": side,
        "changes": {"added": 1, "removed": 0, "relabelled": 0},
        "notes": [],
        "rules": PromotionRules().model_dump(),
        "decision": decision.document(),
    }
    text = Page(write_decision_report(tmp_path / "report.html", to_plain(document))).text
    assert text.count("without cat") == 3
    assert re.search(r"recall[^.]*\bcat\b", text)
