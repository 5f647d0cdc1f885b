"""Heat-maps for one photo, and the layers available for them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from workflows.backbones.registry import backbone_named
from workflows.errors import UsageError
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.explanation.heatmaps import METHODS, choose_layer, heatmaps, overlay
from workflows.explanation.methods import CLASSLESS, DEFAULT_METHODS
from workflows.inference.model import ModelCard
from workflows.inference.predictor import Predictor
from workflows.serving.answers import ExplainAnswer, HeatMap, Layer
from workflows.serving.scores import best_scores, review_of
from workflows.words import listed


@dataclass(frozen=True)
class Wanted:
    """The requested heat-maps.

    Attributes:
        methods: names of methods.
        targets: classes whose evidence to show; empty means the predicted one.
        layer: layer of the network; None chooses by the image size.
        overlays: also draw each map over the photo.
        top: how many of the most likely classes to return.
    """

    methods: Sequence[str] = DEFAULT_METHODS
    targets: Sequence[str] = ()
    layer: int | None = None
    overlays: bool = False
    top: int = 5

    def check(self, card: ModelCard, most: int) -> None:
        """Check that the model supports the request, before anything is computed. Raises UsageError."""
        for method in self.methods:
            if method not in METHODS:
                raise UsageError(f"Unknown heat-map method {method!r}.", f"Choose from: {', '.join(METHODS)}.")
        for target in self.targets:
            if target not in card.classes:
                raise UsageError(
                    f"The model has no class {target!r}.",
                    f"Its classes: {listed(card.classes, full='its model card')}.",
                )
        layers = backbone_named(card.family).cam_layers
        if self.layer is not None and self.layer not in layers:
            raise UsageError(
                f"Heat-maps are not available for layer {self.layer}.",
                f"Choose from: {', '.join(map(str, sorted(layers)))}.",
            )
        if len(self.methods) * max(1, len(self.targets)) > most:
            raise UsageError(f"More than {most} heat-maps at once.", "Request fewer methods or classes.")


def layers_of(card: ModelCard) -> list[Layer]:
    """Return the layers available for heat-maps: the last of each stage, the deepest first."""
    backbone = backbone_named(card.family)
    chosen, layers = choose_layer(backbone, card.image_size), backbone.cam_layers
    return [
        Layer(layer=layer, name=f"stage {stage}", cells=card.image_size // span, default=layer == chosen)
        for stage, (layer, span) in zip(range(len(layers), 0, -1), layers.items(), strict=True)
    ]


def explain_square(
    predictor: Predictor, square: np.ndarray, wanted: Wanted, threshold: ReviewThreshold
) -> ExplainAnswer:
    """Return the scores and heat-maps of one photo (the network's input, uint8 [side, side, 3])."""
    card = predictor.card
    probabilities = predictor.probabilities(np.stack([square]))[0]
    scores = best_scores(probabilities, card, wanted.top)
    targets = list(dict.fromkeys(wanted.targets)) or [scores[0].label]
    layer = choose_layer(predictor.model.backbone, card.image_size) if wanted.layer is None else wanted.layer
    maps: list[HeatMap] = []
    for method in dict.fromkeys(wanted.methods):
        named: list[str | None] = [None] if method == CLASSLESS else [*targets]
        numbers = [card.classes.index(name or targets[0]) for name in named]
        drawn = heatmaps(predictor.model, np.repeat(square[None], len(named), axis=0), method, numbers, layer)
        maps += [
            HeatMap(
                method=method,
                target=name,
                layer=layer,
                flat=not drawing.any(),
                map_png=png_text(np.rint(drawing * 255).astype(np.uint8)),
                overlay_png=png_text(overlay(square, drawing)) if wanted.overlays else None,
            )
            for name, drawing in zip(named, drawn, strict=True)
        ]
    return ExplainAnswer(
        run_id=card.run_id,
        label=scores[0].label,
        confidence=scores[0].confidence,
        to_review=threshold.to_review(scores[0].confidence),
        review=review_of(threshold),
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
