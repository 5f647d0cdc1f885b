"""The training devices of this machine."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil

from workflows.backbones.yolov8 import YOLOV8

if TYPE_CHECKING:
    import torch

PROBE_BATCH, PROBE_PIXELS = 32, 128
PROBE_WARM_UP = 2
"""Warm-up steps, slow because memory and kernels are being prepared."""
PROBE_STEPS, FEWEST_PROBE_STEPS, PROBE_SECONDS = 8, 3, 1.0
"""Number of timed steps on an idle machine; fewer if they take longer than this, because it is slow or busy."""

CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
CGROUP_CPU = "/sys/fs/cgroup/cpu.max"
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""The CPU features (x86, x86, ARM) that make bfloat16 arithmetic faster than float32."""


@dataclass(frozen=True)
class Hardware:
    """A device (or several alike) to train on."""

    kind: Literal["cpu", "cuda"]
    name: str
    devices: tuple[int, ...]
    """GPU numbers; empty on CPU."""
    memory_bytes: int
    """Memory available for training: of the smallest chosen GPU, or of the machine."""
    cores: int
    bf16: bool
    """Whether the hardware supports 16-bit bfloat16 arithmetic."""
    torch_version: str

    @property
    def device(self) -> str:
        """The device as in the training settings: "cpu", "0" or "0,1"."""
        return ",".join(map(str, self.devices)) if self.devices else "cpu"


def detect_hardware(device: str = "auto") -> Hardware:
    """Find out what `device` is: "auto" (the first GPU if there is one), "cpu", a GPU number or several ("0,1").

    Raises:
        DeviceError: a requested GPU does not exist; the message lists the available ones.
    """
    from workflows.store.devices import gpu_numbers
    from workflows.training.devices import choose_device

    numbers = gpu_numbers(choose_device(device))
    return _gpus(numbers) if numbers else cpu_hardware()


def cpu_cores() -> int:
    """Return how many CPU cores this process may use (subject to affinity and container limits)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read_words(CGROUP_CPU)
    if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit():
        cores = min(cores, max(1, int(quota[0]) // max(int(quota[1]), 1)))
    return cores


def cpu_memory() -> int:
    """Return the bytes of memory that are free for this process (subject to container limits)."""
    limits = [int(words[0]) for path in CGROUP_FILES if (words := _read_words(path)) and words[0].isdigit()]
    return min([psutil.virtual_memory().available, *limits])


def _read_words(path: str) -> list[str]:
    try:
        return Path(path).read_text().split()
    except OSError:
        return []


def cpu_hardware() -> Hardware:
    """Describe the CPU, without loading PyTorch."""
    described = _cpu_description()
    bf16 = bool(BF16_FLAGS & set(described.get("flags", described.get("Features", "")).split()))
    name = described.get("model name") or platform.processor() or "CPU"
    return Hardware("cpu", name, (), cpu_memory(), cpu_cores(), bf16, metadata.version("torch"))


def _cpu_description() -> dict[str, str]:
    """Read Linux's description of the first core; empty elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _gpus(numbers: tuple[int, ...]) -> Hardware:
    import torch

    properties = [torch.cuda.get_device_properties(number) for number in numbers]
    names = list(dict.fromkeys(found.name for found in properties))
    return Hardware(
        kind="cuda",
        name=" + ".join(names) if len(numbers) == 1 else f"{len(numbers)} × {' + '.join(names)}",
        devices=numbers,
        memory_bytes=min(found.total_memory for found in properties),
        cores=cpu_cores(),
        bf16=min(found.major for found in properties) >= 8,
        torch_version=metadata.version("torch"),
    )


def training_rate(hardware: Hardware) -> float:
    """Train the smallest network on noise for about a second; return images per second at `PROBE_PIXELS`.

    The fastest step counts: other work that is running now says nothing about the training to come.
    For devices on which no run has finished yet: CPUs of one kind differ by a factor of three, so a second
    of measuring is more reliable than any table. The random state of the process is restored.
    """
    import torch

    device = torch.device(f"cuda:{hardware.devices[0]}" if hardware.devices else "cpu")
    with torch.random.fork_rng(devices=list(hardware.devices[:1])):
        return PROBE_BATCH / min(_step_seconds(device, hardware.bf16))


def _step_seconds(device: torch.device, bf16: bool) -> Iterator[float]:
    """Yield the seconds of each optimiser step after warming up."""
    import torch

    model = YOLOV8.build("n", 10, PROBE_PIXELS).train()
    model = model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images = torch.rand(PROBE_BATCH, 3, PROBE_PIXELS, PROBE_PIXELS, device=device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(PROBE_BATCH, device=device) % 10
    half = torch.bfloat16 if bf16 else torch.float16
    spent = 0.0
    for step in range(PROBE_WARM_UP + PROBE_STEPS):
        started = time.perf_counter()
        with torch.autocast(device.type, dtype=half, enabled=bf16 or device.type == "cuda"):
            logits = model(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - started
        if step >= PROBE_WARM_UP:
            yield seconds
            spent += seconds
        if step >= PROBE_WARM_UP + FEWEST_PROBE_STEPS and spent > PROBE_SECONDS:
            return
