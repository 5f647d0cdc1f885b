"""The training images most similar to a photo, by the network's embedding.

The embedding is the input of the classifier's last layer, scaled to length 1. Those of a run's training images are
computed at the first request, in small batches between other requests, and stored in the run's folder.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
import pandas as pd

from workflows.errors import RunError
from workflows.inference.model import ModelCard
from workflows.inference.predictor import Predictor
from workflows.serving.answers import NearestAnswer, Neighbour
from workflows.serving.batching import Batcher
from workflows.serving.predictor_cache import PredictorCache
from workflows.store.files import read_json, read_table, storage_errors, write_json, write_table
from workflows.store.run_folder import EmbeddingsFolder
from workflows.store.store import Store
from workflows.training.network import embeddings_of

CHUNK = 32
"""Images per batch, between which other requests are served."""
SCAN = 8192
"""Vectors compared at a time: 40 MB in 32 bits."""


def embed(predictor: Predictor, squares: np.ndarray) -> np.ndarray:
    """Return the embeddings (float32 [n, features], length 1) of network inputs (uint8 [n, side, side, 3])."""
    vectors = embeddings_of(predictor.model, squares, predictor.device, CHUNK).numpy()
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class Neighbourhoods:
    """The embeddings of all requested runs."""

    def __init__(self, store: Store, batcher: Batcher, predictors: PredictorCache, decoders: Executor) -> None:
        self._store, self._batcher, self._predictors, self._decoders = store, batcher, predictors, decoders
        self._building: dict[str, _Building] = {}

    async def nearest(
        self, card: ModelCard, vector: np.ndarray, sha256: str, count: int, patience: float
    ) -> NearestAnswer:
        """Return the `count` nearest training images of `vector`, or the state of the embeddings after `patience` s."""
        folder = self._store.run_folder(card.run_id).embeddings
        if not _whole(folder, card):
            building = self._building.get(card.run_id) or self._begin(card, folder)
            await asyncio.wait([building.task], timeout=patience)
            if not building.task.done():
                return NearestAnswer(
                    run_id=card.run_id, state="building", done=building.done, total=building.total, images=[]
                )
            self._building.pop(card.run_id, None)
            building.task.result()  # an error is raised for the request that waited for it
        loop = asyncio.get_running_loop()
        images = await loop.run_in_executor(None, _nearest, folder, vector.astype(np.float32), sha256, count)
        total = len(images)
        return NearestAnswer(run_id=card.run_id, state="ready", done=total, total=total, images=images)

    def close(self) -> None:
        """Stop building."""
        for building in self._building.values():
            building.task.cancel()

    def _begin(self, card: ModelCard, folder: EmbeddingsFolder) -> _Building:
        building = _Building()
        building.task = asyncio.ensure_future(self._build(card, folder, building))
        self._building[card.run_id] = building
        return building

    async def _build(self, card: ModelCard, folder: EmbeddingsFolder, building: _Building) -> None:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(None, _training_rows, self._store, card)
        building.total = len(rows)
        parts = []
        for start in range(0, len(rows), CHUNK):
            hashes = rows["sha256"].iloc[start : start + CHUNK].tolist()
            squares = await asyncio.gather(
                *(loop.run_in_executor(self._decoders, self._square, card, sha256) for sha256 in hashes)
            )
            parts.append(await self._embed(card, np.stack(squares)))
            building.done = start + len(hashes)
        await loop.run_in_executor(None, _keep, folder, card, rows, np.concatenate(parts))

    async def _embed(self, card: ModelCard, squares: np.ndarray) -> np.ndarray:
        found = await self._batcher.run(lambda: embed(self._predictors.predictor(card), squares))
        return found.astype(np.float16)

    def _square(self, card: ModelCard, sha256: str) -> np.ndarray:
        return card.transform.read(self._store.blobs.path(sha256))


class _Building:
    """Embeddings being computed."""

    task: asyncio.Future[None]
    done = 0
    total = 0


def _whole(folder: EmbeddingsFolder, card: ModelCard) -> bool:
    if not folder.about.exists():
        return False
    return bool(read_json(folder.about)["weights_sha256"] == card.weights_sha256)


def _training_rows(store: Store, card: ModelCard) -> pd.DataFrame:
    records = read_table(store.run_folder(card.run_id).records)
    rows = records[records["split"] == "train"]
    if rows.empty:
        raise RunError(f"The records of run {card.run_id} contain no training images.")
    return rows[["image_id", "sha256", "path", "label"]].reset_index(drop=True)


def _keep(folder: EmbeddingsFolder, card: ModelCard, rows: pd.DataFrame, vectors: np.ndarray) -> None:
    """Write the embeddings; the file that marks them as complete comes last."""
    with storage_errors(folder.path):
        shutil.rmtree(folder.path, ignore_errors=True)  # those of earlier weights
        folder.path.mkdir(parents=True)
        np.save(folder.vectors, vectors)
    write_table(folder.rows, rows)
    write_json(folder.about, {"weights_sha256": card.weights_sha256, "images": len(rows)})


def _nearest(folder: EmbeddingsFolder, vector: np.ndarray, sha256: str, count: int) -> list[Neighbour]:
    rows, vectors = read_table(folder.rows), np.load(folder.vectors, mmap_mode="r")
    similarity = np.concatenate(
        [vectors[start : start + SCAN].astype(np.float32) @ vector for start in range(0, len(vectors), SCAN)]
    )
    others = np.flatnonzero((rows["sha256"] != sha256).to_numpy())
    best = others[np.argsort(-similarity[others], kind="stable")[:count]]
    return _neighbours(rows.iloc[best], similarity[best].tolist())


def _neighbours(rows: pd.DataFrame, similarities: Sequence[float]) -> list[Neighbour]:
    return [
        Neighbour(
            image_id=row.image_id,
            sha256=row.sha256,
            path=row.path,
            label=row.label,
            similarity=min(1.0, max(-1.0, similarity)),
        )
        for row, similarity in zip(rows.itertuples(index=False), similarities, strict=True)
    ]
