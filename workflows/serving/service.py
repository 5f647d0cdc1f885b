"""The inference server without HTTP: photos in, results out.

Runs in an event loop. Photos are decoded in threads, the network runs in one thread (`batching`); nothing here
blocks the loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch

from workflows.errors import FieldguideError, ImageError, ModelError, RunError, StorageError, UsageError
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.explanation.heatmaps import METHODS
from workflows.inference.model import ModelCard
from workflows.registry.thresholds import threshold_of
from workflows.serving.answers import (
    ExplainAnswer,
    FilePrediction,
    ModelDetail,
    ModelsAnswer,
    ModelSummary,
    NearestAnswer,
    PredictAnswer,
)
from workflows.serving.batching import Batcher
from workflows.serving.explaining import Wanted, explain_square, layers_of
from workflows.serving.limits import MEGABYTE, ServerSettings
from workflows.serving.naming import Resolve, registered, run_resolver
from workflows.serving.neighbours import Neighbourhoods, embed
from workflows.serving.predictor_cache import PredictorCache
from workflows.serving.scores import best_scores, review_of
from workflows.serving.switching import LOOK_SECONDS, Names
from workflows.store.recent import RecentAnswers
from workflows.store.store import Store
from workflows.throttle import Throttle

Photo = tuple[str, Callable[[], bytes]]
"""A name for the result, and a function that returns the bytes (called in a thread)."""


class Service:
    """Serves the models of one store. Create it inside a running event loop."""

    def __init__(self, store: Store, settings: ServerSettings, resolve: Resolve | None = None) -> None:
        """Prepare to serve.

        Args:
            store: with the models.
            settings: access and limits.
            resolve: turns a name into a run's id; default: models, and runs by id, beginning or `latest`.
        """
        self.store, self.settings, self.limits = store, settings, settings.limits
        self.batcher = Batcher(self.limits, _share_cores)
        self.predictors = PredictorCache(store, self.limits, settings.device)
        self._names = Names(resolve or run_resolver(store), self.predictors.load)
        self._thresholds = _Thresholds(store)
        self._recent = RecentAnswers(store.home)
        self._decoders = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
        self._neighbourhoods = Neighbourhoods(store, self.batcher, self.predictors, self._decoders)

    async def card(self, name: str | None) -> ModelCard:
        """Return the card of the requested model.

        Raises:
            RunError: no such model, or this server serves only another one.
        """
        return await self._in_thread(self._find, name)

    async def _judged_card(self, name: str | None) -> tuple[ModelCard, ReviewThreshold]:
        """Return the card of the requested model, and its review threshold. Raises RunError as `card` does."""

        def find() -> tuple[ModelCard, ReviewThreshold]:
            card = self._find(name)
            return card, self._thresholds.of(card.run_id)

        found: tuple[ModelCard, ReviewThreshold] = await self._in_thread(find)
        return found

    def _find(self, name: str | None) -> ModelCard:
        served = self.settings.run
        run_id = self._names.run_of(name or served)
        if self.settings.pinned and name not in (None, "", served) and run_id != self._names.run_of(served):
            raise RunError(f"This server does not serve {name!r}.", "Leave out `run` to use the model that it serves.")
        return self.predictors.card(run_id)

    async def predict(self, name: str | None, photos: Sequence[Photo], top: int) -> PredictAnswer:
        """Predict photos; one that can't be read has its error in its place.

        Raises:
            RunError: no such model.
            Busy: too many photos are waiting.
        """
        card, threshold = await self._judged_card(name)
        with self.batcher.admit(len(photos)):
            decoded = await asyncio.gather(*(self._square(card, read) for _, read in photos))
            squares = [item for item in decoded if isinstance(item, np.ndarray)]
            rows = iter(await self._probabilities(card, np.stack(squares)) if squares else ())
        results = []
        for (file, _), item in zip(photos, decoded, strict=True):
            if isinstance(item, FieldguideError):
                results.append(FilePrediction(file=file, error=item.message, hint=item.hint))
                continue
            scores = best_scores(next(rows), card, top)
            best = scores[0]
            to_review = threshold.to_review(best.confidence)
            results.append(
                FilePrediction(file=file, label=best.label, confidence=best.confidence, to_review=to_review, top=scores)
            )
        await self._in_thread(self._remember, card.run_id, results)
        return PredictAnswer(run_id=card.run_id, review=review_of(threshold), results=results)

    def _remember(self, run_id: str, results: Sequence[FilePrediction]) -> None:
        """Record classes and confidences, by which drift is detected."""
        known = [(one.label, one.confidence) for one in results if one.label is not None and one.confidence is not None]
        with suppress(StorageError):  # a full disk must not prevent a response
            self._recent.add(run_id, known)

    async def explain(self, name: str | None, photo: Photo, wanted: Wanted) -> ExplainAnswer:
        """Explain the prediction for one photo.

        Raises:
            ImageError: it can't be read.
            RunError, UsageError: no such model, method, class or layer.
        """
        card, threshold = await self._judged_card(name)
        wanted.check(card, self.limits.maps)
        with self.batcher.admit(1):
            square = await self._sound_square(card, photo)
            return await self.batcher.run(
                lambda: explain_square(self.predictors.predictor(card), square, wanted, threshold)
            )

    async def nearest(self, name: str | None, photo: Photo, count: int, patience: float = 2.0) -> NearestAnswer:
        """Return the training images most similar to a photo, or the progress of their embeddings.

        Args:
            name: the model.
            photo: the photo; a training image with the same content is left out.
            count: number of neighbours.
            patience: seconds to wait for the embeddings, which take a while the first time.
        """
        card = await self.card(name)
        with self.batcher.admit(1):
            square = await self._sound_square(card, photo)
            vector = (await self.batcher.run(lambda: embed(self.predictors.predictor(card), np.stack([square]))))[0]
        return await self._neighbourhoods.nearest(card, vector, photo[0], count, patience)

    async def models(self) -> ModelsAnswer:
        """Return all classifiers of the store (of a pinned server: its own), newest first."""
        return await self._in_thread(self._list)

    def _list(self) -> ModelsAnswer:
        loaded = set(self.predictors.run_ids)
        try:
            default: str | None = self._names.run_of(self.settings.run)
        except (RunError, ModelError):
            default = None
        names, champions = registered(self.store)
        found = []
        for run in self.store.runs.list():
            if not self.store.run_folder(run.run_id).model.card.exists():
                continue
            if self.settings.pinned and run.run_id != default:
                continue
            card = self.predictors.card(run.run_id)
            found.append(
                ModelSummary(
                    **_chosen(card, "run_id", "dataset", "version", "image_size", "size"),
                    created_at=run.created_at.isoformat(),
                    classes=len(card.classes),
                    loaded=run.run_id in loaded,
                    names=names.get(run.run_id, []),
                    champion_of=champions.get(run.run_id, []),
                )
            )
        return ModelsAnswer(default=default, models=found)

    async def model(self, name: str | None) -> ModelDetail:
        """Return the details of one classifier. Raises RunError if there is none."""
        card, threshold = await self._judged_card(name)
        plain = _chosen(card, "run_id", "dataset", "version", "family", "size", "image_size", "square", "step")
        return ModelDetail(
            **plain,
            temperature=card.calibration.temperature,
            classes=list(card.classes),
            review=review_of(threshold),
            layers=layers_of(card),
            methods=list(METHODS),
        )

    def stored(self, sha256: str) -> Photo:
        """Return an image of the store as a photo. Raises UsageError if there is none with this SHA-256."""
        path = self.store.blobs.path(sha256)
        if not path.is_file():
            raise UsageError(f"The store has no image {sha256[:12]}….", "It may have been removed in the meantime.")
        return sha256, path.read_bytes

    def close(self) -> None:
        """End all threads."""
        self._neighbourhoods.close()
        self.batcher.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _probabilities(self, card: ModelCard, squares: np.ndarray) -> np.ndarray:
        key = (card.run_id, card.weights_sha256)
        return await self.batcher.ask(key, squares, lambda batch: self.predictors.predictor(card).probabilities(batch))

    async def _sound_square(self, card: ModelCard, photo: Photo) -> np.ndarray:
        square = await self._square(card, photo[1])
        if isinstance(square, FieldguideError):
            raise square
        return square

    async def _square(self, card: ModelCard, read: Callable[[], bytes]) -> np.ndarray | FieldguideError:
        return await asyncio.get_running_loop().run_in_executor(
            self._decoders, partial(_decode, card, read, self.limits.file_bytes)
        )

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


class _Thresholds:
    """The review thresholds of runs, read again at most once a second. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[Throttle, ReviewThreshold]] = {}

    def of(self, run_id: str) -> ReviewThreshold:
        """Return the threshold of a run. Raises StorageError if it can't be read and never was."""
        looks, known = self._known.get(run_id, (Throttle(LOOK_SECONDS), None))
        if not looks.take() and known is not None:
            return known
        try:
            known = threshold_of(self._store, run_id)
        except StorageError:  # a busy database must not stop a model that is loaded
            if known is None:
                raise
        self._known[run_id] = looks, known
        return known


def _share_cores() -> None:
    """Leave half of the cores to decoders and other processes (a training, for example).

    PyTorch uses all of them, and then each layer waits for the slowest: with a load of 3 on 2 cores a batch of 4
    photos took up to 800 ms with two threads and 6 ms with one (YOLOv8n-cls, 128 pixels).
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))


def _decode(card: ModelCard, read: Callable[[], bytes], most: int) -> np.ndarray | FieldguideError:
    try:
        content = read()
        if len(content) > most:
            raise ImageError(f"The file is larger than {most // MEGABYTE} MB.", "Send a smaller copy of it.")
        return card.transform.read(content)
    except FieldguideError as error:
        return error
    except OSError as error:
        return ImageError(error.strerror or str(error))


def _chosen(card: ModelCard, *names: str) -> dict[str, Any]:
    return {name: getattr(card, name) for name in names}
