"""Facts and hardware for tests, made by hand."""

from __future__ import annotations

from typing import Any

from workflows.graph.workflow import Workflow
from workflows.recommend.estimate import Speed
from workflows.recommend.facts import Facts
from workflows.recommend.hardware import Hardware
from workflows.recommend.orientation import infer_orientation

GB = 10**9
TRAIN_SHARE, HELD_OUT_SHARE = 0.70, 0.15
QUIET_CPU = Speed(80.0, "measured in a test", "runs")


def make_facts(
    per_class: dict[str, int] | None = None,
    *,
    name: str = "photos",
    classes: int = 5,
    train_images: int = 2500,
    short: int = 400,
    aspect: float = 4 / 3,
    aspect_spread: float = 1.0,
    colour: bool = True,
    **changes: Any,
) -> Facts:
    """Facts of a data set whose images have one aspect ratio, give or take `aspect_spread`."""
    if per_class is None:
        per_class = {f"class {index}": train_images // classes for index in range(classes)}
    total = sum(per_class.values())
    held_out = int(total * HELD_OUT_SHARE / TRAIN_SHARE)
    elongation = max(aspect, 1 / aspect)
    values: dict[str, Any] = {
        "dataset": name,
        "version": 1,
        "images": total + 2 * held_out,
        "class_names": tuple(per_class),
        "per_class": per_class,
        "train_images": total,
        "val_images": held_out,
        "test_images": held_out,
        "median_width": int(short * max(aspect, 1)),
        "median_height": int(short / min(aspect, 1)),
        "median_short_side": short,
        "aspect_median": aspect,
        "aspect_p10": aspect / aspect_spread,
        "aspect_p90": aspect * aspect_spread,
        "elongation_median": elongation,
        "elongation_p90": elongation * aspect_spread,
        "share_non_square": float(elongation > 1.05),
        "colour": colour,
        "orientation": infer_orientation(name, tuple(per_class)),
    }
    return Facts(**(values | changes))


def make_cpu(cores: int = 2, memory: float = 16 * GB, bf16: bool = True) -> Hardware:
    """A processor."""
    return Hardware("cpu", "a processor", (), int(memory), cores, bf16, "2.11.0")


def make_gpu(memory: float = 16 * GB, devices: tuple[int, ...] = (0,), cores: int = 16) -> Hardware:
    """A GPU, or several."""
    return Hardware("cuda", "a GPU", devices, int(memory), cores, True, "2.11.0")


def value_of(workflow: Workflow, key: str) -> Any:
    """The value of a setting, such as "model.size"."""
    kind, _, field = key.partition(".")
    return getattr(workflow.node(kind).settings, field)


DIGITS = make_facts({str(digit): 125 for digit in range(10)}, name="scans", short=32, aspect=1.0, colour=False)
BIRDS = make_facts(name="birds", classes=325, train_images=33_150, short=224, aspect=1.0)
