"""Pictures for the tests of the pages: small, and each a different one."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from app.client.jobs import Job

CLASSES = ("ash", "birch", "cedar")
PER_CLASS = 10


def picture(number: int, side: int = 40) -> bytes:
    """A different noisy picture for each number."""
    values = np.random.default_rng(number).integers(0, 256, (side, side + number % 7, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    return stream.getvalue()


def write_trees(place: Path) -> Path:
    """Three classes of ten pictures, a broken one among them, and a file that is none."""
    for number, name in enumerate(CLASSES):
        (place / name).mkdir(parents=True)
        for each in range(PER_CLASS):
            (place / name / f"{each:02d}.png").write_bytes(picture(100 * number + each))
    (place / "ash" / "broken.png").write_bytes(b"no picture")
    (place / "notes.txt").write_text("seen in May")
    return place


def ended(job: Job, seconds: float = 120) -> Job:
    end = time.monotonic() + seconds
    while job.running:
        assert time.monotonic() < end, "the work did not end"
        time.sleep(0.05)
    return job
