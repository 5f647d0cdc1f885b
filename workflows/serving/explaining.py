"""Heat-maps for one photo, and the layers that can be asked for one."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from workflows.errors import UsageError
from workflows.explanation.heatmaps import LAYERS, METHODS, choose_layer, heatmaps, overlay
from workflows.inference.model import ModelCard
from workflows.inference.predictor import Predictor
from workflows.serving.answers import ExplainAnswer, HeatMap, Layer
from workflows.serving.scores import best_scores

CLASSLESS = ("eigen-cam",)
"""Methods that show what dominates the features, whatever the class."""

DEFAULT_METHODS = ("eigen-cam", "grad-cam++")
_STAGES = ("stage 4", "stage 3", "stage 2", "stage 1")


@dataclass(frozen=True)
class Wanted:
    """Which heat-maps.

    Attributes:
        methods: names of methods.
        targets: classes whose evidence to show; empty means the predicted one.
        layer: layer of the network; None chooses by the image size.
        overlays: also draw each map over the photo.
        top: how many of the likeliest classes to give.
    """

    methods: Sequence[str] = DEFAULT_METHODS
    targets: Sequence[str] = ()
    layer: int | None = None
    overlays: bool = False
    top: int = 5

    def check(self, card: ModelCard, most: int) -> None:
        """Refuse what the model can't do, before anything is computed. Raises UsageError."""
        for method in self.methods:
            if method not in METHODS:
                raise UsageError(f"There is no heat-map method {method!r}.", f"Choose from: {', '.join(METHODS)}.")
        for target in self.targets:
            if target not in card.classes:
                raise UsageError(f"The model has no class {target!r}.", f"It has: {', '.join(card.classes[:20])}.")
        if self.layer is not None and self.layer not in LAYERS:
            raise UsageError(
                f"Layer {self.layer} can't be looked at.", f"Choose from: {', '.join(map(str, sorted(LAYERS)))}."
            )
        if len(self.methods) * max(1, len(self.targets)) > most:
            raise UsageError(f"More than {most} heat-maps at once.", "Ask for fewer methods or classes.")


def layers_of(card: ModelCard) -> list[Layer]:
    """Return the layers that a heat-map can be asked of: the last of each stage, the deepest first."""
    chosen = choose_layer(card.image_size)
    return [
        Layer(layer=layer, name=name, cells=card.image_size // span, default=layer == chosen)
        for (layer, span), name in zip(LAYERS.items(), _STAGES, strict=True)
    ]


def explain_square(predictor: Predictor, square: np.ndarray, wanted: Wanted) -> ExplainAnswer:
    """Return the scores and heat-maps of one photo (the network's input, uint8 [side, side, 3])."""
    card = predictor.card
    probabilities = predictor.probabilities(np.stack([square]))[0]
    scores = best_scores(probabilities, card.classes, wanted.top)
    targets = list(dict.fromkeys(wanted.targets)) or [scores[0].label]
    layer = choose_layer(card.image_size) if wanted.layer is None else wanted.layer
    maps: list[HeatMap] = []
    for method in dict.fromkeys(wanted.methods):
        named: list[str | None] = [None] if method in CLASSLESS else [*targets]
        numbers = [card.classes.index(name or targets[0]) for name in named]
        drawn = heatmaps(predictor.model, np.repeat(square[None], len(named), axis=0), method, numbers, layer)
        maps += [
            HeatMap(
                method=method,
                target=name,
                layer=layer,
                map_png=png_text(np.rint(np.nan_to_num(drawing) * 255).astype(np.uint8)),
                overlay_png=png_text(overlay(square, drawing)) if wanted.overlays else None,
            )
            for name, drawing in zip(named, drawn, strict=True)
        ]
    return ExplainAnswer(
        run_id=card.run_id,
        label=scores[0].label,
        confidence=scores[0].confidence,
        top=scores,
        side=card.image_size,
        input_png=png_text(square),
        maps=maps,
    )


def png_text(pixels: np.ndarray) -> str:
    """Return uint8 pixels (grey or RGB) as the base64 of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
