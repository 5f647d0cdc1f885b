"""Learning curves and the reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from workflows.palette import PALETTES, Mode, Palette
from workflows.report.theme import (
    drawable,
    drawing,
    new_figure,
    png_of,
    style_axes,
)
from workflows.report.words import NBSP, without
from workflows.targets.calibration import CONFIDENCE_TITLE, RIGHT_TITLE, filled_bins
from workflows.targets.metrics import AVERAGE_CONFIDENCE, ECE, F1, TOP1, TOP5, metric_of

# Up to this number every evaluation gets a dot on the curve; more dots would hide it.
DOTTED_STEPS = 40


@dataclass(frozen=True)
class _Curve:
    """One line of a panel: its metric, label and style."""

    metric: str
    label: str
    colour: str
    dash: str = "-"


@dataclass(frozen=True)
class _CurvePanel:
    title: str
    unit: str
    curves: tuple[_Curve, ...]


_PANELS = (
    _CurvePanel(
        "Loss (lower is better)",
        "nats",
        (_Curve("train/loss", "training", "train", "--"), _Curve("val/loss", "validation", "val")),
    ),
    _CurvePanel(
        "Accuracy on validation (higher is better)",
        "share",
        (
            _Curve(TOP1.on("val"), TOP1.long_heading, "val"),
            _Curve(F1.on("val"), F1.long_heading, "green", "--"),
            _Curve(TOP5.on("val"), TOP5.long_heading, "purple", ":"),
        ),
    ),
    _CurvePanel(
        "Confidence on validation, uncalibrated",
        "share",
        (
            _Curve(AVERAGE_CONFIDENCE.on("val"), AVERAGE_CONFIDENCE.long_heading, "val"),
            _Curve(ECE.on("val"), f"{ECE.long_heading} (lower is better)", "orange", "--"),
        ),
    ),
    _CurvePanel("Learning rate", "rate", (_Curve("learning_rate", "", "purple"),)),
)


def learning_curves_picture(
    steps: pd.DataFrame,
    best_step: int | None = None,
    *,
    mode: Mode = "light",
    classes: int | None = None,
    absent: Sequence[str] = (),
) -> bytes:
    """Draw the learning curves by epoch.

    Args:
        steps: Long table with `step` (epoch, from 1), `name` (metric) and `value`.
        best_step: The epoch whose weights were saved; marked.
        mode: Light or dark paper.
        classes: Number of classes; with 5 or fewer top-5 is always 1 and is left out.
        absent: Classes without validation images, which are excluded from means over classes.

    Returns:
        A PNG. Metrics that were not recorded are left out, with a note if there are none.
    """
    theme = PALETTES[mode]
    table = steps.pivot_table(index="step", columns="name", values="value", aggfunc="last") if len(steps) else steps
    with drawing():
        figure = new_figure(10.0, 6.6, theme)
        grid = figure.add_gridspec(2, 2, left=0.065, right=0.985, top=0.94, bottom=0.085, hspace=0.36, wspace=0.17)
        for place, panel in enumerate(_PANELS):
            axes = figure.add_subplot(grid[place // 2, place % 2])
            style_axes(axes, theme)
            _draw_curves(
                axes, panel, table, theme, absent, hide_top5=classes is not None and classes < TOP5.least_classes
            )
            if best_step is not None and len(table):
                axes.axvline(best_step, color=theme.soft, linewidth=1.0, linestyle=(0, (1, 2)), zorder=0)
        if best_step is not None and len(table):
            note = f"dotted: epoch {best_step}, whose weights were saved"
            axes.set_title(note, loc="right", fontsize=8, fontweight="normal", color=theme.soft)
        return png_of(figure)


def _draw_curves(
    axes: Axes, panel: _CurvePanel, table: pd.DataFrame, theme: Palette, absent: Sequence[str], *, hide_top5: bool
) -> None:
    axes.set_title(panel.title, color=theme.ink)
    axes.set_xlabel("epoch")
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    drawn = [
        curve for curve in panel.curves if curve.metric in table and not (hide_top5 and curve.metric == TOP5.on("val"))
    ]
    for curve in drawn:
        values = table[curve.metric].dropna()
        axes.plot(
            values.index.to_numpy(),
            values.to_numpy(dtype=float),
            color=getattr(theme, curve.colour),
            linestyle=curve.dash,
            linewidth=1.8,
            label=_label(curve, absent),
            marker="o" if len(values) <= DOTTED_STEPS else "",
            markersize=3.5,
        )
    if not drawn:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=theme.soft)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    _scale_curves(axes, panel.unit, table)
    if drawn[0].label:
        _legend(axes, theme, handlelength=2.6)


def _label(curve: _Curve, absent: Sequence[str]) -> str:
    """Return a curve's label; for a mean over classes also the excluded classes, as far as there is room."""
    metric = metric_of(curve.metric)
    if not absent or metric is None or not metric.over_classes:
        return curve.label
    return f"{curve.label}, {drawable(without(absent), 40)}"


