"""Rules for the network: its weights, its size, its resolution, and the square transform."""

from __future__ import annotations

import math

from workflows.graph.nodes import Reason
from workflows.recommend import evidence, recipe
from workflows.recommend.situation import Chosen, Situation, choose, your_choice
from workflows.recommend.weights_file import size_in_weights


def weights_rule(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Start from ImageNet weights, except for tiny grey images, which have nothing in common with its photos."""
    facts = situation.facts
    if situation.weights != "auto":
        return [your_choice("model.weights", situation.weights)]
    tiny = facts.median_short_side <= recipe.SCRATCH_SHORT_SIDE
    if tiny and not facts.colour and facts.train_images >= recipe.SCRATCH_IMAGES:
        because = (
            f"the images are grey and only {facts.median_short_side} pixels wide, unlike the photos that the "
            f"official weights were trained on, and {facts.train_images:,} of them are enough to learn from"
        )
        return [choose("model.weights", "none", because, evidence.DIGITS)]
    because = "weights trained on a million photos already recognise edges, textures and shapes"
    return [choose("model.weights", "auto", because, evidence.FLOWERS_PRETRAINED)]


def model_size(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Choose the size for the goal and device; never l, which in the published table is no better than m."""
    in_file = size_in_weights(situation.weights)
    if in_file:
        return [choose("model.size", in_file, "the weights file you gave is of this size", evidence.YOU)]
    size, because, source = _size_for_goal(situation)
    few = situation.facts.train_images < recipe.MANY_IMAGES
    if not chosen.pretrained and few and size != "n":
        because = f"{situation.facts.train_images:,} images are too few to train a larger network from random weights"
        return [choose("model.size", "n", because, evidence.DIGITS)]
    return [choose("model.size", size, because, source)]


def _size_for_goal(situation: Situation) -> tuple[str, str, str]:
    hardware, images = situation.hardware, situation.facts.train_images
    if situation.goal == "fast":
        return "n", "the smallest network learns and predicts fastest", evidence.MODEL_COST
    if not situation.on_gpu:
        if situation.goal == "accurate" and hardware.cores >= recipe.STRONG_CPU_CORES:
            return "s", f"{hardware.cores} cores can handle the next larger size", evidence.ULTRALYTICS_TABLE
        return (
            "n",
            "on a CPU, time is better spent on resolution and epochs than on a larger network",
            evidence.MODEL_COST,
        )
    if situation.goal == "balanced":
        return "s", "on a GPU the second size costs little time and brings accuracy", evidence.ULTRALYTICS_TABLE
    memory = f"{hardware.memory_bytes / 1e9:.0f} GB"
    if hardware.memory_bytes < recipe.SMALL_GPU_BYTES:
        return "s", f"a GPU with {memory} has no memory for a larger network at this resolution", evidence.MODEL_COST
    if hardware.memory_bytes >= recipe.BIG_GPU_BYTES and images >= recipe.MANY_IMAGES:
        because = f"the GPU has enough memory ({memory}) and {images:,} images are enough to train the largest network"
        return "x", because, evidence.FLOWER_LADDER
    return (
        "m",
        "the best of the sizes that train in reasonable time; l is slower and not better",
        evidence.FLOWER_LADDER,
    )


def image_size_rule(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Choose the goal's resolution, but don't enlarge small images: it costs time and adds no information."""
    if situation.image_size is not None:
        return [your_choice("model.image_size", situation.image_size)]
    goal_size = situation.recipe.gpu_image_size if situation.on_gpu else situation.recipe.cpu_image_size
    native = situation.facts.median_short_side
    useful = max(recipe.SMALLEST_IMAGE_SIZE, math.ceil(native * recipe.ENLARGEMENT / 32) * 32)
    if useful < goal_size:
        because = f"the images are only about {native} pixels on their shorter side; a higher resolution would only enlarge them"
        return [choose("model.image_size", useful, because, evidence.STRIDE)]
    device = "GPU" if situation.on_gpu else "processor"
    because = (
        f"what a {device} can do in the time that the goal {situation.goal!r} allows; more pixels show more detail"
    )
    return [choose("model.image_size", goal_size, because, evidence.FLOWERS_PIXELS)]


def square(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Crop images of ordinary shapes; pad long ones."""
    facts = situation.facts
    lost = 1 - 1 / facts.elongation_median
    ordinary = facts.elongation_median <= recipe.CROP_ELONGATION and facts.elongation_p90 <= recipe.CROP_ELONGATION_P90
    if ordinary:
        because = (
            f"a centre crop of a typical image loses {lost:.0%} of it, at the borders, and preserves detail and shape"
            if lost >= 0.01
            else "the images are square already"
        )
        return [choose("model.square", "crop", because, evidence.FLOWERS_SQUARE)]
    if facts.aspect_p90 / facts.aspect_p10 <= recipe.SAME_ASPECT:
        because = (
            f"a crop would lose {lost:.0%} of each image; all have the same shape ({facts.aspect_median:.2f} : 1), so "
            "stretching distorts them all equally and wastes no pixels"
        )
        return [choose("model.square", "stretch", because, evidence.CROP_THREADS)]
    share = f"{lost:.0%} of a typical image" if lost > 0.3 else "over half of the longest images"
    because = f"a crop would lose {share}; grey borders preserve all of it in its true shape"
    return [choose("model.square", "pad", because, evidence.CROP_THREADS)]


def dropout(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Add dropout for few images per class, so that they are not memorised."""
    per_class = situation.facts.images_per_class
    if per_class < recipe.FEW_PER_CLASS:
        because = f"with {per_class:.0f} images per class the network could memorise them"
        return [choose("model.dropout", recipe.FEW_DROPOUT, because, evidence.DROPOUT)]
    because = f"{per_class:.0f} images per class are enough without dropout"
    return [choose("model.dropout", 0.0, because, evidence.DROPOUT)]
