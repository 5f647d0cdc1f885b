"""Estimates of time and memory: how they scale, what they rest on, how they fared."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.recommend.builders import BIRDS, GB, QUIET_CPU, make_cpu, make_facts, make_gpu
from tests.texts import mentions, numbers
from workflows.backbones.yolov8 import YOLOV8
from workflows.graph.nodes import Estimate
from workflows.graph.workflow import Workflow
from workflows.nodes.dataset import DatasetSettings
from workflows.nodes.model import ModelSettings
from workflows.nodes.training import TrainingSettings
from workflows.recommend.estimate import (
    Measurement,
    Speed,
    begun,
    compare_estimate,
    default_speed,
    estimate,
    measured_speed,
    memory_bytes,
    probed_speed,
    relative_cost,
    run_seconds,
    training_speed,
)

FACTS = make_facts()


def workflow(size: str = "n", image_size: int = 224, epochs: int = 10, **training: object) -> Workflow:
    """A workflow with these costs."""
    return Workflow.linear(
        "w",
        DatasetSettings(name="photos"),
        model=ModelSettings(size=size, image_size=image_size),
        training=TrainingSettings(epochs=epochs, **training),
    )


def seconds(**costs: object) -> float:
    """The estimated seconds of a workflow on a small processor."""
    return estimate(FACTS, workflow(**costs), make_cpu(), QUIET_CPU).seconds  # type: ignore[arg-type]


def test_costs_grow_with_the_model() -> None:
    for field in ("parameters", "activation_bytes", "relative_time"):
        values = [getattr(cost, field) for cost in YOLOV8.sizes.values()]
        assert values == sorted(values), field
    assert YOLOV8.sizes["n"].relative_time == 1


def test_the_reference_is_size_n_at_224_pixels() -> None:
    for kind in ("cpu", "cuda"):
        assert relative_cost("n", 224, kind) == pytest.approx(1)
        assert training_speed("n", 224, kind, QUIET_CPU) == pytest.approx(QUIET_CPU.images_per_second)


def test_time_scales_with_epochs_pixels_and_model() -> None:
    assert seconds(epochs=20) - seconds(epochs=10) == pytest.approx(seconds(epochs=30) - seconds(epochs=20), rel=0.01)
    small, large = relative_cost("n", 112, "cpu"), relative_cost("n", 448, "cpu")
    assert 10 < large / small < 16, "time grows nearly with the area"
    assert seconds(size="s") > 1.8 * seconds(size="n")
    assert seconds(evaluate_every=10) < seconds(evaluate_every=1)


def test_measured_points_are_met() -> None:
    """Forward, backward and step on 2 cores took 1.30, 2.70 and 3.62 ms per image at 128, 192 and 224 px."""
    for pixels, milliseconds in ((128, 1.30), (192, 2.70), (224, 3.62)):
        assert relative_cost("n", pixels, "cpu") == pytest.approx(milliseconds / 3.62, rel=0.12)


def test_the_speed_of_a_slow_processor_is_assumed_first() -> None:
    """210-230 images per second at 128 px were seen on 2 cores with 16-bit arithmetic."""
    speed = default_speed(make_cpu(cores=2, bf16=True))
    assert 190 < training_speed("n", 128, "cpu", speed) < 250
    assert speed.certainty == "assumed"


def test_assumptions_follow_the_hardware() -> None:
    assert default_speed(make_cpu(cores=8)).images_per_second > default_speed(make_cpu(cores=2)).images_per_second
    assert default_speed(make_cpu(bf16=False)).images_per_second < default_speed(make_cpu()).images_per_second
    one, two = default_speed(make_gpu()), default_speed(make_gpu(devices=(0, 1)))
    assert one.images_per_second < two.images_per_second < 2 * one.images_per_second
    starved = default_speed(make_gpu(cores=1))
    assert starved.images_per_second < one.images_per_second, "one core can't feed a GPU"


def test_the_range_narrows_with_knowledge() -> None:
    widths = []
    for certainty in ("assumed", "probe", "runs"):
        cost = estimate(FACTS, workflow(), make_cpu(), Speed(80, "b", certainty))
        assert cost.seconds_low < cost.seconds < cost.seconds_high
        widths.append(cost.seconds_high / cost.seconds_low)
    assert widths == sorted(widths, reverse=True)


def test_one_run_tells_what_another_takes() -> None:
    speed = measured_speed([Measurement("s", 160, 150.0)], "cpu")
    assert speed is not None
    assert training_speed("s", 160, "cpu", speed) == pytest.approx(150)
    assert "last run" in speed.basis
    assert training_speed("n", 160, "cpu", speed) > 300


def test_of_many_runs_the_last_five_count_by_their_median() -> None:
    runs = [Measurement("n", 224, speed) for speed in (1.0, 1.0, 90.0, 100.0, 110.0, 5.0, 105.0)]
    speed = measured_speed(runs, "cpu")
    assert speed is not None and speed.images_per_second == pytest.approx(100)
    assert numbers(speed.basis) == [5]


def test_no_runs_no_speed() -> None:
    assert measured_speed([], "cpu") is None
    assert measured_speed([Measurement("n", 224, 0.0)], "cpu") is None


def test_a_probe_is_scaled_to_the_reference() -> None:
    speed = probed_speed(700.0, make_cpu())
    assert 150 < speed.images_per_second < 300, "771 images/s at 128 px went with 276 at 224 px"
    assert probed_speed(1e9, make_cpu(cores=1)).images_per_second < 5000, "the processor must prepare the images"


@pytest.mark.parametrize(
    ("size", "pixels", "batch", "low", "high"),
    [("n", 224, 64, 1.0, 2.5), ("m", 320, 64, 4, 10), ("x", 320, 64, 8, 20)],
)
def test_memory_is_of_the_right_order(size: str, pixels: int, batch: int, low: float, high: float) -> None:
    assert low * GB < memory_bytes(size, pixels, batch, make_gpu()) < high * GB  # type: ignore[arg-type]


def test_memory_scales() -> None:
    gpu = make_gpu()
    assert memory_bytes("n", 224, 128, gpu) > memory_bytes("n", 224, 64, gpu)
    assert memory_bytes("n", 320, 64, gpu) > memory_bytes("n", 224, 64, gpu)
    assert memory_bytes("n", 224, 64, gpu, "float32") > memory_bytes("n", 224, 64, gpu, "mixed")
    assert memory_bytes("n", 224, 64, make_gpu(devices=(0, 1))) == memory_bytes("n", 224, 32, gpu)
    assert memory_bytes("n", 224, 64, make_cpu(bf16=False)) > memory_bytes("n", 224, 64, make_cpu())


def test_large_sets_take_longer() -> None:
    costs = {"size": "n", "image_size": 128, "epochs": 5}
    small = run_seconds(FACTS, make_cpu(), QUIET_CPU, **costs)  # type: ignore[arg-type]
    assert run_seconds(BIRDS, make_cpu(), QUIET_CPU, **costs) > 5 * small  # type: ignore[arg-type]


def test_the_basis_is_told() -> None:
    basis = estimate(FACTS, workflow(epochs=7), make_cpu()).basis
    assert basis.startswith("assumed") and mentions(basis, "7 epochs")


@pytest.mark.parametrize(
    ("actual", "ratio", "within"), [(100, 1.0, True), (80, 0.8, True), (131, 1.31, False), (10, 0.1, False)]
)
def test_comparison_with_what_happened(actual: float, ratio: float, within: bool) -> None:
    cost = Estimate(seconds=100, seconds_low=80, seconds_high=130, memory_bytes=1, images_per_second=1, basis="b")
    assert compare_estimate(cost, actual) == {"ratio": pytest.approx(ratio), "within": within}


def test_comparison_with_an_empty_estimate() -> None:
    cost = Estimate(seconds=0, seconds_low=0, seconds_high=0, memory_bytes=0, images_per_second=0, basis="b")
    assert compare_estimate(cost, 1)["ratio"] == math.inf


def test_a_probe_of_a_busy_device_is_not_believed() -> None:
    assumed = default_speed(make_cpu())
    found = probed_speed(1.0, make_cpu())
    assert 0.5 * assumed.images_per_second < found.images_per_second < assumed.images_per_second
    assert "busy" in found.basis


def test_the_audit_counts_until_it_is_done() -> None:
    costs = {"size": "n", "image_size": 128, "epochs": 2}
    done = run_seconds(FACTS, make_cpu(), QUIET_CPU, **costs)  # type: ignore[arg-type]
    to_come = run_seconds(replace(FACTS, audited=False), make_cpu(), QUIET_CPU, **costs)  # type: ignore[arg-type]
    assert 1 < to_come - done < 5 + FACTS.images / 100


def test_what_was_done_before_the_estimate_is_part_of_it() -> None:
    cost = Estimate(seconds=100, seconds_low=80, seconds_high=130, memory_bytes=1, images_per_second=1, basis="b")
    later = begun(cost, 20)
    assert (later.seconds, later.seconds_low, later.seconds_high) == (120, 100, 150)
