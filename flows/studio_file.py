"""`HOME/studio.json`: addresses and states of the studio's parts, for its own processes only (mode 0600)."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.process_identity import ProcessIdentity
from workflows.errors import StorageError
from workflows.store.files import atomic_path, read_json

NAME = "studio.json"


@dataclass
class Part:
    """One supervised process."""

    name: str
    state: str = "starting"
    """`starting`, `running`, `restarting` (it died and will be restarted) or `stopped`; no `State`, because a service
    is not meant to come to an end."""
    pid: int | None = None
    restarts: int = 0
    died_at: str = ""
    """When it died last, ISO 8601, UTC; empty if never."""
    exit_code: int | None = None
    """How it died last; negative: by this signal."""
    log: str = ""


@dataclass
class StudioFile:
    """What the supervisor publishes to the studio's processes."""

    process: str
    """The supervisor's identity."""
    url: str
    prefect_url: str
    prefect_auth: str
    inference_url: str
    inference_token: str
    started_at: str
    parts: dict[str, Part] = field(default_factory=dict)

    def is_alive(self) -> bool:
        """Return whether that studio is still up."""
        return ProcessIdentity.parse(self.process).is_alive()

    def write(self, home: Path) -> None:
        """Write the file, readable only for the user who runs the studio. Raises StorageError."""
        with atomic_path(home / NAME) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=2)


def read_studio(home: Path) -> StudioFile | None:
    """Return the running studio of `home`, None if there is none."""
    try:
        fields: dict[str, Any] = read_json(home / NAME)
        parts = {name: Part(**part) for name, part in fields.pop("parts").items()}
        found = StudioFile(**fields, parts=parts)
        return found if found.is_alive() else None
    except (StorageError, TypeError, KeyError, ValueError, AttributeError):
        return None  # never started, or by another version


def moment(text: str) -> datetime | None:
    """Parse a time of the file."""
    return datetime.fromisoformat(text) if text else None
