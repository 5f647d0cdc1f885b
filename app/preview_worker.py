"""Previews of augmentation, in a process of its own: `python -m app.preview_worker STUDIO`, a request per line on stdin.

The augmentation library loads PyTorch where it can, which needs more memory than the web process may have; here
PyTorch is hidden from it. Each answer is one line of JSON. The process ends after a while without requests.
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

from flows.process_identity import ProcessIdentity, exit_with
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
    from workflows.data.rendering import Rendering
    from workflows.nodes.augmentation import AugmentationSettings
    from workflows.nodes.model import ModelSettings
    from workflows.training.augment import Augmenter

    model = ModelSettings.model_validate(request["model"])
    augmenter = Augmenter(AugmentationSettings.model_validate(request["augmentation"]), model.image_size)
    rendering = request.get("rendering")
    rgb = read_rgb(Path(request["path"]), Rendering.from_dict(rendering) if rendering else None)
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
    """Answer until no more requests come."""
    exit_with(ProcessIdentity.parse(sys.argv[1]))
    sys.modules["torch"] = None  # type: ignore[assignment]  # 400 MB that a preview doesn't need
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        try:
            document = answer(json.loads(line))
        except FieldguideError as error:
            document = error.document()
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
