"""How a network learnt, and how far its confidence can be trusted: two pictures of curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from workflows.report.theme import (
    THEMES,
    Mode,
    Theme,
    drawing,
    new_figure,
    png_of,
    style_axes,
)
from workflows.report.words import NBSP

# Up to here every evaluation gets a dot on the curve; beyond, dots would hide it.
DOTTED_STEPS = 40


@dataclass(frozen=True)
class _Curve:
    """One line of a panel: which metric, what to call it, how to draw it."""

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
        (_Curve("train/loss", "training", "orange", "--"), _Curve("val/loss", "validation", "blue")),
    ),
    _CurvePanel(
        "Right on validation (higher is better)",
        "share",
        (
            _Curve("val/top1", "top-1: right class first", "blue"),
            _Curve("val/f1_macro", "F1, mean over classes", "green", "--"),
            _Curve("val/top5", "top-5: right class among 5", "purple", ":"),
        ),
    ),
    _CurvePanel(
        "Confidence on validation",
        "share",
        (
            _Curve("val/average_confidence", "average confidence", "blue"),
            _Curve("val/ece", "calibration error (lower is better)", "orange", "--"),
        ),
    ),
    _CurvePanel("Learning rate", "rate", (_Curve("learning_rate", "", "purple"),)),
)


def learning_curves_picture(
    steps: pd.DataFrame, best_step: int | None = None, *, mode: Mode = "light", classes: int | None = None
) -> bytes:
    """Draw how the network learnt, epoch by epoch.

    Args:
        steps: Long table with `step` (epoch, from 1), `name` (metric) and `value`.
        best_step: The epoch whose weights were kept; marked.
        mode: Light or dark paper.
        classes: Number of classes; with 5 or fewer top-5 is always 1 and is left out.

    Returns:
        A PNG. Metrics that were not recorded are left out; with none at all it says so.
    """
    theme = THEMES[mode]
    table = steps.pivot_table(index="step", columns="name", values="value", aggfunc="last") if len(steps) else steps
    with drawing():
        figure = new_figure(10.0, 6.6, theme)
        grid = figure.add_gridspec(2, 2, left=0.065, right=0.985, top=0.94, bottom=0.085, hspace=0.36, wspace=0.17)
        for place, panel in enumerate(_PANELS):
            axes = figure.add_subplot(grid[place // 2, place % 2])
            style_axes(axes, theme)
            _draw_curves(axes, panel, table, theme, hide_top5=classes is not None and classes <= 5)
            if best_step is not None and len(table):
                axes.axvline(best_step, color=theme.soft, linewidth=1.0, linestyle=(0, (1, 2)), zorder=0)
        if best_step is not None and len(table):
            note = f"dotted: epoch {best_step}, whose weights were kept"
            axes.set_title(note, loc="right", fontsize=8, fontweight="normal", color=theme.soft)
        return png_of(figure)


def _draw_curves(axes: Axes, panel: _CurvePanel, table: pd.DataFrame, theme: Theme, *, hide_top5: bool) -> None:
    axes.set_title(panel.title, color=theme.ink)
    axes.set_xlabel("epoch")
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    drawn = [
        curve for curve in panel.curves if curve.metric in table and not (hide_top5 and curve.metric == "val/top5")
    ]
    for curve in drawn:
        values = table[curve.metric].dropna()
        axes.plot(
            values.index.to_numpy(),
            values.to_numpy(dtype=float),
            color=getattr(theme, curve.colour),
            linestyle=curve.dash,
            linewidth=1.8,
            label=curve.label,
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


def _legend(axes: Axes, theme: Theme, **options: Any) -> None:
    """Add a legend on a plain ground, so that lines behind it don't run through its words."""
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


def reliability_picture(curve: pd.DataFrame, ece: float, *, title: str = "Calibration", mode: Mode = "light") -> bytes:
    """Draw how far the model's confidence can be trusted.

    Args:
        curve: The table of :func:`workflows.evaluation.calibration.reliability_curve`.
        ece: Expected calibration error, in [0, 1].
        title: What the upper panel is about.
        mode: Light or dark paper.

    Returns:
        A PNG: accuracy by confidence with 95 % intervals above, images by confidence below.
    """
    theme, full = THEMES[mode], curve[curve["count"] > 0]
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
        upper.set_title(f"{title}: confidence is off by {ece * 100:.1f} points on average", color=theme.ink, pad=24)
        _draw_counts(lower, curve, theme)
        return png_of(figure)


def _draw_reliability(axes: Axes, full: pd.DataFrame, theme: Theme) -> None:
    confidence, accuracy = full["confidence"].to_numpy(), full["accuracy"].to_numpy()
    axes.plot([0, 1], [0, 1], color=theme.soft, linewidth=1.2, linestyle="--", label="confidence kept exactly")
    for place, (promised, kept) in enumerate(zip(confidence, accuracy, strict=True)):
        axes.plot(
            [promised, promised],
            [promised, kept],
            color=theme.orange,
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
        color=theme.blue,
        marker="o",
        markersize=5,
        linewidth=1.6,
        elinewidth=1.1,
        capsize=2.5,
        label="really right, with 95 % interval",
    )
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%", decimals=0))
    axes.set_ylabel("answers that are right")
    axes.tick_params(labelbottom=False)
    axes.grid(color=theme.line, linewidth=0.7)
    # above the axes: the lower left of a good model's curve is empty, but a poor one's may run anywhere
    _legend(axes, theme, loc="lower left", bbox_to_anchor=(-0.01, 0.99), ncols=3, columnspacing=1.4, borderaxespad=0.0)


def _draw_counts(axes: Axes, curve: pd.DataFrame, theme: Theme) -> None:
    width = float(curve["bin_high"].iloc[0] - curve["bin_low"].iloc[0])
    axes.bar(curve["bin_low"] + width / 2, curve["count"], width=width * 0.9, color=theme.blue)
    axes.set_xlabel("confidence of the model in its answer")
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    axes.set_axisbelow(True)
