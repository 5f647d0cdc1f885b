"""Rules for the random changes of training images: strong enough to help, but never so that a label becomes wrong."""

from __future__ import annotations

from workflows.graph.nodes import Reason
from workflows.recommend import evidence, recipe
from workflows.recommend.situation import Chosen, Situation, choose


def flips(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Flip only images whose meaning stays the same; rotate only those without an upright orientation."""
    orientation = situation.facts.orientation
    source = evidence.MEANING
    horizontal = 0.0 if orientation.meaningful else recipe.FLIP
    turned = recipe.FLIP if orientation.free else 0.0
    upright = orientation.because if orientation.free else "most photos have an up and a down, and so will new ones"
    return [
        choose("augmentation.horizontal_flip", horizontal, orientation.because, source),
        choose("augmentation.vertical_flip", turned, upright, source),
        choose("augmentation.quarter_turns", turned, upright, source),
    ]


def geometry(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Crop, rotate and shift: gently for signs, which fill their image; depending on the goal for photos."""
    if situation.facts.orientation_matters:
        because = "half a sign is another sign; small rotations, shifts and zooms occur naturally in writing"
        values = {
            "crop_min": recipe.SIGN_CROP_MIN,
            "crop_aspect": recipe.SIGN_CROP_ASPECT,
            "rotate": recipe.SIGN_ROTATE,
            "translate": recipe.SIGN_TRANSLATE,
            "zoom": recipe.SIGN_ZOOM,
        }
        return [choose(f"augmentation.{name}", value, because, evidence.MEANING) for name, value in values.items()]
    if chosen["model.square"] != "crop":
        because = "evaluation uses whole images, so training crops must show nearly all of them"
        return [choose("augmentation.crop_min", recipe.WHOLE_CROP_MIN, because, evidence.FLOWERS_SQUARE)]
    because = (
        f"the goal {situation.goal!r} trains {_length(situation)}, and the longer the training, the stronger the crops"
    )
    return [choose("augmentation.crop_min", situation.recipe.crop_min, because, evidence.IMAGENETTE)]


def _length(situation: Situation) -> str:
    return {"fast": "briefly", "balanced": "moderately long", "accurate": "long"}[situation.goal]


def colour(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Shift colours only if there are any."""
    if situation.facts.colour:
        return []
    because = "the images are grey: there is no colour to change"
    return [choose(f"augmentation.{name}", 0.0, because, evidence.DATASET) for name in ("saturation", "hue")]


def erasing(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Erase random parts in long trainings, so that no single detail decides."""
    if situation.facts.orientation_matters:
        because = "an erased stroke can turn one sign into another"
        return [choose("augmentation.erase", 0.0, because, evidence.MEANING)]
    epochs = chosen["training.epochs"]
    if epochs < recipe.ERASE_FROM_EPOCHS:
        because = f"{epochs} epochs are too few to benefit from erased parts"
        return [choose("augmentation.erase", 0.0, because, evidence.IMAGENETTE)]
    because = f"in {epochs} epochs each image is seen often; erasing parts of it keeps it informative"
    return [choose("augmentation.erase", recipe.ERASE, because, evidence.RANDOM_ERASING)]
