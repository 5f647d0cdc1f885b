"""What would be recommended for a data set: all goals at once. For a process of its own, because it loads PyTorch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from flows.runner_devices import hardware_path
from workflows.errors import StorageError
from workflows.graph.workflow import Goal
from workflows.progress import Progress
from workflows.recommend.hardware import Hardware, cpu_memory
from workflows.store.files import read_json, to_plain, write_json
from workflows.store.run_list import count_runs
from workflows.store.store import Store

GOALS: tuple[Goal, ...] = ("fast", "balanced", "accurate")


def advise(store: Store, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Recommend a workflow for each goal on this machine's first device; write that to the file `path` asks for.

    The document holds `hardware` and `speed`, which estimates of changed workflows need, and `workflows`, by goal.

    Raises:
        DatasetError: the data set has no training images or a single class.
        StorageError: the disk is full or refuses.
    """
    from workflows.data.catalog import get_version
    from workflows.recommend.advice import device_speed
    from workflows.recommend.facts import dataset_facts, pixel_reader
    from workflows.recommend.rules import recommend

    steps = 2 + len(GOALS)
    progress("advise", 0, steps, "looking at the photos")
    version = get_version(store, request["name"])
    facts = dataset_facts(version, pixel_reader(store))
    progress("advise", 1, steps, "measuring how fast this machine learns")
    hardware = known_hardware(store)
    speed = device_speed(store, hardware)
    workflows = {}
    for number, goal in enumerate(GOALS, start=2):
        progress("advise", number, steps, "choosing")
        workflows[goal] = recommend(facts, goal, hardware, speed=speed).model_dump(mode="json")
    document = {
        "release": release(),
        "finished": count_runs(store.database).get("finished", 0),
        "version": version.number,
        "hardware": to_plain(dataclasses.asdict(hardware)),
        "speed": list(speed),
        "workflows": workflows,
    }
    write_json(Path(request["path"]), document)
    return {"version": version.number}


def release() -> str:
    """Return the release whose rules recommend."""
    return metadata.version("fieldguide")


def known_hardware(store: Store) -> Hardware:
    """Return what the studio's runner found on this machine, else look (which loads PyTorch)."""
    from workflows.recommend.hardware import detect_hardware

    return noted_hardware(store) or detect_hardware()


def noted_hardware(store: Store) -> Hardware | None:
    """Return what the studio's runner found on this machine, None if it is still looking."""
    try:
        known = hardware_from(read_json(hardware_path(store)))
    except (StorageError, TypeError, KeyError):
        return None
    return known if known.devices else dataclasses.replace(known, memory_bytes=cpu_memory())


def hardware_from(document: Mapping[str, Any]) -> Hardware:
    """Return the hardware that a document describes. Raises KeyError where something is missing."""
    values = {field.name: document[field.name] for field in dataclasses.fields(Hardware)}
    return Hardware(**{**values, "devices": tuple(values["devices"])})
