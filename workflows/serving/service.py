"""What the inference server does, without the web: photos in, answers out.

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

from workflows.data.images import read_rgb
from workflows.errors import FieldguideError, ImageError, ModelError, RunError, StorageError, UsageError
from workflows.explanation.heatmaps import METHODS
from workflows.inference.model import CARD_FILE, ModelCard
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
from workflows.serving.limits import MEGABYTE, Settings
from workflows.serving.naming import Resolve, registered, run_resolver
from workflows.serving.neighbours import Neighbourhoods, embed
from workflows.serving.scores import best_scores
from workflows.serving.shelf import Shelf
from workflows.serving.switching import Names
from workflows.store.recent import RecentAnswers
from workflows.store.store import Store

Photo = tuple[str, Callable[[], bytes]]
"""A name to give the answer under, and how to get the bytes (called in a thread)."""


class Service:
    """The models of one store, ready to be asked. Make it inside a running event loop."""

    def __init__(self, store: Store, settings: Settings, resolve: Resolve | None = None) -> None:
        """Prepare to serve.

        Args:
            store: where everything is kept.
            settings: for whom, and how much at once.
            resolve: turns a name into a run's id; default: models, and runs by id, beginning or `latest`.
        """
        self.store, self.settings, self.limits = store, settings, settings.limits
        self.batcher = Batcher(self.limits, _share_cores)
        self.shelf = Shelf(store, self.limits, settings.device)
        self._names = Names(resolve or run_resolver(store), self.shelf.load)
        self._recent = RecentAnswers(store.home)
        self._decoders = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
        self._neighbourhoods = Neighbourhoods(store, self.batcher, self.shelf, self._decoders)

    async def card(self, name: str | None) -> ModelCard:
        """Return the card of the model that a request names.

        Raises:
            RunError: there is no such model, or this server is for another one alone.
        """
        return await self._in_thread(self._find, name)

    def _find(self, name: str | None) -> ModelCard:
        served = self.settings.run
        run_id = self._names.run_of(name or served)
        if self.settings.pinned and name not in (None, "", served) and run_id != self._names.run_of(served):
            raise RunError(f"This server does not serve {name!r}.", "Leave `run` out to ask the model that it serves.")
        return self.shelf.card(run_id)

    async def predict(self, name: str | None, photos: Sequence[Photo], top: int) -> PredictAnswer:
        """Predict photos; one that can't be read has its error in its place.

        Raises:
            RunError: no such model.
            Busy: too much is waiting.
        """
        card = await self.card(name)
        with self.batcher.admit(len(photos)):
            decoded = await asyncio.gather(*(self._square(card, read) for _, read in photos))
            squares = [item for item in decoded if isinstance(item, np.ndarray)]
            rows = iter(await self._probabilities(card, np.stack(squares)) if squares else ())
        results = []
        for (file, _), item in zip(photos, decoded, strict=True):
            if isinstance(item, FieldguideError):
                results.append(FilePrediction(file=file, error=item.message, hint=item.hint))
                continue
            scores = best_scores(next(rows), card.classes, top)
            best = scores[0]
            results.append(FilePrediction(file=file, label=best.label, confidence=best.confidence, top=scores))
        await self._in_thread(self._remember, card.run_id, results)
        return PredictAnswer(run_id=card.run_id, results=results)

    def _remember(self, run_id: str, results: Sequence[FilePrediction]) -> None:
        """Keep classes and confidences, by which a drift of the photos is noticed."""
        known = [(one.label, one.confidence) for one in results if one.label is not None and one.confidence is not None]
        with suppress(StorageError):  # a full disk must not cost an answer
            self._recent.add(run_id, known)

    async def explain(self, name: str | None, photo: Photo, wanted: Wanted) -> ExplainAnswer:
        """Explain the answer for one photo.

        Raises:
            ImageError: it can't be read.
            RunError, UsageError: no such model, method, class or layer.
        """
        card = await self.card(name)
        wanted.check(card, self.limits.maps)
        with self.batcher.admit(1):
            square = await self._sound_square(card, photo)
            return await self.batcher.run(lambda: explain_square(self.shelf.predictor(card), square, wanted))

    async def nearest(self, name: str | None, photo: Photo, count: int, patience: float = 2.0) -> NearestAnswer:
        """Return the training images that the network finds most like a photo, or how far their embeddings are.

        Args:
            name: the model.
            photo: the photo; a training image with the same content is left out.
            count: how many.
            patience: seconds to wait for the embeddings, which take a while the first time.
        """
        card = await self.card(name)
        with self.batcher.admit(1):
            square = await self._sound_square(card, photo)
            vector = (await self.batcher.run(lambda: embed(self.shelf.predictor(card), np.stack([square]))))[0]
        return await self._neighbourhoods.nearest(card, vector, photo[0], count, patience)

    async def models(self) -> ModelsAnswer:
        """Return all classifiers of the store (of a pinned server: its own), newest first."""
        return await self._in_thread(self._list)

    def _list(self) -> ModelsAnswer:
        loaded = set(self.shelf.run_ids)
        try:
            default: str | None = self._names.run_of(self.settings.run)
        except (RunError, ModelError):
            default = None
        names, champions = registered(self.store)
        found = []
        for run in self.store.runs.list():
            if not (self.store.run_folder(run.run_id) / "model" / CARD_FILE).exists():
                continue
            if self.settings.pinned and run.run_id != default:
                continue
            card = self.shelf.card(run.run_id)
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
        """Return what one classifier can be asked. Raises RunError if there is none."""
        card = await self.card(name)
        plain = _chosen(card, "run_id", "dataset", "version", "family", "size", "image_size", "square", "step")
        return ModelDetail(**plain, classes=list(card.classes), layers=layers_of(card), methods=list(METHODS))

    def stored(self, sha256: str) -> Photo:
        """Return an image of the store as a photo. Raises UsageError if there is none with this SHA-256."""
        path = self.store.blobs.path(sha256)
        if not path.is_file():
            raise UsageError(f"There is no image {sha256[:12]}… in the store.", "It may have been removed meanwhile.")
        return sha256, path.read_bytes

    def close(self) -> None:
        """End all threads."""
        self._neighbourhoods.close()
        self.batcher.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _probabilities(self, card: ModelCard, squares: np.ndarray) -> np.ndarray:
        key = (card.run_id, card.weights_sha256)
        return await self.batcher.ask(key, squares, lambda batch: self.shelf.predictor(card).probabilities(batch))

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


def _share_cores() -> None:
    """Leave half of the cores to decoders and to whatever else runs beside us (a training, say).

    PyTorch takes all of them, and then each layer waits for the slowest: with a load of 3 on 2 cores a batch of 4
    photos took up to 800 ms with two threads and 6 ms with one (YOLOv8n-cls, 128 pixels).
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))


def _decode(card: ModelCard, read: Callable[[], bytes], most: int) -> np.ndarray | FieldguideError:
    try:
        content = read()
        if len(content) > most:
            raise ImageError(f"The file is larger than {most // MEGABYTE} MB.", "Send a smaller copy of it.")
        return card.transform(read_rgb(content))
    except FieldguideError as error:
        return error
    except OSError as error:
        return ImageError(error.strerror or str(error))


def _chosen(card: ModelCard, *names: str) -> dict[str, Any]:
    return {name: getattr(card, name) for name in names}
