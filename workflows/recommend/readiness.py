"""What can be known before a training starts: whether anything that this machine lacks would end it later."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from workflows.backbones.registry import backbone_named
from workflows.data.audit.gate import settled_by_splitting
from workflows.data.audit.repairs import remedies
from workflows.data.audit.run import stored_audit
from workflows.data.pixels import SquareTransform, decoded_bytes, is_decoded
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, DeviceError
from workflows.graph.workflow import Workflow
from workflows.nodes.split import split_records
from workflows.recommend.estimate import estimate
from workflows.recommend.facts import Facts, dataset_facts
from workflows.recommend.hardware import Hardware
from workflows.store.devices import gpu_numbers
from workflows.store.files import free_bytes
from workflows.store.run_folder import checkpoint_bytes
from workflows.store.store import Store
from workflows.targets.judged import NO_TEST_IMAGES
from workflows.training.weight_files import WeightFiles
from workflows.words import listed

Subject = Literal["device", "memory", "disk", "weights", "split", "audit"]
SMALLEST_IMAGE_SIZE, SMALLEST_BATCH = 64, 8


class Way(NamedTuple):
    """A way out of what would end a training: its key, its name, and its form on the command line (empty if none)."""

    key: str
    title: str
    command: str = ""


@dataclass(frozen=True)
class Check:
    """What one look before a training found.

    Attributes:
        subject: what was looked at.
        state: `ok`; `warn` where it may go wrong; `fail` where the training would end with an error.
        text: what was found.
        ways: what can be done about it.
    """

    subject: Subject
    state: Literal["ok", "warn", "fail"]
    text: str
    ways: tuple[Way, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return {**asdict(self), "ways": [way._asdict() for way in self.ways]}


def is_ready(checks: Iterable[Check]) -> bool:
    """Return whether a training can start: nothing fails."""
    return all(check.state != "fail" for check in checks)


def readiness(
    store: Store,
    version: DatasetVersion,
    workflow: Workflow,
    hardware: Hardware,
    *,
    facts: Facts | None = None,
    device: str | None = None,
    gpus: int | None = None,
    allow: Collection[str] = (),
    trust: bool = False,
) -> list[Check]:
    """Look at everything that can end a training and is known before it. Nothing is changed, and nothing is sent anywhere.

    Args:
        store: where the training's files go.
        version: what it trains on.
        workflow: how.
        hardware: the device that its memory is estimated for.
        facts: of the version; computed if not given.
        device: instead of the workflow's.
        gpus: how many GPUs this machine has; None if that is not known.
        allow: keys of the audit's errors to train on regardless.
        trust: whether a `.pt` file with an unknown checksum may be read.

    Raises:
        DatasetError: the version has no training images or a single class.
    """
    facts = facts or dataset_facts(version)
    return [
        _device(device or workflow.training.device, gpus, workflow.training.batch),
        _memory(workflow, hardware, facts),
        _disk(store, version, workflow, facts),
        _weights(store, workflow, trust),
        _split(store, version, workflow, facts),
        _audit(version, workflow, allow),
    ]


def _device(device: str, gpus: int | None, batch: int) -> Check:
    way = Way("device-auto", "Use the best device", "--device auto")
    try:
        numbers = () if device == "auto" else gpu_numbers(device)
    except DeviceError as error:
        return Check("device", "fail", f"{error.message} {error.hint}", (way,))
    if gpus is not None and (missing := [number for number in numbers if number >= gpus]):
        there = f"GPU 0 to {gpus - 1}" if gpus > 1 else "one GPU, 0" if gpus else "no GPU that PyTorch can use"
        return Check(
            "device", "fail", f"There is no GPU {', '.join(map(str, missing))}: this machine has {there}.", (way,)
        )
    if batch < 2 * len(numbers):
        text = f"A batch of {batch} is too small for {len(numbers)} GPUs: each needs two images or more."
        return Check("device", "fail", text, (way,))
    return Check("device", "ok", f"Device: {device}.")


def _memory(workflow: Workflow, hardware: Hardware, facts: Facts) -> Check:
    needed = estimate(facts, workflow, hardware).memory_bytes
    text = f"about {needed / 1e9:.1f} GB of {hardware.memory_bytes / 1e9:.1f} GB"
    if needed <= hardware.memory_bytes:
        return Check("memory", "ok", f"Memory: {text}.")
    ways = []
    if workflow.training.batch > SMALLEST_BATCH:
        ways.append(Way("smaller-batch", "Halve the batch"))
    if workflow.model.image_size > SMALLEST_IMAGE_SIZE:
        ways.append(Way("smaller-images", "Smaller images", f"--size {smaller_size(workflow.model.image_size)}"))
    return Check("memory", "warn", f"The training may run out of memory: it needs {text}.", tuple(ways))


def smaller_size(image_size: int) -> int:
    """Return the next image size to try if one needs too much: three quarters of it, as a multiple of 32."""
    return max(SMALLEST_IMAGE_SIZE, image_size * 3 // 4 // 32 * 32)


def _disk(store: Store, version: DatasetVersion, workflow: Workflow, facts: Facts) -> Check:
    model, free = workflow.model, free_bytes(store.home)
    checkpoints = checkpoint_bytes(backbone_named(model.family).parameters(model.size, facts.classes))
    pixels = decoded_bytes(facts.train_images, facts.images - facts.train_images, model.image_size)
    if free < checkpoints + pixels and _decoded(store, version, workflow):
        pixels = 0
    text = f"{(checkpoints + pixels) / 1e9:.1f} GB for decoded photos and checkpoints, {free / 1e9:.1f} GB are free"
    if free >= checkpoints + pixels:
        return Check("disk", "ok", f"Disk: about {text}.")
    ways: tuple[Way, ...] = ()
    if model.image_size > SMALLEST_IMAGE_SIZE:
        ways = (Way("smaller-images", "Smaller images", f"--size {smaller_size(model.image_size)}"),)
    return Check("disk", "fail", f"The disk of {store.home} is too full: {text}. Free some space.", ways)


def _decoded(store: Store, version: DatasetVersion, workflow: Workflow) -> bool:
    """Whether an earlier training has decoded these photos already. Reads the whole version, so it comes last."""
    transform = SquareTransform(workflow.model.image_size, workflow.model.square, version.rendering())
    try:
        return is_decoded(split_records(version, workflow.split, store.blobs), transform, store.cache_folder)
    except DatasetError:
        return False  # the check of the split says why


def _weights(store: Store, workflow: Workflow, trust: bool) -> Check:
    model = workflow.model
    files = WeightFiles(backbone_named(model.family), model.size, store.weights_folder)
    planned = files.planned(model.weights, trust=trust)
    named = f"Initial weights ({model.weights})" if model.weights in ("auto", "none") else "Initial weights"
    text = f"{named}: {planned.text}."
    if planned.kind in ("random", "file"):
        return Check("weights", "ok", text)
    ways = [Way("random-weights", "Start from random weights", "--weights none")]
    if model.weights != "auto":
        ways.insert(0, Way("official-weights", "Use the official weights", "--weights auto"))
    elif planned.kind == "download" or files.recent_failure():
        ways.insert(0, Way("download-weights", "Try again" if files.recent_failure() else "Download them now"))
    return Check("weights", "warn" if planned.kind == "download" else "fail", text, tuple(ways))


def _split(store: Store, version: DatasetVersion, workflow: Workflow, facts: Facts) -> Check:
    if workflow.split.source == "new":
        try:
            split_records(version, workflow.split, store.blobs)
        except DatasetError as error:
            return Check("split", "fail", f"{error.message} {error.hint}")
        return Check("split", "ok", "Split: a new one.")
    needed = facts.test_images if workflow.split.train_on == "train+val" else facts.val_images
    name = "test" if workflow.split.train_on == "train+val" else "validation"
    way = Way("new-split", "Split anew for this run")
    if not needed:
        return Check("split", "fail", f"The data set has no {name} photos.", (way,))
    untrained = [each for each, count in facts.per_class.items() if not count]
    if untrained and workflow.split.train_on == "train":
        names = listed(untrained, full=f"fieldguide dataset show {facts.dataset}")
        return Check("split", "fail", f"No training photos of: {names}.", (way,))
    if not facts.test_images:
        aside = Way("set-aside", "Set test images aside …", f"fieldguide dataset resplit {facts.dataset}")
        return Check("split", "warn", NO_TEST_IMAGES, (aside,))
    return Check("split", "ok", f"Split: {facts.train_images:,} / {facts.val_images:,} / {facts.test_images:,} photos.")


def _audit(version: DatasetVersion, workflow: Workflow, allow: Collection[str]) -> Check:
    report = stored_audit(version)
    if report is None:
        way = Way("audit", "Audit it now", f"fieldguide dataset audit {version.name}")
        text = f"Version {version.number} has not been audited: the training starts with an audit, and ends if it finds errors."
        return Check("audit", "warn", text, (way,))
    allowed = {*allow, *settled_by_splitting(workflow)}
    stopping = [finding for finding in report.errors if finding.key not in allowed]
    if not stopping:
        return Check("audit", "ok", "Audit: no errors." if not report.errors else "Audit: all errors are allowed.")
    titles = "; ".join(finding.title for finding in stopping)
    fixes = [Way("fix", "Fix it", command) for finding in stopping for command in remedies(version.name, finding)[:1]]
    allowing = Way("allow", "Train anyway", " ".join(f"--allow {finding.key}" for finding in stopping))
    text = f"The audit found errors that would make the results misleading: {titles}."
    return Check("audit", "fail", text, (*(fixes or [Way("fix", "Fix it")]), allowing))
