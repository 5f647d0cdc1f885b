"""The recommender applied to a store: facts of a stored version, this machine, its earlier runs."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from workflows.goals import Goal
from workflows.graph.workflow import Workflow
from workflows.progress import Progress, silent
from workflows.recommend.estimate import Measurement, Speed, estimate, measured_speed, probed_speed
from workflows.recommend.facts import dataset_facts, pixel_reader
from workflows.recommend.hardware import Hardware, detect_hardware, training_rate
from workflows.recommend.probes import store_probe, stored_probe
from workflows.recommend.rules import recommend
from workflows.state import State

if TYPE_CHECKING:
    from workflows.data.version import DatasetVersion
    from workflows.store.run_record import RunRecord
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

    `progress` is called with stage `workflow` during long operations.

    Raises:
        DatasetError: the version has no training images or a single class.
        DeviceError: `device` does not exist.
        UsageError, WorkflowError: a requested value is out of range.
    """
    progress("workflow", 0, 1, "checking this machine")
    hardware = detect_hardware(device)
    return recommend(
        dataset_facts(version, pixel_reader(store, version.rendering())),
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
    """Return `workflow` with an estimate of its cost on a stored version and its device.

    For workflows written or changed by hand; a recommended one already has an estimate.

    Raises:
        DatasetError: the version has no training images or a single class.
        DeviceError: the workflow's device does not exist.
    """
    hardware = detect_hardware(workflow.training.device)
    facts = dataset_facts(version)
    if workflow.split.train_on == "train+val":
        facts = replace(facts, train_images=facts.train_images + facts.val_images, val_images=0)
    cost = estimate(facts, workflow, hardware, device_speed(store, hardware))
    return workflow.model_copy(update={"estimate": cost})


def device_speed(store: Store, hardware: Hardware, progress: Progress = silent) -> Speed:
    """Return the training speed of a device: known, or else measured for a second and stored."""
    if known := known_speed(store, hardware):
        return known
    progress("workflow", 0, 1, "measuring the training speed of this machine; on a busy machine this can take a minute")
    speed = probed_speed(training_rate(hardware), hardware)
    store_probe(store, hardware, speed)
    progress("workflow", 1, 1, "measured the training speed of this machine")
    return speed


def known_speed(store: Store, hardware: Hardware) -> Speed | None:
    """Return the training speed of a device from its finished runs, or from an earlier measurement; None if neither."""
    return measured_speed(measurements(store.runs.list(), hardware), hardware.kind) or stored_probe(store, hardware)


def measurements(runs: Iterable[RunRecord], hardware: Hardware) -> list[Measurement]:
    """Collect the speeds of runs that finished on `hardware` of this host, oldest first.

    Args:
        runs: newest first.
        hardware: the device.
    """
    found = [_measurement(run) for run in runs if _ran_on(run, hardware)]
    return [measurement for measurement in reversed(found) if measurement]


def _ran_on(run: RunRecord, hardware: Hardware) -> bool:
    return run.state == State.FINISHED and run.host == socket.gethostname() and run.device == hardware.device


def _measurement(run: RunRecord) -> Measurement | None:
    """Read a run's model and speed from its documents; None if another release wrote them in another form."""
    speed = run.result.images_per_second if run.result else None
    if speed is None or run.workflow is None:
        return None
    try:
        model = Workflow.model_validate(run.workflow).model
    except ValidationError:
        return None
    return Measurement(model.size, model.image_size, speed, model.family)
