"""Rules for how the network learns."""

from __future__ import annotations

import math

from workflows.graph.nodes import Reason
from workflows.recommend import evidence, recipe
from workflows.recommend.estimate import memory_bytes
from workflows.recommend.situation import Chosen, Situation, choose, your_choice

SMALLEST_BATCH = 2


def batch(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Small sets take small batches, so that an epoch has enough steps to learn in."""
    images = situation.facts.train_images
    size = next(size for above, size in recipe.BATCHES if images > above or above == 0)
    if not situation.on_gpu:
        size = min(size, recipe.CPU_LARGEST_BATCH)
    steps = math.ceil(images / size)
    because = f"{images:,} training images then make {steps} learning steps per epoch"
    return [choose("training.batch", size, because, evidence.ROOT_SCALING)]


def epochs_rule(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Aim at the goal's number of steps, so that small sets get more epochs; random weights need more."""
    if situation.epochs is not None:
        return [your_choice("training.epochs", situation.epochs)]
    steps = math.ceil(situation.facts.train_images / chosen["training.batch"])
    limits, wanted = situation.recipe, round(situation.recipe.steps / steps)
    epochs = min(max(wanted, limits.fewest_epochs), limits.most_epochs)
    if epochs < wanted:
        because = "as often as this goal shows the same images; more would teach them by heart"
    elif epochs > wanted:
        because = f"with {steps} steps per epoch few epochs teach much, but each image should be seen this often"
    else:
        because = (
            f"at {steps} steps per epoch that is about {epochs * steps:,} steps, as the goal {situation.goal!r} wants"
        )
    if not chosen.pretrained:
        epochs = round(epochs * recipe.SCRATCH_EPOCHS_FACTOR)
        because = f"random weights need {recipe.SCRATCH_EPOCHS_FACTOR:g} times as many as pretrained ones"
    return [choose("training.epochs", epochs, because, evidence.FLOWERS_PRETRAINED)]


def memory(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Halve the batch until training fits into its share of the device's memory."""
    size, pixels, asked = chosen["model.size"], chosen["model.image_size"], chosen["training.batch"]
    room = situation.hardware.memory_bytes * recipe.MEMORY_SHARE
    fitting = asked
    while fitting > SMALLEST_BATCH and memory_bytes(size, pixels, fitting, situation.hardware) > room:
        fitting //= 2
    if fitting == asked:
        return []
    because = (
        f"a batch of {asked} would need {memory_bytes(size, pixels, asked, situation.hardware) / 1e9:.1f} GB, "
        f"and {room / 1e9:.1f} of the device's {situation.hardware.memory_bytes / 1e9:.1f} GB can be planned with"
    )
    return [choose("training.batch", fitting, because, evidence.AUTOBATCH)]


def optimiser(situation: Situation, chosen: Chosen) -> list[Reason]:
    """AdamW; the learning rate falls with the model's size and rises with the root of the batch."""
    size, images = chosen["model.size"], chosen["training.batch"]
    rate = recipe.LEARNING_RATES[size] * math.sqrt(images / recipe.REFERENCE_BATCH)
    head = recipe.HEAD_FACTOR if chosen.pretrained else 1.0
    if not chosen.pretrained:
        rate *= recipe.SCRATCH_RATE_FACTOR
    start = "pretrained" if chosen.pretrained else "random"
    rate_because = f"what suits size {size} from {start} weights, scaled to batches of {images}"
    head_because = (
        "the classifier layer is new and must move fast, the pretrained layers only a little"
        if chosen.pretrained
        else "all layers start from random weights and learn alike"
    )
    return [
        choose("training.optimizer", "AdamW", "finds good weights without much tuning", evidence.AUTOGLUON),
        choose("training.learning_rate", _rounded(rate), rate_because, evidence.ROOT_SCALING),
        choose("training.head_learning_rate", head, head_because, evidence.FASTAI),
        choose("training.weight_decay", recipe.WEIGHT_DECAY, "keeps weights small on small sets", evidence.AUTOGLUON),
    ]


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def schedule(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Warm up for an epoch at most; stop early only when a good part of the training brought nothing."""
    epochs = chosen["training.epochs"]
    warmup = min(recipe.WARMUP_EPOCHS, round(recipe.WARMUP_SHARE * epochs, 2))
    patience = max(recipe.FEWEST_PATIENCE, math.ceil(epochs * recipe.PATIENCE_SHARE))
    stop = f"{patience} of {epochs} epochs without progress mean that no more will come"
    if patience >= epochs:
        patience, stop = (
            0,
            "a short training is run to its end, where the falling learning rate brings the best results",
        )
    return [
        choose(
            "training.warmup_epochs", warmup, "the first steps are the wildest; they start small", evidence.AUTOGLUON
        ),
        choose("training.patience", patience, stop, evidence.AUTOGLUON),
    ]


def imbalance(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Give rare classes weight as they get rarer, and judge by all classes alike when they are rare."""
    ratio = situation.facts.imbalance
    times = f"the largest class has {ratio:.1f} times as many images as the smallest"
    if ratio < recipe.WEIGHTING_SQRT:
        weighting, because = "none", f"{times}: near enough"
    elif ratio <= recipe.WEIGHTING_BALANCED:
        weighting, because = (
            "sqrt",
            f"{times}: rare classes get more weight, but not so much that they drown the others",
        )
    else:
        weighting, because = "balanced", f"{times}: without full weights the rare ones would be ignored"
    reasons = [choose("training.class_weighting", weighting, because, evidence.CLASS_WEIGHTS)]
    if ratio >= recipe.F1_IMBALANCE:
        because = f"{times}: accuracy alone could be had by ignoring the rare ones"
        return [*reasons, choose("training.monitor", "f1_macro", because, evidence.DATASET)]
    return [*reasons, choose("training.monitor", "top1", f"{times}: accuracy speaks for all", evidence.DATASET)]


def smoothing(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Soften the targets where there are several classes; with few it only blurs the confidence."""
    classes = situation.facts.classes
    if classes >= recipe.SMOOTHING_CLASSES:
        because = f"keeps the network from being too sure of any one of {classes} classes"
        return [choose("training.label_smoothing", recipe.LABEL_SMOOTHING, because, evidence.LABEL_SMOOTHING)]
    because = f"{classes} classes leave little to spread the target over"
    return [choose("training.label_smoothing", 0.0, because, evidence.LABEL_SMOOTHING)]


def device(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Train on the device that was looked at."""
    hardware = situation.hardware
    room = f"{hardware.memory_bytes / 1e9:.0f} GB"
    because = f"{hardware.name}, {room}" + ("" if situation.on_gpu else f", {hardware.cores} cores; no GPU is used")
    return [choose("training.device", hardware.device, because, evidence.DEVICE)]


def seed_rule(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Take the seed asked for."""
    return [your_choice("training.seed", situation.seed)] if situation.seed else []


def split(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Keep the data set's own split: results of different runs can then be compared."""
    because = (
        "the images came already split, and that is kept"
        if situation.facts.given_split
        else "made at the import and kept for good, so that results of different runs can be compared"
    )
    return [choose("split.source", "version", because, evidence.DATASET)]


def evaluation(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Evaluate on the splits that have images."""
    counts = {"val": situation.facts.val_images, "test": situation.facts.test_images}
    splits = [name for name, images in counts.items() if images]
    if len(splits) == 2 or not splits:
        return []
    because = f"the data set has no {'test' if splits == ['val'] else 'val'} images"
    return [choose("evaluation.splits", splits, because, evidence.DATASET)]
