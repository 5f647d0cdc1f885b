"""The recommender at work on a store: facts of a stored version, this machine, its earlier runs."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from workflows.graph.workflow import Goal, Workflow
from workflows.progress import Progress, silent
from workflows.recommend.estimate import Measurement, Speed, estimate, measured_speed, probed_speed
from workflows.recommend.facts import dataset_facts, pixel_reader
from workflows.recommend.hardware import Hardware, detect_hardware, training_rate
from workflows.recommend.probes import keep_probe, kept_probe
from workflows.recommend.rules import recommend

if TYPE_CHECKING:
    from workflows.data.version import DatasetVersion
    from workflows.store.runs import RunRecord
    from workflows.store.store import Store


def recommend_for(
    store: Store,
    version: DatasetVersion,
    goal: Goal,
    *,
    image_size: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    weights: str = "auto",
    device: str = "auto",
    minutes: float | None = None,
    progress: Progress = silent,
) -> Workflow:
    """Recommend a workflow for a stored version on this machine; see `rules.recommend` for the arguments.

    `progress` is told what takes long, as stage `workflow`.

    Raises:
        DatasetError: the version has no training images or a single class.
        DeviceError: `device` is not there.
        UsageError, WorkflowError: a wish is out of range.
    """
    progress("workflow", 0, 1, "looking at this machine")
    hardware = detect_hardware(device)
    return recommend(
        dataset_facts(version, pixel_reader(store)),
        goal,
        hardware,
        image_size=image_size,
        epochs=epochs,
        seed=seed,
        weights=weights,
        minutes=minutes,
        speed=device_speed(store, hardware, progress),
    )


def with_estimate(store: Store, version: DatasetVersion, workflow: Workflow) -> Workflow:
    """Return `workflow` with an estimate of what it costs on a stored version and the device that it names.

    For workflows that a person wrote or changed; a recommended one has its estimate already.

    Raises:
        DatasetError: the version has no training images or a single class.
        DeviceError: the workflow's device is not there.
    """
    hardware = detect_hardware(workflow.training.device)
    facts = dataset_facts(version)
    if workflow.split.train_on == "train+val":
        facts = replace(facts, train_images=facts.train_images + facts.val_images, val_images=0)
    cost = estimate(facts, workflow, hardware, device_speed(store, hardware))
    return workflow.model_copy(update={"estimate": cost})


def device_speed(store: Store, hardware: Hardware, progress: Progress = silent) -> Speed:
    """Return the training speed of a device: known, or else measured for a second, which is kept."""
    if known := known_speed(store, hardware):
        return known
    progress("workflow", 0, 1, "measuring how fast this machine learns; on a busy machine this can take a minute")
    speed = probed_speed(training_rate(hardware), hardware)
    keep_probe(store, hardware, speed)
    progress("workflow", 1, 1, "measured how fast this machine learns")
    return speed


def known_speed(store: Store, hardware: Hardware) -> Speed | None:
    """Return the training speed of a device by its finished runs, or as it was once measured; None if neither."""
    return measured_speed(measurements(store.runs.list(), hardware), hardware.kind) or kept_probe(store, hardware)


def measurements(runs: Iterable[RunRecord], hardware: Hardware) -> list[Measurement]:
    """Collect the speeds of runs that finished on `hardware` of this host, oldest first.

    Args:
        runs: newest first.
        hardware: the device.
    """
    found = [_measurement(run) for run in runs if _ran_on(run, hardware)]
    return [measurement for measurement in reversed(found) if measurement]


def _ran_on(run: RunRecord, hardware: Hardware) -> bool:
    return run.state == "finished" and run.host == socket.gethostname() and run.device == hardware.device


def _measurement(run: RunRecord) -> Measurement | None:
    """Read a run's model and speed from its documents; None where another release wrote them otherwise."""
    speed = (run.result or {}).get("images_per_second")
    if not isinstance(speed, int | float) or run.workflow is None:
        return None
    try:
        model = Workflow.model_validate(run.workflow).model
    except ValidationError:
        return None
    return Measurement(model.size, model.image_size, float(speed))
