"""The confusion matrix as a picture that is readable for 2 to hundreds of classes.

Up to `LABELLED` classes every cell shows its count. For more, an overview of all classes is above the
detail: the classes that are confused with each other, by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workflows.evaluation.matrix_views import BLOCK, COLUMNS, LABELLED, ROWS, most_confused_classes
from workflows.palette import PALETTES, Mode, Palette, blend, strengths, text_on
from workflows.report.theme import class_names, drawing, new_figure, png_of, style_axes, text_width
from workflows.report.words import count, percent
from workflows.targets.single_label.confusion import order_by_confusion
from workflows.targets.single_label.labels import IntArray


@dataclass(frozen=True)
class _Panel:
    """What one labelled matrix shows: rows, columns, counts, and how many images each row has in all."""

    rows: list[str]
    columns: list[str]
    counts: IntArray
    support: IntArray
    own_column: IntArray
    """Position of each row's own class among the columns."""


def confusion_matrix_picture(
    matrix: IntArray, classes: Sequence[str], *, title: str = "Confusion matrix", mode: Mode = "light"
) -> bytes:
    """Draw a confusion matrix; rows are the true classes, columns the predicted ones, and it says so.

    Args:
        matrix: int[c, c] counts.
        classes: The c class names.
        title: One line above.
        mode: Light or dark paper.

    Returns:
        A PNG.
    """
    names = class_names(list(classes))
    with drawing():
        if len(names) <= LABELLED:
            everything = np.arange(len(names))
            panel = _Panel(names, names, matrix, matrix.sum(axis=1), everything)
            return png_of(_labelled_figure(panel, _heading(title, matrix), PALETTES[mode]))
        return png_of(_large_figure(matrix, names, _heading(title, matrix), PALETTES[mode]))


def _heading(title: str, matrix: IntArray) -> str:
    images, right = int(matrix.sum()), int(np.trace(matrix))
    return f"{title}: {count(images, 'image')}, {percent(right / images) if images else 'none'} right"


def _labelled_figure(panel: _Panel, heading: str, theme: Palette) -> Figure:
    size = _PanelSize(panel)
    figure = new_figure(size.width, size.height, theme)
    _draw_labelled(figure, panel, size, theme, bottom=0.0)
    _write_heading(figure, heading, theme)
    return figure


class _PanelSize:
    """Inches of a labelled panel, from its number of cells and the length of its names."""

    def __init__(self, panel: _Panel) -> None:
        cells = max(len(panel.rows), len(panel.columns))
        self.cell = float(np.clip(6.6 / cells, 0.235, 1.35))
        self.font = float(np.clip(self.cell * 26, 7.0, 9.5))
        text = max(text_width(name, self.font) for name in (*panel.rows, *panel.columns))
        self.upright = text > self.cell * 0.92
        self.left = text + 0.6
        self.below = (text if self.upright else 0.15) + 0.55
        self.right, self.above = 0.75, 0.95
        self.matrix = (self.cell * len(panel.columns), self.cell * len(panel.rows))
        self.width = max(self.left + self.matrix[0] + self.right, 6.0)
        self.height = self.above + self.matrix[1] + self.below


