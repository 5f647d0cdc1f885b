"""What the README and `make demo` promise, done as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.photos import digit_folders
from tests.processes import ROOT, environment, installed_fieldguide

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_is_good(tmp_path: Path) -> None:
    done = installed_fieldguide(tmp_path / "home", "demo", "--json", timeout=800)
    assert done.code == 0, done.stderr
    assert done.document["metrics"]["test"]["top1"] >= 0.97
    assert {"confusion_matrix_test_picture", "learning_curves_picture", "heatmaps_picture"} <= set(
        done.document["artifacts"]
    )
    assert len(done.document["demo_predictions"]) == 5


@pytest.mark.slow
def test_the_python_example_runs_as_written(tmp_path: Path, shared: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README, flags=re.S)
    assert example
    digit_folders(tmp_path / "photos" / "flowers")
    done = subprocess.run(
        [sys.executable, "-c", example.group(1)],
        env=environment(tmp_path / "home", FIELDGUIDE_WEIGHTS=str(shared / "weights"), PYTHONPATH=str(ROOT)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    top1, report = done.stdout.split()[-2:]
    assert 0.0 <= float(top1) <= 1.0
    assert Path(report).is_file()


def test_photos_in_one_folder_come_in_with_a_table_as_the_readme_shows(tmp_path: Path) -> None:
    photos = digit_folders(tmp_path / "sorted", per_class=12)
    flat = tmp_path / "photos" / "birds"
    flat.mkdir(parents=True)
    rows = ["filename,label,camera"]
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(path.read_bytes())
        rows.append(f"{number}.png,bird {path.parent.name},camera {number // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    line = next(line for line in README.splitlines() if line.startswith("fieldguide dataset add birds"))
    done = installed_fieldguide(tmp_path / "home", *line.split()[1:], "--json")
    assert done.code == 0, done.stderr
    assert done.document["classes"] == ["bird 0", "bird 1", "bird 2"]
    shown = installed_fieldguide(tmp_path / "home", "dataset", "show", "birds", "--json").document
    assert sum(shown["splits"].values()) == 36
    assert shown["splits"]["train"] > shown["splits"]["val"] > 0
