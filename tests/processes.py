"""Runs Fieldguide as a person does: another process, its own state folder, nothing inherited from the tests.

`installed_fieldguide` starts the installed command. `fieldguide` forks the same command line off a process that has
its libraries loaded already, which saves seconds each time; what a verb does with its process is the same.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext
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


def installed_fieldguide(
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


def fieldguide(home: Path, *arguments: object, timeout: float = 240, **extra: str) -> Finished:
    """Run `fieldguide ARGUMENTS` to its end in a process forked for it."""
    with tempfile.TemporaryDirectory() as place:
        voices = (Path(place) / "stdout", Path(place) / "stderr")
        process = forking().Process(
            target=_be_fieldguide, args=([*map(str, arguments)], environment(home, **extra), home.parent, voices)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"fieldguide {arguments} still ran after {timeout:g} s: {voices[1].read_text()}")
        stdout, stderr = (voice.read_text(encoding="utf-8") for voice in voices)
        return Finished(process.exitcode, stdout, stderr)


@cache
def forking() -> ForkServerContext:
    """Return what forks processes in which the libraries of the command line are loaded; Prefect reads its home then."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["app.cli", "workflows.inference.evaluate", "workflows.data.importing"])
    return context


def _be_fieldguide(arguments: list[str], environ: Mapping[str, str], cwd: Path, voices: tuple[Path, Path]) -> None:
    """Become the command in this process: its environment, folder, output and arguments."""
    from app import cli
    from workflows.environment import prepare

    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(cwd)
    for descriptor, voice in enumerate(voices, start=1):
        os.dup2(os.open(voice, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = [str(FIELDGUIDE), *arguments]
    prepare()
    try:
        cli.main()
    finally:
        atexit._run_exitfuncs()  # as at the end of any process; one of multiprocessing ends without
