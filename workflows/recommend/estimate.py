"""Estimated time and memory of a run, and the comparison with the actual time.

The time of a training step is modelled as ``overhead + compute``, where compute grows with the model's cost
and with the area of the input; all of it is expressed in the time that size n needs per image at 224 px on
the same device (a `Speed`). One measured run therefore gives the time of any other on that device.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from workflows.backbones.base import REFERENCE_SIZE
from workflows.backbones.registry import backbone_named
from workflows.backbones.yolov8 import YOLOV8
from workflows.graph.nodes import Estimate
from workflows.recommend.facts import Facts
from workflows.recommend.hardware import PROBE_PIXELS, Hardware

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

# Share of size n's time per image at 224 px that does not depend on model and resolution.
OVERHEAD = {"cpu": 0.10, "cuda": 0.50}

# Speeds of size n at 224 px assumed before any measurement on a device.
CPU_BF16_PER_CORE = 43.0
CPU_FLOAT32_PER_CORE = 24.0
GPU_IMAGES_PER_SECOND = 2_700.0
HOST_IMAGES_PER_CORE = 800.0
"""Random crops and colour changes that one core prepares per second, at most (Albumentations, 1,500-2,800/s)."""
MULTI_GPU_EFFICIENCY = 0.85

EVALUATION_SPEEDUP = 3.5
"""Evaluating an image is this much faster than training on it (measured: 3.2-4.2)."""
DECODE_PER_CORE = 400.0
"""Images read, decoded and scaled per core and second, once per run (OpenCV alone: 620/s at 640×427)."""
AUDIT_START_SECONDS, AUDIT_IMAGE_SECONDS = 2.0, 0.0011
"""The audit before the first training on a version (measured: 5.9 s for 3,670 photos, while other work was running)."""
START_SECONDS = 6.0
"""Loading libraries and weights."""
REPORT_SECONDS = 5.0
"""Tables, pictures and the report."""
EXPLANATION_COST = 30.0
"""A heat-map takes as long as training on this many images (measured: 6 s for 32 of them at 350 images/s)."""

PARAMETER_BYTES = 24
"""Weights, gradients, two AdamW moments and the moving average in float32, and a copy while saving."""
ACTIVATION_FACTOR = 1.4
"""Peak relative to the memory saved for the backward pass: gradients and temporary workspaces."""
MIXED_FACTOR = 0.6
"""Size of activations in mixed precision, compared with float32."""
BASE_BYTES = {"cpu": 900e6, "cuda": 900e6}
"""Memory of the libraries (and on GPU the context) before a model is loaded."""

PROBE_EFFICIENCY = 0.8
"""Actual training also crops, evaluates and records, besides the steps that a probe times."""
SLOWEST_PROBE = 0.6
"""Share of the assumed speed below which a probe is not trusted."""

RANGES = {"runs": (0.8, 1.3), "probe": (0.5, 1.8), "assumed": (0.3, 2.5)}
"""Likely actual time as factors of the estimate, by its basis; CPUs of one kind differ by a factor of three."""


class Speed(NamedTuple):
    """Training speed of a device: images per second of size n at 224 px."""

    images_per_second: float
    basis: str
    """Its basis, as text."""
    certainty: Literal["runs", "probe", "assumed"] = "assumed"


class Measurement(NamedTuple):
    """The training speed of a finished run on the device in question."""

    size: str
    image_size: int
    images_per_second: float
    family: str = YOLOV8.name


def default_speed(hardware: Hardware) -> Speed:
    """Return the assumed speed of a device without measurements."""
    if hardware.kind == "cuda":
        speed = min(GPU_IMAGES_PER_SECOND * _gpu_factor(hardware), _host_limit(hardware))
        return Speed(
            speed, "assumed from published speeds of small networks on one GPU, as this one was not measured yet"
        )
    per_core = CPU_BF16_PER_CORE if hardware.bf16 else CPU_FLOAT32_PER_CORE
    kind = "with 16-bit arithmetic" if hardware.bf16 else "without 16-bit arithmetic"
    return Speed(per_core * hardware.cores, f"assumed from another CPU {kind}, as this one was not measured yet")


def _gpu_factor(hardware: Hardware) -> float:
    """Return how many times faster all devices are than one."""
    return 1 + MULTI_GPU_EFFICIENCY * max(len(hardware.devices) - 1, 0)


def _host_limit(hardware: Hardware) -> float:
    """Return the images per second that the CPU can prepare."""
    return HOST_IMAGES_PER_CORE * hardware.cores


def measured_speed(measurements: Sequence[Measurement], kind: str) -> Speed | None:
    """Return a device's speed from its finished runs, newest last; None if there are none.

    Args:
        measurements: of runs on this very device.
        kind: "cpu" or "cuda".
    """
    recent = [m for m in measurements if m.images_per_second > 0][-5:]
    if not recent:
        return None
    speeds = [m.images_per_second * relative_cost(m.size, m.image_size, kind, m.family) for m in recent]
    runs = "the last run" if len(speeds) == 1 else f"the last {len(speeds)} runs"
    return Speed(statistics.median(speeds), f"measured in {runs} on this device", "runs")


def probed_speed(rate: float, hardware: Hardware) -> Speed:
    """Return a device's speed from `training_rate`, images per second of size n at `PROBE_PIXELS`.

    A second is short: other work during it can make the device look ten times slower than it is
    (observed on a machine that was running tests), and a plan based on that would be absurd. So the result is never
    below `SLOWEST_PROBE` of the speed assumed for such a device.
    """
    speed = rate * relative_cost("n", PROBE_PIXELS, hardware.kind) * PROBE_EFFICIENCY * _gpu_factor(hardware)
    floor = SLOWEST_PROBE * default_speed(hardware).images_per_second
    if speed < floor:
        return Speed(floor, "assumed, as the device was busy when it was measured")
    return Speed(min(speed, _host_limit(hardware)), "measured for a second on this device", "probe")


def relative_cost(size: str, image_size: int, kind: str, family: str = YOLOV8.name) -> float:
    """Return the training time per image, relative to size n of YOLOv8-cls at 224 px on a device of `kind`."""
    overhead = OVERHEAD[kind]
    area = (image_size / REFERENCE_SIZE) ** 2
    return overhead + (1 - overhead) * backbone_named(family).sizes[size].relative_time * area


def training_speed(size: str, image_size: int, kind: str, speed: Speed, family: str = YOLOV8.name) -> float:
    """Return training images per second."""
    return speed.images_per_second / relative_cost(size, image_size, kind, family)


def run_seconds(
    facts: Facts,
    hardware: Hardware,
    speed: Speed,
    *,
    size: str,
    image_size: int,
    epochs: int,
    family: str = YOLOV8.name,
    evaluate_every: int = 1,
    heat_maps: int = 32,
    evaluations: int = 1,
) -> float:
    """Return the seconds from start to report of a run on `facts`: audit (if there is none yet), training and the rest."""
    train_speed = training_speed(size, image_size, hardware.kind, speed, family)
    evaluation_speed = train_speed * EVALUATION_SPEEDUP
    validations = math.ceil(epochs / evaluate_every)
    audit = 0.0 if facts.audited else AUDIT_START_SECONDS + facts.images * AUDIT_IMAGE_SECONDS
    return (
        audit
        + START_SECONDS
        + facts.images / (DECODE_PER_CORE * hardware.cores)
        + epochs * facts.train_images / train_speed
        + validations * facts.val_images / evaluation_speed
        + evaluations * (facts.val_images + facts.test_images) / evaluation_speed
        + heat_maps * EXPLANATION_COST / train_speed
        + REPORT_SECONDS
    )


def memory_bytes(
    size: str, image_size: int, batch: int, hardware: Hardware, precision: str = "auto", family: str = YOLOV8.name
) -> int:
    """Return the peak memory of training on one device, in bytes."""
    cost = backbone_named(family).sizes[size]
    mixed = precision == "mixed" or (precision == "auto" and (hardware.kind == "cuda" or hardware.bf16))
    per_image = cost.activation_bytes * ACTIVATION_FACTOR * (MIXED_FACTOR if mixed else 1.0)
    share = math.ceil(batch / max(len(hardware.devices), 1))
    activations = share * per_image * (image_size / REFERENCE_SIZE) ** 2
    return int(BASE_BYTES[hardware.kind] + cost.parameters * PARAMETER_BYTES + activations)


def estimate(facts: Facts, workflow: Workflow, hardware: Hardware, speed: Speed | None = None) -> Estimate:
    """Estimate the time and memory of a workflow on a data set and device.

    Args:
        facts: of the workflow's data set.
        workflow: a valid workflow.
        hardware: the device that it will run on.
        speed: of that device; None for the assumed speed of its kind.
    """
    speed = speed or default_speed(hardware)
    model, training = workflow.model, workflow.training
    seconds = run_seconds(
        facts,
        hardware,
        speed,
        size=model.size,
        image_size=model.image_size,
        epochs=training.epochs,
        family=model.family,
        evaluate_every=training.evaluate_every,
        heat_maps=_heat_maps(workflow),
        evaluations=_own_evaluations(workflow),
    )
    low, high = RANGES[speed.certainty]
    return Estimate(
        seconds=round(seconds, 1),
        seconds_low=round(seconds * low, 1),
        seconds_high=round(seconds * high, 1),
        memory_bytes=_memory_of(workflow, hardware),
        images_per_second=round(training_speed(model.size, model.image_size, hardware.kind, speed, model.family), 1),
        basis=f"{speed.basis}; all {training.epochs} epochs, without stopping early",
    )


def _memory_of(workflow: Workflow, hardware: Hardware) -> int:
    model, training = workflow.model, workflow.training
    return memory_bytes(model.size, model.image_size, training.batch, hardware, training.precision, model.family)


def _heat_maps(workflow: Workflow) -> int:
    settings: list[Any] = [node.settings for node in workflow.nodes_of("explanation")]
    return sum(len(one.methods) * one.images for one in settings)


def _own_evaluations(workflow: Workflow) -> int:
    """Count the evaluations on the run's own images; the size of other data sets is not known here."""
    settings: list[Any] = [node.settings for node in workflow.nodes_of("evaluation")]
    return sum(one.dataset is None for one in settings)


def begun(estimate: Estimate, seconds: float) -> Estimate:
    """Return the estimate of a run that had already been running for `seconds` (import, audit, measuring the machine)."""
    longer = {key: round(getattr(estimate, key) + seconds, 1) for key in ("seconds", "seconds_low", "seconds_high")}
    return estimate.model_copy(update=longer)


def compare_estimate(estimate: Estimate, actual_seconds: float) -> dict[str, float | bool]:
    """Compare an estimate with the actual time: `ratio` = actual / estimated time, `within` = inside its range."""
    return {
        "ratio": actual_seconds / estimate.seconds if estimate.seconds else math.inf,
        "within": estimate.seconds_low <= actual_seconds <= estimate.seconds_high,
    }
