"""The pictures and the HTML report of whole runs."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.report.runs import HOSTILE, make_run, pixels_of, steps_table
from workflows.errors import RunError
from workflows.report.build import SHOWN, draw_run_pictures
from workflows.report.html import build_report
from workflows.report.tables import read_csv
from workflows.store.files import write_table


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


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


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
    steps = steps_table(epochs)
    draw_run_pictures(folder, result, steps, pixels_of)
    return Page(build_report(folder, result, steps))


def test_all_pictures_are_drawn_and_the_photos_kept(tmp_path: Path) -> None:
    result = make_run(tmp_path)
    paths = draw_run_pictures(tmp_path, result, steps_table(3), pixels_of)
    splits = ("val", "test")
    expected = {f"{name}_{split}" for name in ("confusion_matrix", "reliability", "most_wrong") for split in splits}
    assert set(paths) == expected | {"learning_curves", "suspected_labels", "heatmaps"}
    assert all(path == tmp_path / "pictures" / f"{name}.png" and path.is_file() for name, path in paths.items())
    wrong = pd.read_csv(tmp_path / "evaluation" / "most_wrong_test.csv", dtype={"image_id": str})
    assert all((tmp_path / "pictures" / "photos" / f"{image}.jpg").is_file() for image in wrong["image_id"][:SHOWN])


def test_only_photos_that_are_shown_are_loaded(tmp_path: Path) -> None:
    result = make_run(tmp_path, images=600)
    loaded: list[str] = []
    draw_run_pictures(tmp_path, result, steps_table(1), lambda image: loaded.append(image) or pixels_of(image))  # type: ignore[func-returns-value]
    assert 0 < len(loaded) <= 3 * SHOWN


def test_the_report_says_what_the_metrics_say(usual: Run) -> None:
    text, result = usual.page.text, usual.result
    test = result["metrics"]["test"]
    assert f"{test['top1'] * 100:.1f} %" in text.replace("\u00a0", " ")
    assert f"{test['log_loss']:.3f}" in text
    assert "Result on the test photos" in text
    for words in ("animals", "made-up-run", "It is quick <b>enough</b>.", "Estimated before the start", "as expected"):
        assert words in text, words
    assert "the weights of epoch 2 were kept" in text
    assert "Heat" not in text and "eigen-cam" in text


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
    assert "Result on the validation photos" in text
    assert "This run has no test split" in text
    assert not (tmp_path / "pictures" / "confusion_matrix_test.png").exists()


def test_a_run_without_anything_evaluated_is_refused(tmp_path: Path) -> None:
    result = make_run(tmp_path) | {"metrics": {"val": None, "test": None}}
    with pytest.raises(RunError, match="nothing to report"):
        build_report(tmp_path, result, steps_table(1))
    with pytest.raises(RunError, match="can't be read"):
        build_report(tmp_path / "elsewhere", result, steps_table(1))


def test_a_perfect_run_is_reported_without_mistakes(tmp_path: Path) -> None:
    text = _report(tmp_path, make_run(tmp_path, skill=60.0)).text
    assert "The model made no mistake on these photos." in text
    assert "None was found. That is no proof" in text


def test_a_bare_result_is_enough(tmp_path: Path) -> None:
    full = make_run(tmp_path)
    for name in ("explanation", "records.parquet", "evaluation/suspected_labels.csv"):
        path = tmp_path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = Page(build_report(tmp_path, {"metrics": full["metrics"]}, steps_table(0)))
    assert "photo not kept" in page.text
    assert "No evaluation steps were recorded." in page.text


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
    assert "The 20 weakest of 120 classes" in page.text
    assert sum(tag == "details" for tag, _ in page.tags) == 4
    assert (tmp_path / "report.html").stat().st_size < 6_000_000


def test_cells_made_safe_for_spreadsheets_are_read_as_they_were(tmp_path: Path) -> None:
    cells = ["=1+2", "-dash", "'quoted", "plain", "007", "NA", ""]
    write_table(tmp_path / "t.csv", pd.DataFrame({"text": cells}))
    assert read_csv(tmp_path / "t.csv")["text"].tolist() == cells
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00a,\x00")
    with pytest.raises(RunError, match="can't be read"):
        read_csv(tmp_path / "bad.csv")
