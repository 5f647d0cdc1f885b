"""Client of the inference server, which holds the models; none is loaded in the process of the pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import httpx
from pydantic import BaseModel

from flows.studio_file import read_studio
from workflows.errors import FieldguideError, ImageError, RunError, StorageError, UsageError
from workflows.explanation.methods import CLASSLESS, DEFAULT_METHODS
from workflows.progress import Progress, silent
from workflows.serving.answers import (
    ExplainAnswer,
    FilePrediction,
    HeatMap,
    ModelDetail,
    ModelsAnswer,
    ModelSummary,
    NearestAnswer,
    Neighbour,
    PredictAnswer,
)
from workflows.store.store import Store

__all__ = [
    "ExplainAnswer",
    "HeatMap",
    "Inference",
    "ModelDetail",
    "ModelSummary",
    "NearestAnswer",
    "Neighbour",
    "Photo",
    "Prediction",
    "ServerDown",
]

FILES_AT_ONCE = 16
BYTES_AT_ONCE = 100 * 1024**2
"""Bytes of files in one request, well below the server's limit; a larger file is sent alone."""
PATIENCE = 60.0
"""Seconds to retry while the server is overloaded."""
TIMEOUT = httpx.Timeout(120.0, connect=3.0)

Prediction = FilePrediction
Answer = TypeVar("Answer", bound=BaseModel)


class ServerDown(FieldguideError):  # noqa: N818 - a state, not an error
    """The inference server does not answer."""


@dataclass(frozen=True)
class Photo:
    """A photo to send to the server: a name, its size in bytes, and how to read it."""

    name: str
    size: int
    read: Callable[[], bytes]


