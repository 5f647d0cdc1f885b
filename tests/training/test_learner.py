"""One step on a batch: its arithmetic, its memory, and the average that follows."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import torch
from torch import nn

from workflows.backbones.yolov8 import YOLOV8
from workflows.nodes.training import TrainingSettings
from workflows.targets.single_label.loss import CrossEntropy
from workflows.training.average import WeightAverage
from workflows.training.group import Group
from workflows.training.learner import Learner

ALONE = Group()
IMAGES, LABELS = torch.rand(9, 3, 32, 32, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4


def learner(group: Group = ALONE, **training: Any) -> Learner:
    torch.manual_seed(0)
    settings = TrainingSettings(**{"batch": 9, "precision": "float32", **training})
    made = Learner(YOLOV8.build("n", 4, 32), CrossEntropy(), settings, torch.device("cpu"), group, updates=100)
    made.network.train()
    return made


def without_memory_for(images: int, learner: Learner, words: str | None = None) -> list[int]:
    """Make the network fail on more `images` at a time; returns where the sizes that it sees are noted."""
    seen: list[int] = []

    def look(_network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append(len(inputs[0]))
        if len(inputs[0]) > images:
            raise torch.OutOfMemoryError("none left") if words is None else RuntimeError(words)

    learner.network.register_forward_pre_hook(look)
    return seen


def test_half_arithmetic_runs_on_a_cpu_and_stays_close() -> None:
    full, _ = learner().learn(IMAGES, LABELS, 1.0)
    half, logits = learner(precision="mixed").learn(IMAGES, LABELS, 1.0)
    assert half.item() != full.item()
    assert half.item() == pytest.approx(full.item(), rel=0.05)
    assert logits.dtype == torch.float32


def test_a_batch_that_is_too_large_for_the_device_goes_through_in_parts() -> None:
    made = learner()
    sizes = without_memory_for(5, made)
    for _ in range(2):
        loss, logits = made.learn(IMAGES, LABELS, 1.0)
        assert logits.shape == (9, 4)
        assert loss.item() > 0
    assert sizes == [9, 3, 3, 3, 3, 3, 3]
    assert made.state()["batch"] == 4
    assert made.average.updates == 2


def freeze_norms(learner: Learner) -> Learner:
    """Statistics of a batch are the one thing that its parts can't share: use those of before."""
    for module in learner.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return learner


def assert_same_gradients(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Check that two states after one step, of AdamW, have the same first moments, which are their gradients."""
    for number, moment in one["optimizer"]["state"].items():
        found = other["optimizer"]["state"][number]["exp_avg"]
        torch.testing.assert_close(found, moment["exp_avg"], rtol=1e-3, atol=1e-6)


def test_parts_teach_what_the_whole_batch_teaches() -> None:
    whole, parts = freeze_norms(learner()), freeze_norms(learner())
    parts.images_at_once = 4
    expected, expected_logits = whole.learn(IMAGES, LABELS, 1.0)
    found, logits = parts.learn(IMAGES, LABELS, 1.0)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-4, atol=1e-5)
    assert_same_gradients(whole.state(), parts.state())


@pytest.mark.parametrize("words", [None, "CUBLAS_STATUS_ALLOC_FAILED"])
def test_a_device_without_memory_for_two_images_is_given_up(words: str | None) -> None:
    made = learner()
    without_memory_for(1, made, words)
    with pytest.raises(torch.OutOfMemoryError):
        made.learn(IMAGES, LABELS, 1.0)
    assert made.images_at_once == 2


@pytest.mark.parametrize(("words", "tries"), [("CUBLAS_STATUS_ALLOC_FAILED", 4), ("shapes can't be multiplied", 1)])
def test_other_errors_are_not_taken_for_a_lack_of_memory(words: str, tries: int) -> None:
    made = learner()
    sizes = without_memory_for(5, made, words)
    if tries == 1:
        with pytest.raises(RuntimeError, match=words):
            made.learn(IMAGES, LABELS, 1.0)
    else:
        made.learn(IMAGES, LABELS, 1.0)
    assert len(sizes) == tries


def test_the_average_follows_weights_and_statistics_but_not_counters() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(network, lambda done: 0.75)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network[0].weight += 1.0
        network[1].running_mean += 4.0
        network[1].num_batches_tracked += 1
    average.update()
    found = average.network.state_dict()
    torch.testing.assert_close(found["0.weight"], first["0.weight"] + 0.25)
    torch.testing.assert_close(found["1.running_mean"], first["1.running_mean"] + 1.0)
    assert found["1.num_batches_tracked"] == 0
    assert not average.network.training


def test_what_is_restored_goes_on_to_the_same_bits() -> None:
    whole = learner()
    whole.learn(IMAGES, LABELS, 1.0)
    buffer = BytesIO()
    torch.save(whole.state(), buffer)
    whole.learn(IMAGES, LABELS, 0.5)
    again = learner()
    buffer.seek(0)
    again.restore(torch.load(buffer, weights_only=True))
    again.learn(IMAGES, LABELS, 0.5)
    for one, other in ((whole.network, again.network), (whole.average.network, again.average.network)):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
