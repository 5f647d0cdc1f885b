"""The cache of loaded classifiers.

Not a cachetools.LRUCache, which limits either a count or a size, and rejects a single item that is larger.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from workflows.inference.model import ModelCard, load_card
from workflows.inference.predictor import Predictor
from workflows.serving.limits import Limits
from workflows.store.store import Store


class PredictorCache:
    """Evicts the least recently used classifier when there are too many. Thread-safe."""

    def __init__(self, store: Store, limits: Limits, device: str) -> None:
        self._store, self._limits, self._device = store, limits, device
        self._loaded: OrderedDict[str, Predictor] = OrderedDict()
        self._lock = threading.Lock()

    def card(self, run_id: str) -> ModelCard:
        """Return the card of a run's classifier, without loading it. Raises RunError if it has none."""
        return load_card(self._store.run_folder(run_id).model)

    def predictor(self, card: ModelCard) -> Predictor:
        """Return the loaded classifier of a card; a run that was resumed meanwhile is loaded again."""
        with self._lock:
            known = self._loaded.get(card.run_id)
        if known is None or known.card.weights_sha256 != card.weights_sha256:
            known = Predictor.load(self._store, card.run_id, self._device)  # unlocked: others continue meanwhile
        with self._lock:
            self._loaded[card.run_id] = known
            self._loaded.move_to_end(card.run_id)
            while len(self._loaded) > 1 and self._too_much():
                self._loaded.popitem(last=False)
        return known

    def load(self, run_id: str) -> None:
        """Load a run's classifier. Raises FieldguideError if that fails."""
        self.predictor(self.card(run_id))

    @property
    def run_ids(self) -> list[str]:
        """The runs whose classifiers are loaded, the least recently used first."""
        with self._lock:
            return list(self._loaded)

    def _too_much(self) -> bool:
        total = sum(_bytes(predictor) for predictor in self._loaded.values())
        return len(self._loaded) > self._limits.models or total > self._limits.model_bytes


def _bytes(predictor: Predictor) -> int:
    return sum(weights.numel() * weights.element_size() for weights in predictor.model.parameters())