class Inference:
    """The inference server, seen from the pages. Every method may raise ServerDown."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._making = threading.Lock()
        self._reached: tuple[str, str] | None = None
        self._http: httpx.Client | None = None

    def models(self) -> list[ModelSummary]:
        """Return all classifiers, newest first."""
        return self._get("/models", ModelsAnswer).models

    def model(self, run_id: str) -> ModelDetail:
        """Return the classes, layers and methods of a run's classifier. Raises RunError if it has none."""
        return self._get(f"/models/{run_id}", ModelDetail)

    def predict(
        self, run_id: str, photos: Iterable[Photo], top: int = 5, progress: Progress = silent, total: int = 0
    ) -> list[Prediction]:
        """Predict photos, in the order given; one that can't be read has an `error` in its place.

        Args:
            run_id: the model.
            photos: read one request at a time, so that thousands of them need little memory.
            top: how many of the most likely classes to return.
            progress: called after each request.
            total: how many photos there will be, for `progress`.

        Raises:
            RunError: there is no such model.
        """
        answers: list[Prediction] = []
        for batch in _batches(photos):
            files = [("files", (photo.name or "photo", photo.read())) for photo in batch]
            answer = self._ask("/predict", PredictAnswer, {"run": run_id, "top": top}, files=files, fine=(422,))
            answers += [
                prediction.model_copy(update={"file": photo.name})
                for photo, prediction in zip(batch, answer.results, strict=True)
            ]
            progress("predict", len(answers), max(total, len(answers)))
        return answers

    def predict_stored(self, run_id: str, hashes: Sequence[str], top: int = 5) -> list[Prediction]:
        """Predict images of the store by their SHA-256 (64 at most). Raises RunError, UsageError."""
        query = {"run": run_id, "top": top}
        return self._ask("/predict-stored", PredictAnswer, query, json={"sha256": list(hashes)}, fine=(422,)).results

    def explain(
        self,
        run_id: str,
        image: str | bytes,
        methods: Sequence[str] = DEFAULT_METHODS,
        targets: Sequence[str] = (),
        layer: int | None = None,
        top: int = 5,
        overlays: bool = False,
    ) -> ExplainAnswer:
        """Explain the answer for one photo; the pictures of the answer are the base64 of PNGs.

        Args:
            run_id: the model.
            image: the SHA-256 of an image of the store, or the content of a file.
            methods: of heat-maps; see `model`.
            targets: classes whose evidence to show; empty means the predicted one.
            layer: layer to look at; None chooses by the image size.
            top: how many of the most likely classes to return.
            overlays: also draw each map over the photo.

        Raises:
            ImageError: the photo can't be read.
            RunError, UsageError: no such model, image, method, class or layer.
        """
        query = {"run": run_id, "method": list(methods), "target": list(targets), "top": top, "overlays": overlays}
        if layer is not None:
            query["layer"] = layer
        return self._ask_about("explain", ExplainAnswer, query, image)

    def explain_stored(
        self, run_id: str, sha256: str, methods: Sequence[str] = (CLASSLESS,), overlays: bool = True
    ) -> ExplainAnswer:
        """Explain the answer for an image of the store, with the maps drawn over it; see `explain`."""
        return self.explain(run_id, sha256, methods, overlays=overlays)

    def nearest(self, run_id: str, image: str | bytes, count: int = 12) -> NearestAnswer:
        """Return the training images that the network finds most like an image (see `explain` for `image`).

        The first time for a run its training images are indexed: then `state` is `building`, `done` of
        `total` are the progress, and a repeated call waits on.
        """
        return self._ask_about("nearest", NearestAnswer, {"run": run_id, "count": count}, image)

    def nearest_stored(self, run_id: str, sha256: str, count: int = 12) -> NearestAnswer:
        """Return the training images most like an image of the store; see `nearest`."""
        return self.nearest(run_id, sha256, count)

    def _ask_about(
        self, what: Literal["explain", "nearest"], kind: type[Answer], query: dict[str, Any], image: str | bytes
    ) -> Answer:
        if isinstance(image, str):
            return self._ask(f"/{what}-stored", kind, query, json={"sha256": image})
        return self._ask(f"/{what}", kind, query, files=[("file", ("photo", image))])

    def _get(self, path: str, kind: type[Answer]) -> Answer:
        return self._answer("GET", path, kind)

    def _ask(self, path: str, kind: type[Answer], query: Mapping[str, Any], **body: Any) -> Answer:
        return self._answer("POST", path, kind, params=dict(query), **body)

    def _answer(self, method: str, path: str, kind: type[Answer], fine: tuple[int, ...] = (), **request: Any) -> Answer:
        """Send a request, again while the server is busy; `fine` are further statuses whose body is an answer."""
        deadline = time.monotonic() + PATIENCE
        while True:
            response = self._send(method, path, **request)
            wait = float(response.headers.get("retry-after", "1"))
            if response.status_code != 503 or time.monotonic() + wait > deadline:
                break
            time.sleep(wait)
        document = document_of(response)
        whole = response.status_code in fine and "results" in document
        if response.status_code >= 400 and not whole:
            raise error_of(response.status_code, document)
        return kind.model_validate(document)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._connection().request(method, path, **request)
        except httpx.TimeoutException as error:
            raise ServerDown(
                "The inference server takes too long to answer.", "Try again when the running training is done."
            ) from error
        except httpx.TransportError as error:
            raise ServerDown(
                "The inference server does not answer.",
                "The studio restarts it automatically: try again in a few seconds. If that does not help, "
                "stop the studio and start it again.",
            ) from error

    def _connection(self) -> httpx.Client:
        """Return the connection to the current server; another one after a restart."""
        studio = read_studio(self._store.home)
        if studio is None or not studio.inference_url:
            raise ServerDown(
                "The inference server is not running.", "It is part of the studio: stop the studio and start it again."
            )
        place = studio.inference_url, studio.inference_token
        with self._making:
            if self._http is None or self._reached != place:
                headers = {"Authorization": f"Bearer {place[1]}"} if place[1] else {}
                # no proxy from the environment: photos must not leave this machine
                self._http = httpx.Client(base_url=place[0], headers=headers, timeout=TIMEOUT, trust_env=False)
                self._reached = place
            return self._http


def _batches(photos: Iterable[Photo]) -> Iterator[list[Photo]]:
    batch: list[Photo] = []
    size = 0
    for photo in photos:
        if batch and (len(batch) == FILES_AT_ONCE or size + photo.size > BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(photo)
        size += photo.size
    if batch:
        yield batch


def document_of(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON document of a response; one that says so if there is none."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    return {"error": f"The inference server answered with status {response.status_code} and no message."}


def error_of(status: int, document: dict[str, Any]) -> FieldguideError:
    """Return the error that a response describes."""
    kinds: dict[int, type[FieldguideError]] = {
        400: UsageError,
        404: RunError,
        422: ImageError,
        503: ServerDown,
        507: StorageError,
    }
    kind = kinds.get(status, FieldguideError)
    error = kind(str(document.get("error", "The inference server refused.")), str(document.get("hint", "")))
    error.problems = [str(problem) for problem in document.get("problems") or ()]
    return error
