"""All numbers of the recommender as named constants, so that they can be tuned by measurement.

`rules.py` uses them. Changing one changes what is recommended; the tests in tests/recommend
check relations (which goal is larger, what a rule reacts to), not these values.
"""

from __future__ import annotations

from typing import NamedTuple

from workflows.goals import Goal


class GoalRecipe(NamedTuple):
    """A goal's starting values, before the data set and the device are considered."""

    cpu_image_size: int
    gpu_image_size: int
    steps: int
    """Optimiser steps to aim at: epochs = steps / (training images / batch), within the limits below."""
    fewest_epochs: int
    most_epochs: int
    crop_min: float
    """Smallest share of an image in a random crop: the longer the training, the stronger."""


RECIPES: dict[Goal, GoalRecipe] = {
    "fast": GoalRecipe(128, 160, steps=350, fewest_epochs=5, most_epochs=15, crop_min=0.5),
    "balanced": GoalRecipe(224, 224, steps=800, fewest_epochs=10, most_epochs=40, crop_min=0.35),
    "accurate": GoalRecipe(288, 320, steps=1600, fewest_epochs=20, most_epochs=60, crop_min=0.25),
}

# --- model ------------------------------------------------------------------------------------------
STRONG_CPU_CORES = 8
"""From this many cores on, `accurate` uses size s on a CPU."""
BIG_GPU_BYTES = 40e9
SMALL_GPU_BYTES = 6e9
MANY_IMAGES = 5_000
"""Training images from which the largest networks, and large ones from random weights, are worthwhile."""
SCRATCH_SHORT_SIDE = 48
"""Grey images not larger than this learn from random weights..."""
SCRATCH_IMAGES = 500
"""...if there are at least this many."""
SMALLEST_IMAGE_SIZE = 64
"""Below, the network's last map (1/32 of the side) has a single cell."""
ENLARGEMENT = 1.33
"""How much images may be enlarged over their native shorter side."""
CROP_ELONGATION = 1.6
"""Up to this ratio of longer to shorter side (median), the centre contains what matters. 3:2 is below, 16:9 above."""
CROP_ELONGATION_P90 = 2.2
"""The same for the longest tenth of the images."""
SAME_ASPECT = 1.15
"""90th over 10th percentile of width / height up to which all images have one shape."""
FEW_PER_CLASS = 50
"""Training images per class below which dropout is added."""
FEW_DROPOUT = 0.2

# --- augmentation -----------------------------------------------------------------------------------
FLIP = 0.5
SIGN_CROP_MIN, SIGN_CROP_ASPECT = 0.8, 1.1
SIGN_ROTATE, SIGN_TRANSLATE, SIGN_ZOOM = 10.0, 0.1, 0.1
WHOLE_CROP_MIN = 0.7
"""Random crops of padded or stretched squares stay close to the whole image used in evaluation."""
ERASE, ERASE_FROM_EPOCHS = 0.25, 20

# --- training ---------------------------------------------------------------------------------------
BATCHES = ((20_000, 128), (1_000, 64), (200, 32), (0, 16))
"""(training images above which, batch); 128 only on GPU."""
CPU_LARGEST_BATCH = 64
MEMORY_SHARE = 0.6
"""Share of the device's memory that training may plan with (Ultralytics' AutoBatch: 60 %)."""
LEARNING_RATES: dict[str, float] = {"n": 5e-4, "s": 4e-4, "m": 3e-4, "l": 2.5e-4, "x": 2e-4}
"""Peak learning rate of AdamW on pretrained weights at batch 64; grows with the root of the batch."""
SCRATCH_RATE_FACTOR = 3.0
"""Random weights tolerate this many times the learning rate of pretrained ones..."""
SCRATCH_EPOCHS_FACTOR = 2.0
"""...and need this many times the epochs."""
REFERENCE_BATCH = 64
HEAD_FACTOR = 10.0
WEIGHT_DECAY = 0.02
WARMUP_EPOCHS, WARMUP_SHARE = 1.0, 0.2
LABEL_SMOOTHING, SMOOTHING_CLASSES = 0.1, 5
WEIGHTING_SQRT, WEIGHTING_BALANCED = 1.5, 10.0
"""Imbalance (largest / smallest class) from which classes are weighted by the root, or fully."""
F1_IMBALANCE = 3.0
PATIENCE_SHARE, FEWEST_PATIENCE = 1 / 3, 10

# --- time budget ------------------------------------------------------------------------------------
BUDGET_SHARE = 0.95
"""Share of the given minutes that the estimate may use."""
BUDGET_EPOCHS_PRETRAINED, BUDGET_EPOCHS_SCRATCH = 6, 15
"""Fewer epochs than this are worse than fewer pixels."""
BUDGET_LARGE_MODEL_SHARE = 0.8
"""Below this share of the initially chosen resolution, a smaller model is tried before even fewer pixels."""
RESOLUTIONS = (320, 288, 256, 224, 192, 160, 128, 96, 64)
