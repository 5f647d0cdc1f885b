"""The demo's photos: scikit-learn's 1,797 real handwritten digits, as a folder of PNG files with a sub-folder per class."""

from __future__ import annotations

from pathlib import Path

from workflows.progress import Progress, silent
from workflows.store.files import atomic_path

DEMO = "digits"
"""What the data set of the demo is called."""
SIDE = 32
"""The digits come as 8 x 8 pixels, which is less than a network can take."""


def write_digits(folder: Path, progress: Progress = silent) -> int:
    """Write the digits to `folder/<digit>/<number>.png`, enlarged smoothly to 32 x 32; return their number.

    Files that are there already stay as they are.
    """
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()  # comes with scikit-learn: nothing is downloaded
    for number, (strokes, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = Image.fromarray(np.rint(strokes * 255 / 16).astype(np.uint8))
            with atomic_path(path) as partial:
                grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(partial, format="PNG")
        progress("write the digits", number + 1, len(digits.images))
    return len(digits.images)
