"""Rules for the training."""

from __future__ import annotations

import math

from workflows.data.audit.repairs import resplit_command
from workflows.graph.nodes import Reason
from workflows.recommend import evidence, recipe
from workflows.recommend.estimate import memory_bytes
from workflows.recommend.situation import Chosen, Situation, choose, your_choice

SMALLEST_BATCH = 2


def batch(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Small sets get small batches, so that an epoch has enough steps."""
    images = situation.facts.train_images
    size = next(size for above, size in recipe.BATCHES if images > above or above == 0)
    if not situation.on_gpu:
        size = min(size, recipe.CPU_LARGEST_BATCH)
    steps = math.ceil(images / size)
    because = f"{images:,} training images then make {steps} training steps per epoch"
    return [choose("training.batch", size, because, evidence.ROOT_SCALING)]


def epochs_rule(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Aim at the goal's number of steps, so that small sets get more epochs; random weights need more."""
    if situation.epochs is not None:
        return [your_choice("training.epochs", situation.epochs)]
    steps = math.ceil(situation.facts.train_images / chosen["training.batch"])
    limits, wanted = situation.recipe, round(situation.recipe.steps / steps)
    epochs = min(max(wanted, limits.fewest_epochs), limits.most_epochs)
    if epochs < wanted:
        because = "the most that this goal allows; with more, the network would memorise the images"
    elif epochs > wanted:
        because = f"with {steps} steps per epoch a few epochs would be enough, but each image should be seen this often"
    else:
        because = f"at {steps} steps per epoch that is about {epochs * steps:,} steps, as the goal {situation.goal!r} requires"
    if not chosen.pretrained:
        epochs = round(epochs * recipe.SCRATCH_EPOCHS_FACTOR)
        because = f"random weights need {recipe.SCRATCH_EPOCHS_FACTOR:g} times as many epochs as pretrained ones"
    return [choose("training.epochs", epochs, because, evidence.FLOWERS_PRETRAINED)]


def memory(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Halve the batch until training fits into its share of the device's memory."""
    size, pixels, recommended = chosen["model.size"], chosen["model.image_size"], chosen["training.batch"]
    room = situation.hardware.memory_bytes * recipe.MEMORY_SHARE
    fitting = recommended
    while fitting > SMALLEST_BATCH and memory_bytes(size, pixels, fitting, situation.hardware) > room:
        fitting //= 2
    if fitting == recommended:
        return []
    because = (
        f"a batch of {recommended} would need {memory_bytes(size, pixels, recommended, situation.hardware) / 1e9:.1f} GB, "
        f"and {room / 1e9:.1f} of the device's {situation.hardware.memory_bytes / 1e9:.1f} GB are available"
    )
    return [choose("training.batch", fitting, because, evidence.AUTOBATCH)]


def optimiser(situation: Situation, chosen: Chosen) -> list[Reason]:
    """AdamW; the learning rate decreases with the model's size and increases with the root of the batch size."""
    size, images = chosen["model.size"], chosen["training.batch"]
    rate = recipe.LEARNING_RATES[size] * math.sqrt(images / recipe.REFERENCE_BATCH)
    head = recipe.HEAD_FACTOR if chosen.pretrained else 1.0
    if not chosen.pretrained:
        rate *= recipe.SCRATCH_RATE_FACTOR
    start = "pretrained" if chosen.pretrained else "random"
    rate_because = f"what suits size {size} from {start} weights, scaled to batches of {images}"
    head_because = (
        "the classifier layer is new and must learn fast, the pretrained layers only a little"
        if chosen.pretrained
        else "all layers start from random weights and learn at the same rate"
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
    """Warm up for at most one epoch; stop early only after a good part of the training without improvement."""
    epochs = chosen["training.epochs"]
    warmup = min(recipe.WARMUP_EPOCHS, round(recipe.WARMUP_SHARE * epochs, 2))
    patience = max(recipe.FEWEST_PATIENCE, math.ceil(epochs * recipe.PATIENCE_SHARE))
    stop = f"{patience} of {epochs} epochs without improvement mean that no more is to be expected"
    if patience >= epochs:
        patience, stop = (
            0,
            "a short training is not stopped early: the falling learning rate gives the best results at the end",
        )
    return [
        choose("training.warmup_epochs", warmup, "a low learning rate stabilises the first steps", evidence.AUTOGLUON),
        choose("training.patience", patience, stop, evidence.AUTOGLUON),
    ]


def imbalance(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Weight rare classes by their rarity, and monitor a metric that counts all classes equally when they are rare."""
    ratio = situation.facts.imbalance
    times = f"the largest class has {ratio:.1f} times as many images as the smallest"
    if ratio < recipe.WEIGHTING_SQRT:
        weighting, because = "none", f"{times}: no weighting is needed"
    elif ratio <= recipe.WEIGHTING_BALANCED:
        weighting, because = (
            "sqrt",
            f"{times}: rare classes get more weight, but not so much that they dominate the others",
        )
    else:
        weighting, because = "balanced", f"{times}: without full weights the rare ones would be ignored"
    reasons = [choose("training.class_weighting", weighting, because, evidence.CLASS_WEIGHTS)]
    if ratio >= recipe.F1_IMBALANCE:
        because = f"{times}: a model that ignores the rare ones could still have a high accuracy"
        return [*reasons, choose("training.monitor", "f1_macro", because, evidence.DATASET)]
    return [*reasons, choose("training.monitor", "top1", f"{times}: accuracy is meaningful for all", evidence.DATASET)]


def smoothing(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Smooth the targets if there are several classes; with few it only lowers the confidence."""
    classes = situation.facts.classes
    if classes >= recipe.SMOOTHING_CLASSES:
        because = f"prevents overconfidence in any one of {classes} classes"
        return [choose("training.label_smoothing", recipe.LABEL_SMOOTHING, because, evidence.LABEL_SMOOTHING)]
    because = f"{classes} classes are too few to spread the target over"
    return [choose("training.label_smoothing", 0.0, because, evidence.LABEL_SMOOTHING)]


def device(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Train on the given device."""
    hardware = situation.hardware
    room = f"{hardware.memory_bytes / 1e9:.0f} GB"
    because = f"{hardware.name}, {room}" + ("" if situation.on_gpu else f", {hardware.cores} cores; no GPU is used")
    return [choose("training.device", hardware.device, because, evidence.DEVICE)]


def seed_rule(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Use the requested seed."""
    return [your_choice("training.seed", situation.seed)] if situation.seed else []


def split(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Use the data set's own split, so that results of different runs can be compared. If it leaks, propose another."""
    because = (
        "the images came with a split, which is used"
        if situation.facts.given_split
        else "made at the import and permanent, so that results of different runs can be compared"
    )
    if situation.facts.leaking:
        held_out = situation.facts.val_images + situation.facts.test_images
        because += (
            f"; but {situation.facts.leaking:,} of {held_out:,} held-out images look like a training image, so results "
            f"are too good: re-split first, look-alikes together ({resplit_command(situation.facts.dataset)})"
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
