"""Runs Fieldguide as a person does: another process, its own state folder, nothing inherited from the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIELDGUIDE = Path(sys.executable).with_name("fieldguide")
ROOT = Path(__file__).parents[1]
FOREIGN = ("PREFECT_HOME", "PREFECT_API_URL", "YOLO_CONFIG_DIR", "FIELDGUIDE_WEIGHTS", "FIELDGUIDE_DATABASE_URL")


@dataclass(frozen=True)
class Finished:
    """What a command left."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; fails if there is anything else."""
        return json.loads(self.stdout)


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Return the environment of a person whose state lies in `home`."""
    return {**{k: v for k, v in os.environ.items() if k not in FOREIGN}, "FIELDGUIDE_HOME": str(home), **extra}


def fieldguide(
    home: Path, *arguments: object, timeout: float = 240, wrap: tuple[str, ...] = (), **extra: str
) -> Finished:
    """Run `fieldguide ARGUMENTS` to its end. `wrap` is put before it (a network jail, say), `extra` into its environment."""
    done = subprocess.run(
        [*wrap, str(FIELDGUIDE), *map(str, arguments)],
        env=environment(home, **extra),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