def _legend(axes: Axes, theme: Palette, **options: Any) -> None:
    """Add a legend with a plain background, so that lines behind it do not cross its text."""
    axes.legend(
        labelcolor=theme.ink,
        fontsize=8,
        frameon=True,
        facecolor=theme.paper,
        edgecolor="none",
        framealpha=0.9,
        **options,
    )


def _scale_curves(axes: Axes, unit: str, table: pd.DataFrame) -> None:
    """Choose limits and tick texts."""
    first, last = int(table.index.min()), int(table.index.max())
    axes.set_xlim(first - 0.5, last + max((last - first) * 0.02, 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = axes.get_ylim()
    if unit == "share":
        span = max(high - low, 0.02)
        axes.set_ylim(max(low - span * 0.03, -0.02), min(high + span * 0.03, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%", decimals=0 if span > 0.05 else 1))
    elif unit == "nats":
        axes.set_ylim(bottom=0.0)
    else:
        axes.set_ylim(0.0, high * 1.05)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def reliability_picture(
    curve: pd.DataFrame, ece: float, *, before: float | None = None, title: str = "Calibration", mode: Mode = "light"
) -> bytes:
    """Draw the model's reliability diagram.

    Args:
        curve: The table of :func:`workflows.targets.calibration.reliability_curve`.
        ece: Expected calibration error, in [0, 1].
        before: The same before the confidences were calibrated, if they were.
        title: Title of the upper panel.
        mode: Light or dark paper.

    Returns:
        A PNG: accuracy by confidence with 95 % intervals above, images by confidence below.
    """
    theme, full = PALETTES[mode], filled_bins(curve)
    with drawing():
        figure = new_figure(6.4, 6.6, theme)
        grid = figure.add_gridspec(
            2, 1, height_ratios=(3.4, 1), left=0.125, right=0.97, top=0.91, bottom=0.085, hspace=0.1
        )
        upper, lower = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
        for axes in (upper, lower):
            style_axes(axes, theme)
            axes.set_xlim(-0.01, 1.01)
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%", decimals=0))
        _draw_reliability(upper, full, theme)
        was = "" if before is None else f" (uncalibrated: {before * 100:.1f})"
        upper.set_title(f"{title}: confidence is off by {ece * 100:.1f} points{was}", color=theme.ink, pad=24)
        _draw_counts(lower, curve, theme)
        return png_of(figure)


def _draw_reliability(axes: Axes, full: pd.DataFrame, theme: Palette) -> None:
    confidence, accuracy = full["confidence"].to_numpy(), full["accuracy"].to_numpy()
    axes.plot([0, 1], [0, 1], color=theme.soft, linewidth=1.2, linestyle="--", label="perfect calibration")
    for place, (promised, actual) in enumerate(zip(confidence, accuracy, strict=True)):
        axes.plot(
            [promised, promised],
            [promised, actual],
            color=theme.bad,
            linewidth=5,
            alpha=0.45,
            solid_capstyle="butt",
            label="gap" if place == 0 else None,
        )
    reach = np.vstack([accuracy - full["accuracy_low"], full["accuracy_high"] - accuracy]).clip(min=0.0)
    axes.errorbar(
        confidence,
        accuracy,
        yerr=reach,
        color=theme.val,
        marker="o",
        markersize=5,
        linewidth=1.6,
        elinewidth=1.1,
        capsize=2.5,
        label="actual accuracy, with 95 % interval",
    )
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%", decimals=0))
    axes.set_ylabel(RIGHT_TITLE)
    axes.tick_params(labelbottom=False)
    axes.grid(color=theme.line, linewidth=0.7)
    # above the axes: the lower left of a good model's curve is empty, but a poor one's may run anywhere
    _legend(axes, theme, loc="lower left", bbox_to_anchor=(-0.01, 0.99), ncols=3, columnspacing=1.4, borderaxespad=0.0)


def _draw_counts(axes: Axes, curve: pd.DataFrame, theme: Palette) -> None:
    width = float(curve["bin_high"].iloc[0] - curve["bin_low"].iloc[0])
    axes.bar(curve["bin_low"] + width / 2, curve["count"], width=width * 0.9, color=theme.val)
    axes.set_xlabel(CONFIDENCE_TITLE)
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    axes.set_axisbelow(True)
