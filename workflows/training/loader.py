"""Batches of augmented training photos, as a pure function of seed, epoch and batch number.

Nothing here keeps a random state between batches: a training that is resumed, or that runs with another
number of loader processes, sees exactly the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from workflows.data.pixels import Pixels
from workflows.training.augment import Augmenter
from workflows.training.randomness import derived_seed

BatchKey = tuple[int, ...]
"""(seed of the batch's augmentation, position of the first photo, of the second …)."""


@dataclass
class TrainingPhotos(Dataset):
    """The decoded training photos with their class numbers (`labels`: int64 [n], by position)."""

    pixels: Pixels
    labels: np.ndarray
    augmenter: Augmenter

    def __post_init__(self) -> None:
        rows = self.pixels.training_rows()
        self._shapes = rows[["height", "width"]].to_numpy(np.int64)
        self._offsets = rows["offset"].to_numpy(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def photo(self, position: int) -> np.ndarray:
        """Return one decoded photo, uint8 HWC, as a view of the memory-mapped file."""
        height, width = self._shapes[position]
        start = self._offsets[position]
        return self.pixels.training[start : start + height * width * 3].reshape(height, width, 3)

    def __getitems__(self, key: BatchKey) -> dict[str, torch.Tensor]:
        """Return one whole batch: `img` uint8 [n, side, side, 3], `cls` int64 [n], `position` int64 [n]."""
        seed, *positions = key
        squares = self.augmenter([self.photo(position) for position in positions], seed)
        chosen = torch.tensor(positions)
        return {"img": torch.from_numpy(squares), "cls": torch.from_numpy(self.labels)[chosen], "position": chosen}

    def __getitem__(self, position: int) -> dict[str, torch.Tensor]:
        return self.__getitems__((0, position))


class EpochBatches(Sampler[BatchKey]):
    """Which photos make up each batch of an epoch; one process's share of them under DDP."""

    def __init__(self, photos: int, batch: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        self.photos, self.batch, self.seed, self.rank, self.processes = photos, batch, seed, rank, processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (0-based) that the next pass draws."""
        self.epoch = epoch

    def _share(self) -> int:
        return -(-self.photos // self.processes)

    def __len__(self) -> int:
        share = self._share()
        # a last batch of a single photo has no variance to normalise by: it is left out
        return max(1, share // self.batch + (share % self.batch > 1))

    def __iter__(self) -> Iterator[BatchKey]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.photos)
        order = np.resize(order, self._share() * self.processes)[self.rank :: self.processes]
        for number in range(len(self)):
            seed = derived_seed(self.seed, self.epoch, number, self.rank)
            yield (seed, *order[number * self.batch : (number + 1) * self.batch].tolist())


def make_loader(dataset: TrainingPhotos, batches: EpochBatches, workers: int, pin: bool) -> DataLoader:
    """Return the loader of `batches`, with a number of worker processes, into pinned memory if requested."""
    return DataLoader(
        dataset,
        batch_sampler=batches,  # type: ignore[arg-type]  # its items are keys, not lists of positions
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=pin,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator(),  # else each pass would draw from the global generator
    )


def _as_it_is(batch: Any) -> Any:
    return batch
