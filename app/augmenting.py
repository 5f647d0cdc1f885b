"""Photos as training sees them, in a process of its own: `python -m app.augmenting STUDIO`, a request per line on stdin.

The library that augments loads PyTorch where it can, and needs more memory than the web process may have; here it is
told that there is none. Each answer is one line of JSON. The process ends when nobody asked for a while.
"""

from __future__ import annotations

import base64
import io
import json
import select
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.leash import Mark, follow
from workflows.errors import FieldguideError

IDLE_SECONDS = 300.0
QUALITY = 92
SMALL = 96
"""Squares up to this many pixels are sent without loss."""


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return `validation`, one picture, and `training`, `count` pictures of the photo in `path`, in base 64.

    Raises:
        ImageError: the photo can't be read.
    """
    from workflows.data.images import read_rgb
    from workflows.data.pixels import make_square, training_pixels
    from workflows.graph.settings import AugmentationSettings, ModelSettings
    from workflows.training.augment import Augmenter

    model = ModelSettings.model_validate(request["model"])
    augmenter = Augmenter(AugmentationSettings.model_validate(request["augmentation"]), model.image_size)
    rgb = read_rgb(Path(request["path"]))
    photo = training_pixels(rgb, model.image_size, model.square)
    squares = augmenter([photo] * int(request["count"]), int(request["seed"]))
    return {
        "validation": _picture(make_square(rgb, model.image_size, model.square)),
        "training": [_picture(square) for square in squares],
    }


def _picture(pixels: Any) -> str:
    from PIL import Image

    content, small = io.BytesIO(), pixels.shape[0] <= SMALL
    Image.fromarray(pixels).save(content, format="PNG" if small else "JPEG", quality=QUALITY)
    return base64.b64encode(content.getvalue()).decode()


def main() -> None:
    """Answer until nobody asks any more."""
    follow(Mark.parse(sys.argv[1]))
    sys.modules["torch"] = None  # type: ignore[assignment]  # 400 MB that a preview has no use for
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        try:
            document = answer(json.loads(line))
        except FieldguideError as error:
            document = {"error": error.message, "hint": error.hint}
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
