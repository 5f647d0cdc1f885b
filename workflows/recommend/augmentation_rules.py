"""Rules for the random changes of training images: strong enough to teach, never so that a label becomes wrong."""

from __future__ import annotations

from workflows.graph.nodes import Reason
from workflows.recommend import evidence, recipe
from workflows.recommend.situation import Chosen, Situation, choose


def flips(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Mirror only what means the same in the mirror; turn only what has no up."""
    orientation = situation.facts.orientation
    source = evidence.MEANING
    horizontal = 0.0 if orientation.meaningful else recipe.FLIP
    turned = recipe.FLIP if orientation.free else 0.0
    upright = orientation.because if orientation.free else "most pictures have an up and a down, and so will new ones"
    return [
        choose("augmentation.horizontal_flip", horizontal, orientation.because, source),
        choose("augmentation.vertical_flip", turned, upright, source),
        choose("augmentation.quarter_turns", turned, upright, source),
    ]


def geometry(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Cut, turn and shift: gently for signs, which fill their image; by goal for photos."""
    if situation.facts.orientation_matters:
        because = "a sign cut in half is another sign; small turns, shifts and zooms are what writing does by itself"
        values = {
            "crop_min": recipe.SIGN_CROP_MIN,
            "crop_aspect": recipe.SIGN_CROP_ASPECT,
            "rotate": recipe.SIGN_ROTATE,
            "translate": recipe.SIGN_TRANSLATE,
            "zoom": recipe.SIGN_ZOOM,
        }
        return [choose(f"augmentation.{name}", value, because, evidence.MEANING) for name, value in values.items()]
    if chosen["model.square"] != "crop":
        because = "evaluation sees images whole, so training must see nearly all of them too"
        return [choose("augmentation.crop_min", recipe.WHOLE_CROP_MIN, because, evidence.FLOWERS_SQUARE)]
    because = (
        f"the goal {situation.goal!r} trains {_length(situation)}, and the longer the training, the stronger the crops"
    )
    return [choose("augmentation.crop_min", situation.recipe.crop_min, because, evidence.IMAGENETTE)]


def _length(situation: Situation) -> str:
    return {"fast": "briefly", "balanced": "moderately long", "accurate": "long"}[situation.goal]


def colour(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Shift colours only where there are any."""
    if situation.facts.colour:
        return []
    because = "the images are grey: there is no colour to change"
    return [choose(f"augmentation.{name}", 0.0, because, evidence.DATASET) for name in ("saturation", "hue")]


def erasing(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Hide a part now and then in long trainings, so that no single detail decides."""
    if situation.facts.orientation_matters:
        because = "an erased stroke can turn one sign into another"
        return [choose("augmentation.erase", 0.0, because, evidence.MEANING)]
    epochs = chosen["training.epochs"]
    if epochs < recipe.ERASE_FROM_EPOCHS:
        because = f"{epochs} epochs are too few to profit from hidden parts"
        return [choose("augmentation.erase", 0.0, because, evidence.IMAGENETTE)]
    because = f"in {epochs} epochs each image returns often; hiding parts of it keeps it instructive"
    return [choose("augmentation.erase", recipe.ERASE, because, evidence.RANDOM_ERASING)]
