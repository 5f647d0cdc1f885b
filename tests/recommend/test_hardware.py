"""What this machine can train on, and what is said when it can't."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
import torch

from workflows.errors import DeviceError
from workflows.recommend.hardware import cpu_cores, cpu_memory, detect_hardware, training_rate

GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0


def test_the_processor() -> None:
    hardware = detect_hardware("cpu")
    assert (hardware.kind, hardware.devices, hardware.device) == ("cpu", (), "cpu")
    assert hardware.name
    assert 1 <= hardware.cores == cpu_cores()
    assert 2**20 < hardware.memory_bytes < 2**50
    assert cpu_memory() > 2**20
    assert hardware.torch_version == metadata.version("torch")


def test_auto_takes_a_gpu_if_there_is_one() -> None:
    assert detect_hardware("auto").kind == ("cuda" if GPUS else "cpu")


@pytest.mark.skipif(GPUS > 0, reason="this machine has a GPU")
@pytest.mark.parametrize(
    ("device", "wanted"), [("0", "GPU 0 was requested"), ("0,1", "GPU 0 and GPU 1 were requested")]
)
def test_without_a_gpu(device: str, wanted: str) -> None:
    with pytest.raises(DeviceError, match=wanted) as caught:
        detect_hardware(device)
    assert "--device cpu" in caught.value.hint


@pytest.mark.skipif(GPUS == 0, reason="NO GPU: what is found on one was NOT tested")
def test_with_a_gpu() -> None:
    hardware = detect_hardware("0")
    assert (hardware.kind, hardware.devices, hardware.device) == ("cuda", (0,), "0")
    assert hardware.memory_bytes > 2**30
    with pytest.raises(DeviceError, match=re.escape(hardware.name)):
        detect_hardware(str(GPUS))


@pytest.mark.parametrize("device", ["gpu", "", "0,", "-1", "0,0", "cuda:0"])
def test_words_that_name_no_device(device: str) -> None:
    with pytest.raises(DeviceError, match=re.escape(repr(device))):
        detect_hardware(device)


def test_the_probe_measures_and_leaves_randomness_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert training_rate(detect_hardware("cpu")) > 1
    assert torch.rand(1) == expected