def _draw_labelled(figure: Figure, panel: _Panel, size: _PanelSize, theme: Palette, bottom: float) -> None:
    """Draw a labelled matrix into a figure, its lower edge `bottom` inches above the figure's."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (size.left / width, (bottom + size.below) / height, size.matrix[0] / width, size.matrix[1] / height)
    )
    shares = panel.counts / np.maximum(panel.support, 1)[:, None]
    own = np.zeros(panel.counts.shape, dtype=bool)
    own[np.arange(len(panel.rows)), panel.own_column] = True
    colours = _colours(shares, own, theme)
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    style_axes(axes, theme)
    _grid(axes, panel, theme)
    axes.set_yticks(range(len(panel.rows)), panel.rows, fontsize=size.font)
    axes.set_xticks(range(len(panel.columns)), panel.columns, fontsize=size.font, rotation=90 if size.upright else 0)
    axes.set_ylabel(ROWS, fontsize=10, fontweight="bold", labelpad=8)
    axes.set_xlabel(COLUMNS, fontsize=10, fontweight="bold", labelpad=8)
    _write_counts(axes, panel, shares, colours, size)
    _write_support(axes, panel, size, theme)


def _grid(axes: Axes, panel: _Panel, theme: Palette) -> None:
    axes.set_xticks(np.arange(len(panel.columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(panel.rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=theme.line, linewidth=0.6)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_counts(
    axes: Axes, panel: _Panel, shares: NDArray[np.float64], colours: NDArray[np.float64], size: _PanelSize
) -> None:
    """Write the count into each cell that has one; where there is room, its share of the row too."""
    roomy = size.cell >= 0.55
    for row, column in np.argwhere(panel.counts > 0):
        ink = text_on(colours[row, column])
        number = int(panel.counts[row, column])
        font = min(size.font + (3.0 if roomy else 0.5), size.cell * 72 / (0.72 * len(str(number)) + 0.4))
        axes.text(column, row - (0.1 if roomy else 0), str(number), ha="center", va="center", fontsize=font, color=ink)
        if roomy:
            share = percent(float(shares[row, column]), digits=0)
            axes.text(column, row + 0.24, share, ha="center", va="center", fontsize=7.0, color=ink)


def _write_support(axes: Axes, panel: _Panel, size: _PanelSize, theme: Palette) -> None:
    """Write to the right of each row how many images its class has."""
    edge = len(panel.columns) - 0.5
    for row, images in enumerate(panel.support):
        text = f"{int(images):,}" if images else "none"
        axes.annotate(
            text, (edge, row), (6, 0), textcoords="offset points", va="center", fontsize=size.font, color=theme.soft
        )
    axes.annotate(
        "images", (edge, -0.5), (6, 5), textcoords="offset points", va="bottom", fontsize=size.font, color=theme.soft
    )


def _write_heading(figure: Figure, heading: str, theme: Palette) -> None:
    """Write the title and explain the colours, at the top left of the figure."""
    width, height = figure.get_size_inches()
    figure.text(0.14 / width, 1 - 0.27 / height, heading, fontsize=11, fontweight="bold", color=theme.ink, va="center")
    left, line = 0.14, 1 - 0.56 / height
    for colour, text, inches in ((theme.val, "right", 0.5), (theme.bad, "mistaken", 0.75)):
        ramp = figure.add_axes((left / width, line - 0.055 / height, 0.6 / width, 0.11 / height))
        levels = strengths(np.linspace(0.0, 1.0, 64))[None, :]
        ramp.imshow(blend(levels, colour, theme.paper), aspect="auto")
        ramp.set_axis_off()
        figure.text((left + 0.68) / width, line, text, fontsize=8, color=theme.soft, va="center")
        left += 0.68 + inches
    figure.text(
        left / width,
        line,
        "stronger colour = larger share of its row",
        fontsize=8,
        color=theme.soft,
        va="center",
    )


def _large_figure(matrix: IntArray, names: list[str], heading: str, theme: Palette) -> Figure:
    """Draw the overview of all classes above the labelled part."""
    order = order_by_confusion(matrix)
    panel = _detail(matrix, names, order)
    size = _PanelSize(panel)
    side, gap = 7.0, 0.75
    width = max(size.width, side + 1.6)
    figure = new_figure(width, size.height - size.above + gap + side + 1.5, theme)
    height = figure.get_size_inches()[1]
    _draw_labelled(figure, panel, size, theme, bottom=0.0)
    top_of_panel = size.below + size.matrix[1]
    figure.text(
        0.14 / width,
        (top_of_panel + 0.42) / height,
        _detail_heading(matrix, len(panel.rows)),
        fontsize=11,
        fontweight="bold",
        color=theme.ink,
        va="center",
    )
    axes = figure.add_axes((0.85 / width, (top_of_panel + gap + 0.62) / height, side / width, side / height))
    _draw_overview(axes, matrix[np.ix_(order, order)], side, theme)
    _write_heading(figure, heading, theme)
    return figure


def _draw_overview(axes: Axes, matrix: IntArray, side: float, theme: Palette) -> None:
    """Draw every non-zero cell as a mark: the right ones on the diagonal, mistakes larger than their cell."""
    style_axes(axes, theme)
    classes = len(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1), 1)[:, None]
    cell = side * 72 / classes
    for on_diagonal, colour in ((False, theme.bad), (True, theme.val)):  # the diagonal last, on top
        rows, columns = np.nonzero(matrix)
        chosen = (rows == columns) == on_diagonal
        rows, columns = rows[chosen], columns[chosen]
        mark = max(cell, 2.6 if on_diagonal else 3.4)
        strength = strengths(shares[rows, columns], faintest=0.35)  # a mark of two pixels needs more than a large cell
        marks = blend(strength, colour, theme.paper)
        axes.scatter(columns, rows, s=mark**2, c=marks, marker="s", linewidths=0)
    axes.set_xlim(-1, classes)
    axes.set_ylim(classes, -1)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(theme.line)
    axes.set_xticks([])
    axes.set_yticks([])
    note = f"all {classes} classes, ordered so that those often confused stand side by side"
    axes.set_ylabel(ROWS, fontsize=10, fontweight="bold")
    axes.set_xlabel(f"{COLUMNS}\n{note}", fontsize=10, fontweight="bold")


def _detail(matrix: IntArray, names: list[str], order: IntArray) -> _Panel:
    """Choose the classes of the most frequent mistakes; all other predictions share one column."""
    chosen = most_confused_classes(matrix, BLOCK, fill=False)
    selected = order[np.isin(order, chosen)] if len(chosen) else order[:BLOCK]
    part = matrix[np.ix_(selected, selected)]
    support = matrix[selected].sum(axis=1)
    others = support - part.sum(axis=1)
    rows = [names[place] for place in selected]
    return _Panel(rows, [*rows, "any other class"], np.column_stack([part, others]), support, np.arange(len(selected)))


def _detail_heading(matrix: IntArray, shown: int) -> str:
    if int(matrix.sum()) == int(np.trace(matrix)):
        return f"No class was mistaken for another; the first {shown} classes"
    return f"The {shown} classes most often confused with each other"


def _colours(shares: NDArray[np.float64], own: NDArray[np.bool_], theme: Palette) -> NDArray[np.float64]:
    """Colour each cell with images by its share of the row: one colour where right, another where mistaken."""
    strength = np.where(shares > 0, strengths(shares), 0.0)
    return np.where(own[..., None], blend(strength, theme.val, theme.paper), blend(strength, theme.bad, theme.paper))
