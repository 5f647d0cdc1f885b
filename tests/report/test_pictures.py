"""Every picture can be drawn from few and many classes, from odd names, and without a warning."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image

from tests.evaluation.cases import answers, class_names
from tests.report.runs import HOSTILE, pixels_of, steps_table
from workflows.evaluation.matrix_views import LABELLED
from workflows.report.pictures import (
    confusion_matrix_picture,
    image_sheet,
    learning_curves_picture,
    reliability_picture,
)
from workflows.report.sheets import caption, sheet_heading
from workflows.targets.calibration import reliability_curve
from workflows.targets.single_label.confusion import confusion_counts


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that pictures are made of, in their order: what stands in them can be read there."""
    made: list[Figure] = []
    save = Figure.savefig

    def noted(figure: Figure, *arguments: Any, **options: Any) -> None:
        made.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", noted)
    return made


def _named(axes: Axes, side: str) -> list[str]:
    """The names at the ticks of one side, `x` or `y`."""
    return [tick.get_text() for tick in getattr(axes, f"get_{side}ticklabels")()]


def _legend(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    return [entry.get_text() for entry in legend.get_texts()] if legend else []


def _opened(png: bytes) -> Image.Image:
    picture = Image.open(BytesIO(png))
    picture.load()
    assert picture.format == "PNG"
    return picture


def _matrix(classes: int, images: int, skill: float = 3.0) -> np.ndarray:
    labels, probabilities = answers(images, classes, skill=skill)
    return confusion_counts(labels, probabilities.argmax(axis=1), class_names(classes))


@pytest.mark.parametrize("classes", [1, 2, 5, 40, 41, 325])
def test_confusion_matrix_of_few_and_many_classes(classes: int, figures: list[Figure]) -> None:
    matrix, names = _matrix(classes, classes * 6), class_names(classes)
    picture = _opened(confusion_matrix_picture(matrix, names))
    assert picture.width < 2200 and picture.height < 3600
    panel, *others = figures[0].axes
    rows = _named(panel, "y")
    if classes <= LABELLED:
        assert rows == _named(panel, "x") == list(names)
    else:
        assert set(rows) < set(names) and _named(panel, "x")[:-1] == rows
        assert sum(len(marks.get_offsets()) for marks in others[0].collections) == np.count_nonzero(matrix)
    part = matrix[np.ix_(*[[names.index(name) for name in rows]] * 2)]
    counts = np.zeros_like(part)
    for text in panel.texts:
        column, row = text.get_position()
        if not isinstance(text, Annotation) and text.get_text().isdigit() and column < len(rows):
            counts[round(row), column] = int(text.get_text())
    np.testing.assert_array_equal(counts, part)


def test_confusion_matrix_with_hostile_names() -> None:
    for mode in ("light", "dark"):
        _opened(confusion_matrix_picture(_matrix(len(HOSTILE), 80), HOSTILE, mode=mode))  # type: ignore[arg-type]


def test_confusion_matrix_without_images_or_without_mistakes() -> None:
    for matrix in (np.zeros((3, 3), dtype=np.int64), np.diag([5, 0, 2]), np.zeros((60, 60), dtype=np.int64)):
        _opened(confusion_matrix_picture(matrix, class_names(len(matrix))))
    _opened(confusion_matrix_picture(np.eye(60, dtype=np.int64) * 4, class_names(60)))


def test_right_cells_are_blue_and_mistakes_orange() -> None:
    picture = _opened(confusion_matrix_picture(np.array([[9, 0], [9, 0]]), ["a", "b"])).convert("RGB")
    colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
    assert (0, 114, 178) in colours
    assert (213, 94, 0) in colours


def test_same_numbers_give_the_same_bytes() -> None:
    matrix = _matrix(5, 50)
    assert confusion_matrix_picture(matrix, class_names(5)) == confusion_matrix_picture(matrix, class_names(5))
    assert confusion_matrix_picture(matrix, class_names(5)) != confusion_matrix_picture(
        matrix, class_names(5), mode="dark"
    )


@pytest.mark.parametrize("epochs", [0, 1, 8, 300])
def test_learning_curves_of_few_and_many_epochs(epochs: int, figures: list[Figure]) -> None:
    steps, best = steps_table(epochs), min(epochs, 3) or None
    _opened(learning_curves_picture(steps, best, classes=7))
    loss, right, confidence, rate = figures[0].axes
    curves = {
        loss: ("train/loss", "val/loss"),
        right: ("val/top1", "val/f1_macro", "val/top5"),
        confidence: ("val/average_confidence", "val/ece"),
        rate: ("learning_rate",),
    }
    for axes, metrics in curves.items():
        drawn = axes.get_lines()[: len(metrics)] if epochs else []  # the mark of the best epoch comes after them
        for line, metric in zip(drawn, metrics, strict=bool(epochs)):
            recorded = steps[steps["name"] == metric]
            assert list(line.get_xdata()) == recorded["step"].tolist()
            np.testing.assert_allclose(line.get_ydata(), recorded["value"])
        assert len(_legend(axes)) == (len(drawn) if axes is not rate else 0)


def test_learning_curves_with_gaps_and_missing_metrics() -> None:
    steps = pd.DataFrame({"step": [2, 4, 6], "name": "val/top1", "value": [0.5, np.nan, 0.7]})
    _opened(learning_curves_picture(steps, 6))


@pytest.mark.parametrize("images", [1, 30, 3000])
def test_reliability_of_few_and_many_images(images: int, figures: list[Figure]) -> None:
    labels, probabilities = answers(images, 4)
    curve = reliability_curve(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    _opened(reliability_picture(curve, 0.04))
    upper, lower = figures[0].axes
    filled = curve[curve["count"] > 0]
    (drawn,) = upper.containers
    points = drawn.lines[0]
    np.testing.assert_allclose(points.get_xdata(), filled["confidence"])
    np.testing.assert_allclose(points.get_ydata(), filled["accuracy"])
    assert [bar.get_height() for bar in lower.patches] == curve["count"].tolist()
    assert len(_legend(upper)) == 3 and "4.0" in upper.get_title(loc="left")


def test_sheet_of_photos_of_all_shapes() -> None:
    shapes = [(96, 96, 3), (8, 8, 3), (10, 300, 3), (300, 10, 3), (1, 1, 3)]
    tiles = [
        (np.full(shape, 128, dtype=np.uint8), caption(name, "cat", 0.9), "bad")
        for shape, name in zip(shapes, HOSTILE, strict=False)
    ]
    sheet = _opened(image_sheet(tiles, heading=sheet_heading("Wrong", 5, 9)))
    assert sheet.width == 5 * (176 + 14) + 14


def test_empty_sheet_says_so_and_has_a_size() -> None:
    assert _opened(image_sheet([], heading="Nothing")).width > 400


def test_sheet_shows_the_photos() -> None:
    sheet = _opened(image_sheet([(pixels_of("2a"), "one", "#102030")]))
    assert (16, 32, 48) in {colour for _, colour in sheet.getcolors(1 << 20) or []}
    assert sheet_heading("Wrong", 2, 2).endswith("2\u00a0images")
