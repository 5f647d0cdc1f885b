"""Recommends workflows for a data set, one per goal. Runs in a process of its own, because it loads PyTorch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from flows.runner_devices import hardware_path
from workflows.errors import StorageError
from workflows.goals import GOALS
from workflows.progress import Progress
from workflows.recommend.hardware import Hardware, cpu_memory
from workflows.state import State
from workflows.store.files import read_json, to_plain, write_json
from workflows.store.run_list import count_runs
from workflows.store.store import Store


def recommend_workflows(store: Store, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Recommend a workflow for each goal on this machine's first device; write them to `path`.

    The document contains `hardware` and `speed`, which estimates of changed workflows need, and `workflows`, by goal.

    Raises:
        DatasetError: the data set has no training images or a single class.
        StorageError: the disk is full or not writable.
    """
    from workflows.data.catalog import get_version
    from workflows.recommend.advice import device_speed
    from workflows.recommend.facts import dataset_facts, pixel_reader
    from workflows.recommend.rules import recommend

    steps = 2 + len(GOALS)
    progress("recommend", 0, steps, "reading the photos")
    version = get_version(store, request["name"])
    facts = dataset_facts(version, pixel_reader(store, version.rendering()))
    progress("recommend", 1, steps, "measuring this machine's training speed")
    hardware = known_hardware(store)
    speed = device_speed(store, hardware)
    workflows = {}
    for number, goal in enumerate(GOALS, start=2):
        progress("recommend", number, steps, "choosing")
        workflows[goal] = recommend(facts, goal, hardware, speed=speed).model_dump(mode="json")
    document = {
        "release": release(),
        "finished": count_runs(store.database).get(State.FINISHED, 0),
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
    """Return the hardware found by the studio's runner, else probe it (which loads PyTorch)."""
    from workflows.recommend.hardware import detect_hardware

    return noted_hardware(store) or detect_hardware()


def noted_hardware(store: Store) -> Hardware | None:
    """Return the hardware found by the studio's runner, None if it is still probing."""
    try:
        known = hardware_from(read_json(hardware_path(store)))
    except (StorageError, TypeError, KeyError):
        return None
    return known if known.devices else dataclasses.replace(known, memory_bytes=cpu_memory())


def hardware_from(document: Mapping[str, Any]) -> Hardware:
    """Return the hardware that a document describes. Raises KeyError where something is missing."""
    values = {field.name: document[field.name] for field in dataclasses.fields(Hardware)}
    return Hardware(**{**values, "devices": tuple(values["devices"])})
