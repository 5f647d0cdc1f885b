"""The command line explains itself: every verb, every option, with examples that parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main

from app.cli import app
from tests.processes import fieldguide, installed_fieldguide

ROOT_COMMAND = typer.main.get_command(app)
PROMISED = (
    "dataset add",
    "dataset list",
    "dataset show",
    "dataset export",
    "dataset labels",
    "dataset history",
    "dataset diff",
    "dataset undo",
    "dataset redo",
    "dataset restore",
    "dataset relabel",
    "dataset remove",
    "dataset move",
    "dataset rename-class",
    "dataset merge-classes",
    "dataset resplit",
    "dataset delete",
    "dataset suspects",
    "workflow recommend",
    "workflow show",
    "workflow check",
    "train",
    "runs list",
    "runs show",
    "runs compare",
    "runs resume",
    "runs cancel",
    "evaluate",
    "explain",
    "predict",
    "doctor",
    "demo",
    "dataset audit",
    "dataset fix",
    "dataset fetch",
    "up",
    "serve",
    "models list",
    "models show",
    "models register",
    "models promote",
    "models rollback",
    "models export",
    "models retrain",
    "models threshold",
    "runs delete",
    "schedule add",
    "schedule edit",
    "schedule list",
    "schedule run-now",
    "watch add",
    "alerts add",
    "tune",
    *(f"{group} {verb}" for group in ("runs", "dataset") for verb in ("rename", "note", "tag", "star")),
)


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb with its full name."""
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from walk(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


VERBS = dict(walk(ROOT_COMMAND))


def examples(epilog: str) -> list[str]:
    return [line.strip() for line in epilog.splitlines() if line.strip().startswith("fieldguide ")]


def test_all_promised_verbs_are_there() -> None:
    assert set(PROMISED) <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_what_it_does_with_an_example_that_parses(verb: str) -> None:
    command = VERBS[verb]
    assert command.help and command.help.splitlines()[0].endswith((".", "?"))
    found = examples(command.epilog or "")
    assert found, f"{verb} has no example"
    for line in found:
        arguments = shlex.split(line)[1:]
        assert arguments[: len(verb.split())] == verb.split()
        command.make_context(verb, arguments[len(verb.split()) :])  # raises on unknown options or wrong values


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained_and_json_is_one_of_them(verb: str) -> None:
    parameters = {parameter.name: parameter for parameter in VERBS[verb].params}
    assert "as_json" in parameters
    silent = [name for name, parameter in parameters.items() if not getattr(parameter, "help", None)]
    assert not [name for name in silent if name != "help"]


def test_the_version_is_the_installed_one(tmp_path: Path) -> None:
    assert installed_fieldguide(tmp_path / "home", "--version").stdout.strip() == f"fieldguide {version('fieldguide')}"


@pytest.mark.parametrize("arguments", [(), ("bogus",), ("train",), ("runs", "list", "--bogus"), ("predict", "latest")])
def test_bad_usage_has_exit_code_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert fieldguide(tmp_path / "home", *arguments).code == 2


def test_the_readme_shows_only_commands_that_parse() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    lines = [
        line.split("#")[0].strip()
        for block in re.findall(r"```(?:sh|bash)\n(.*?)```", readme, flags=re.S)
        for line in block.splitlines()
    ]
    commands = [line for line in lines if line.startswith("fieldguide ")]
    assert commands
    for line in commands:
        arguments = shlex.split(line)[1:]
        verb = next(
            name for name in sorted(VERBS, key=len, reverse=True) if arguments[: len(name.split())] == name.split()
        )
        VERBS[verb].make_context(verb, arguments[len(verb.split()) :])


def test_the_readme_names_only_targets_that_exist() -> None:
    root = Path(__file__).parents[2]
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"`?make ([a-z-]+)", (root / "README.md").read_text(encoding="utf-8")))
    assert named and named <= targets
