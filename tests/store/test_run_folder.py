"""The files of a run: their names, each in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from workflows.store.run_folder import RunFolder, TrainingFolder

HOME = Path("workflows/store/run_folder.py")
ALSO_ELSEWHERE = {
    *("report.html", "progress.json", "result.json", "workflow.yaml"),
    *("rows.parquet", "about.json"),
}
"""Files of decisions, jobs and tunings, a download, and those of the cache of pixels are called so, too."""


def test_folders_lie_inside_each_other() -> None:
    folder = RunFolder(Path("run"))
    assert folder.training.steps.table(3) == Path("run/training/steps/0003.parquet")
    assert folder.evaluation.table("per_class", "val") == Path("run/evaluation/per_class_val.csv")
    assert folder.explanation.heatmap("a", "eigen-cam") == Path("run/explanation/a_eigen-cam.png")
    assert folder.model.card == Path("run/model/model.json")
    assert folder.answer("split") == Path("run/stages/split.json")


def test_steps_are_in_order_and_strangers_left_out(tmp_path: Path) -> None:
    steps = TrainingFolder(tmp_path).steps
    assert steps.steps() == []
    steps.path.mkdir()
    for name in ("0010.parquet", "0002.parquet", "notes.parquet", "0001.tmp"):
        (steps.path / name).touch()
    assert steps.steps() == [2, 10]


def test_nothing_else_names_a_file_of_a_run() -> None:
    root = Path(__file__).parents[2]
    names = set(filter(re.compile(r"[\w-]+\.\w+").fullmatch, _texts(root / HOME))) - ALSO_ELSEWHERE
    assert {"predictions.parquet", "training.log", "checkpoint.pt"} <= names
    for package in ("workflows", "flows", "app"):
        for path in (root / package).rglob("*.py"):
            if path != root / HOME:
                assert not names.intersection(_texts(path)), path


def _texts(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
