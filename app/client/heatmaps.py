"""Heat-maps of stored images, requested ahead and shown as they arrive: no page waits for a network."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.client.cache import Cache
from app.client.evaluation import Evaluation
from workflows.errors import FieldguideError
from workflows.explanation.methods import CLASSLESS

KEPT_PICTURES = 512  # of some 50 KB each
RETRY_SECONDS = 20.0
AT_ONCE = 2  # the server batches requests that arrive together


@dataclass(frozen=True)
class HeatMaps:
    """The state of the requested heat-maps.

    Attributes:
        pictures: JPEG by image id: the map in colours over what the network saw.
        waiting: how many are still being drawn.
        trouble: why some are missing; empty if none is.
    """

    pictures: dict[str, bytes]
    waiting: int
    trouble: str


class HeatMapDrawer:
    """Draws heat-maps in the background and caches them."""

    def __init__(self, evaluation: Evaluation, explain: Callable[[str, str], bytes]) -> None:
        """Draw with `explain(run_id, sha256)`: the map over what the network saw, as PNG; may raise FieldguideErrors."""
        self._evaluation, self._explain = evaluation, explain
        self._kept = Cache(KEPT_PICTURES)
        self._lock = threading.Lock()
        self._under_way: set[tuple[str, str]] = set()
        self._failed: dict[tuple[str, str], tuple[float, str]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="heat-maps")

    def ask(self, run_id: str, image_ids: Sequence[str]) -> HeatMaps:
        """Return the finished Eigen-CAMs; start the others."""
        pictures, waiting, trouble = {}, 0, ""
        for image_id in image_ids:
            picture = self._kept.find((run_id, image_id)) or self._drawn(run_id, image_id)
            if picture is not None:
                pictures[image_id] = picture
            elif problem := self._begin(run_id, image_id):
                trouble = problem
            else:
                waiting += 1
        return HeatMaps(pictures, waiting, trouble)

    def _drawn(self, run_id: str, image_id: str) -> bytes | None:
        """Return the map that the run itself drew of an image, if any."""
        drawn = self._evaluation.drawn_heatmap(run_id, image_id, CLASSLESS)
        if drawn is None:
            return None
        picture = _jpeg(_pixels(drawn))
        return self._kept.get((run_id, image_id), lambda: picture)

    def _begin(self, run_id: str, image_id: str) -> str:
        """Request a heat-map unless it is in progress; return why it failed just now, if it did."""
        key = (run_id, image_id)
        with self._lock:
            since, problem = self._failed.get(key, (0.0, ""))
            if problem and time.monotonic() - since < RETRY_SECONDS:
                return problem
            if key not in self._under_way:
                self._under_way.add(key)
                self._pool.submit(self._draw, run_id, image_id)
        return ""

    def _draw(self, run_id: str, image_id: str) -> None:
        key = (run_id, image_id)
        try:
            picture = _jpeg(_pixels(self._explain(run_id, self._evaluation.sha256(run_id, image_id))))
            self._kept.get(key, lambda: picture)
        except FieldguideError as error:
            with self._lock:
                self._failed[key] = (time.monotonic(), error.message)
        finally:
            with self._lock:
                self._under_way.discard(key)


def _pixels(picture: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
        return np.array(image.convert("RGB"))


def _jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=88)  # a tenth of a PNG: a page holds a dozen
    return stream.getvalue()
