"""Time and memory of a run before it starts, and the comparison with what it took.

The time of a training step is modelled as ``overhead + compute``, where compute grows with the model's cost
and with the area of the input; all of it is expressed in the time that size n needs per image at 224 px on
the same device (a `Speed`). One measured run therefore tells what any other will take there.

Model costs were measured with ultralytics 8.4.190 and torch 2.15.0: parameters with a 1,000-class head and
GFLOPs (thop, two per multiply-add) at 224 px by `ultralytics.utils.torch_utils`; bytes kept for the
backward pass, float32, by `torch.autograd.graph.saved_tensors_hooks`; relative time of forward + backward +
AdamW step by wall clock on 2 cores with AVX512-bf16, channels_last, bfloat16 autocast (l: between m and x).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from workflows.graph.nodes import Estimate
from workflows.graph.settings import ModelSize
from workflows.recommend.facts import Facts
from workflows.recommend.hardware import PROBE_PIXELS, Hardware

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

REFERENCE_SIZE = 224
"""Side in pixels at which costs and speeds are stated."""


class ModelCost(NamedTuple):
    """What one model size costs at 224 px."""

    parameters: int
    gflops: float
    activation_bytes: float
    """Kept per image for the backward pass, in float32."""
    relative_time: float
    """Time of a training step, relative to size n."""


MODEL_COSTS: dict[ModelSize, ModelCost] = {
    "n": ModelCost(2_719_288, 0.414, 14.4e6, 1.0),
    "s": ModelCost(6_361_736, 1.544, 27.6e6, 2.5),
    "m": ModelCost(17_053_336, 5.134, 52.0e6, 7.0),
    "l": ModelCost(37_480_744, 12.145, 83.7e6, 15.0),
    "x": ModelCost(57_422_840, 18.905, 104.4e6, 25.0),
}

# Share of size n's time per image at 224 px that does not depend on model and resolution.
OVERHEAD = {"cpu": 0.10, "cuda": 0.50}

# Speeds of size n at 224 px before anything was measured on a device.
CPU_BF16_PER_CORE = 43.0
CPU_FLOAT32_PER_CORE = 24.0
GPU_IMAGES_PER_SECOND = 2_700.0
HOST_IMAGES_PER_CORE = 800.0
"""Random crops and colour changes that one core prepares per second, at most (Albumentations, 1,500-2,800/s)."""
MULTI_GPU_EFFICIENCY = 0.85

EVALUATION_SPEEDUP = 3.5
"""Evaluating an image is this much faster than training on it (measured: 3.2-4.2)."""
DECODE_PER_CORE = 400.0
"""Photos read, decoded and scaled per core and second, once per run (OpenCV alone: 620/s at 640×427)."""
AUDIT_START_SECONDS, AUDIT_IMAGE_SECONDS = 2.0, 0.0011
"""The audit before the first training on a version (measured: 5.9 s for 3,670 photos, beside other work)."""
START_SECONDS = 6.0
"""Loading libraries and weights."""
REPORT_SECONDS = 5.0
"""Tables, pictures and the report."""
EXPLANATION_COST = 30.0
"""A heat-map takes as long as training on this many images (measured: 32 of them 6 s beside 350 images/s)."""

PARAMETER_BYTES = 24
"""Weights, gradients, two AdamW moments and the moving average in float32, and a copy while saving."""
ACTIVATION_FACTOR = 1.4
"""Peak over what is kept for the backward pass: gradients and workspaces in flight."""
MIXED_FACTOR = 0.6
"""Size of activations in mixed precision, compared with float32."""
BASE_BYTES = {"cpu": 900e6, "cuda": 900e6}
"""What the libraries (and on GPU the context) take before a model is loaded."""

PROBE_EFFICIENCY = 0.8
"""Real training crops, evaluates and records beside the steps that a probe times."""
SLOWEST_PROBE = 0.6
"""Share of the assumed speed below which a probe is not believed."""

RANGES = {"runs": (0.8, 1.3), "probe": (0.5, 1.8), "assumed": (0.3, 2.5)}
"""Likely actual time as factors of the estimate, by what it rests on; CPUs of one kind differ by three times."""


class Speed(NamedTuple):
    """Training speed of a device: images per second of size n at 224 px."""

    images_per_second: float
    basis: str
    """What it rests on, in words."""
    certainty: Literal["runs", "probe", "assumed"] = "assumed"


class Measurement(NamedTuple):
    """The training speed of a finished run on the device in question."""

    size: ModelSize
    image_size: int
    images_per_second: float


def default_speed(hardware: Hardware) -> Speed:
    """Return what is assumed of a device on which nothing was measured yet."""
    if hardware.kind == "cuda":
        speed = min(GPU_IMAGES_PER_SECOND * _gpu_factor(hardware), _host_limit(hardware))
        return Speed(
            speed, "assumed from published speeds of small networks on one GPU, as this one was not measured yet"
        )
    per_core = CPU_BF16_PER_CORE if hardware.bf16 else CPU_FLOAT32_PER_CORE
    kind = "with 16-bit arithmetic" if hardware.bf16 else "without 16-bit arithmetic"
    return Speed(per_core * hardware.cores, f"assumed from another processor {kind}, as none was measured here yet")


def _gpu_factor(hardware: Hardware) -> float:
    """Return how many times faster all devices are than one of them."""
    return 1 + MULTI_GPU_EFFICIENCY * max(len(hardware.devices) - 1, 0)


def _host_limit(hardware: Hardware) -> float:
    """Return the images per second that the processor can prepare."""
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
    speeds = [m.images_per_second * relative_cost(m.size, m.image_size, kind) for m in recent]
    runs = "the last run" if len(speeds) == 1 else f"the last {len(speeds)} runs"
    return Speed(statistics.median(speeds), f"measured in {runs} on this device", "runs")


def probed_speed(rate: float, hardware: Hardware) -> Speed:
    """Return a device's speed from `training_rate`, images per second of size n at `PROBE_PIXELS`.

    A second is short: whatever else the machine does in it can make the device look ten times slower than it is
    (seen on a machine that ran tests meanwhile), and a plan made from that would be absurd. So the answer is never
    below `SLOWEST_PROBE` of what is assumed of such a device.
    """
    speed = rate * relative_cost("n", PROBE_PIXELS, hardware.kind) * PROBE_EFFICIENCY * _gpu_factor(hardware)
    floor = SLOWEST_PROBE * default_speed(hardware).images_per_second
    if speed < floor:
        return Speed(floor, "assumed, as the device was busy with something else when it was measured")
    return Speed(min(speed, _host_limit(hardware)), "measured for a second on this device", "probe")


def relative_cost(size: ModelSize, image_size: int, kind: str) -> float:
    """Return the training time per image, relative to size n at 224 px on a device of `kind`."""
    overhead = OVERHEAD[kind]
    area = (image_size / REFERENCE_SIZE) ** 2
    return overhead + (1 - overhead) * MODEL_COSTS[size].relative_time * area


def training_speed(size: ModelSize, image_size: int, kind: str, speed: Speed) -> float:
    """Return training images per second."""
    return speed.images_per_second / relative_cost(size, image_size, kind)


def run_seconds(
    facts: Facts,
    hardware: Hardware,
    speed: Speed,
    *,
    size: ModelSize,
    image_size: int,
    epochs: int,
    evaluate_every: int = 1,
    heat_maps: int = 32,
) -> float:
    """Return the seconds from start to report of a run on `facts`: audit, if there is none yet, training and the rest."""
    train_speed = training_speed(size, image_size, hardware.kind, speed)
    evaluation_speed = train_speed * EVALUATION_SPEEDUP
    evaluations = math.ceil(epochs / evaluate_every)
    audit = 0.0 if facts.audited else AUDIT_START_SECONDS + facts.images * AUDIT_IMAGE_SECONDS
    return (
        audit
        + START_SECONDS
        + facts.images / (DECODE_PER_CORE * hardware.cores)
        + epochs * facts.train_images / train_speed
        + evaluations * facts.val_images / evaluation_speed
        + (facts.val_images + facts.test_images) / evaluation_speed
        + heat_maps * EXPLANATION_COST / train_speed
        + REPORT_SECONDS
    )


def memory_bytes(size: ModelSize, image_size: int, batch: int, hardware: Hardware, precision: str = "auto") -> int:
    """Return the peak memory of training on one device, in bytes."""
    cost = MODEL_COSTS[size]
    mixed = precision == "mixed" or (precision == "auto" and (hardware.kind == "cuda" or hardware.bf16))
    per_image = cost.activation_bytes * ACTIVATION_FACTOR * (MIXED_FACTOR if mixed else 1.0)
    share = math.ceil(batch / max(len(hardware.devices), 1))
    activations = share * per_image * (image_size / REFERENCE_SIZE) ** 2
    return int(BASE_BYTES[hardware.kind] + cost.parameters * PARAMETER_BYTES + activations)


def estimate(facts: Facts, workflow: Workflow, hardware: Hardware, speed: Speed | None = None) -> Estimate:
    """Estimate the time and memory of a workflow on a data set and device.

    Args:
        facts: of the data set that the workflow names.
        workflow: a sound workflow.
        hardware: the device it will run on.
        speed: of that device; None for what is assumed of its kind.
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
        evaluate_every=training.evaluate_every,
        heat_maps=len(workflow.explanation.methods) * workflow.explanation.images,
    )
    low, high = RANGES[speed.certainty]
    return Estimate(
        seconds=round(seconds, 1),
        seconds_low=round(seconds * low, 1),
        seconds_high=round(seconds * high, 1),
        memory_bytes=memory_bytes(model.size, model.image_size, training.batch, hardware, training.precision),
        images_per_second=round(training_speed(model.size, model.image_size, hardware.kind, speed), 1),
        basis=f"{speed.basis}; all {training.epochs} epochs, without stopping early",
    )


def begun(estimate: Estimate, seconds: float) -> Estimate:
    """Return the estimate of a run that has already worked for `seconds` (import, audit, measuring the machine) before it was made."""
    longer = {key: round(getattr(estimate, key) + seconds, 1) for key in ("seconds", "seconds_low", "seconds_high")}
    return estimate.model_copy(update=longer)


def compare_estimate(estimate: Estimate, actual_seconds: float) -> dict[str, float | bool]:
    """Say how an estimate fared: `ratio` = actual / estimated time, `within` = inside its range."""
    return {
        "ratio": actual_seconds / estimate.seconds if estimate.seconds else math.inf,
        "within": estimate.seconds_low <= actual_seconds <= estimate.seconds_high,
    }
