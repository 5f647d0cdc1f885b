"""Models that the studio serves to people's own programs: starting and stopping, and how each stands."""

from __future__ import annotations

import httpx

from app.client.inference import ServerDown, document_of, error_of
from app.served import (
    Served,
    ServedState,
    read_served,
    served_states,
    start_serving,
    stop_serving,
    token_file,
)
from flows.runtime import LOOPBACK
from workflows.serving.answers import Health, PredictAnswer
from workflows.serving.listening import ANYWHERE, read_token
from workflows.store.store import Store

__all__ = ["Health", "PredictAnswer", "Served", "ServedState", "Serving"]

HEALTH_SECONDS = 1.0
PREDICT_SECONDS = 60.0


class Serving:
    """The served models of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def addresses(self) -> dict[str, str]:
        """Return where each served model answers. Raises StorageError if the record can't be read."""
        return {each.model: each.address for each in read_served(self._store.home)}

    def state(self, model: str) -> ServedState | None:
        """Return how a model stands that is to be served; None if it is not. Raises StorageError if the record can't be read."""
        return next((each for each in served_states(self._store.home) if each.served.model == model), None)

    def start(self, model: str, port: int | None = None, *, network: bool = False) -> Served:
        """Have a model served; see :func:`app.served.start_serving`.

        Args:
            model: its name.
            port: default the first free one.
            network: to other machines, too.

        Raises:
            ModelError, UsageError, ServingError, StorageError: as there.
        """
        return start_serving(self._store, model, port, ANYWHERE[0] if network else LOOPBACK[0])

    def stop(self, model: str) -> None:
        """End that, and revoke the token. Raises UsageError if it is not served."""
        stop_serving(self._store, model)

    def token(self, served: Served) -> str:
        """Return the token that requests must carry. Raises UsageError if its file is gone."""
        return read_token(token_file(self._store.home, served.model))

    def health(self, served: Served) -> Health | None:
        """Return what the server says of itself; None if it does not answer."""
        try:
            response = httpx.get(f"{served.address}/health", timeout=HEALTH_SECONDS, trust_env=False)
            return Health.model_validate(response.json())
        except (httpx.HTTPError, ValueError):
            return None

    def predict(self, served: Served, name: str, content: bytes) -> PredictAnswer:
        """Send a photo as a program would.

        Raises:
            ServerDown: the server does not answer.
            FieldguideError: it refuses, for example because the photo can't be read.
        """
        headers = {"Authorization": f"Bearer {self.token(served)}"}
        files = {"files": (name, content)}
        try:
            # no proxy from the environment: photos must not leave this machine
            response = httpx.post(
                f"{served.address}/predict", headers=headers, files=files, timeout=PREDICT_SECONDS, trust_env=False
            )
        except httpx.HTTPError as error:
            raise ServerDown(f"The server at {served.address} does not answer.", "Its log says why.") from error
        document = document_of(response)
        if response.status_code >= 400:
            raise error_of(response.status_code, document)
        return PredictAnswer.model_validate(document)
