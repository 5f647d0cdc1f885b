"""Workflows for pages: recommending, saving, changing them, and their cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from app.client.jobs import Job, Jobs
from app.client.previews import Previews
from app.recommendations import hardware_from, noted_hardware, release
from flows.runner_devices import hardware_path
from workflows.backbones.registry import backbone_named
from workflows.data.audit.run import stored_audit
from workflows.data.catalog import get_version
from workflows.data.version import DatasetVersion
from workflows.errors import RunError, StorageError, UsageError, WorkflowError
from workflows.goals import GOALS
from workflows.graph.drawing import node_facts
from workflows.graph.plan import predecessors
from workflows.graph.workflow import Workflow, dumps, list_templates, load_template, loads
from workflows.recommend.advice import known_speed
from workflows.recommend.estimate import (
    EVALUATION_SPEEDUP,
    Speed,
    default_speed,
    estimate,
    training_speed,
)
from workflows.recommend.facts import Facts, dataset_facts
from workflows.recommend.hardware import Hardware, cpu_hardware
from workflows.recommend.probes import forget_probes
from workflows.recommend.rules import recommend
from workflows.state import State
from workflows.store.files import read_json, storage_errors, write_atomic
from workflows.store.names import slug
from workflows.store.run_list import count_runs
from workflows.store.store import Store

SUFFIX = ".yaml"
MOST_BYTES = 1_000_000
KEPT_FACTS = 8


@dataclass(frozen=True)
class Saved:
    """A saved workflow. `key` is its file's name without the extension."""

    key: str
    name: str
    changed_at: datetime


@dataclass(frozen=True)
class Box:
    """A node as it is drawn in a row of boxes.

    Attributes:
        facts: its most important settings.
        after: ids of its inputs other than the node before it in the row.
        leads: whether it is an input of the next one in the row.
    """

    node_id: str
    kind: str
    facts: list[str]
    after: tuple[str, ...]
    leads: bool


@dataclass(frozen=True)
class Cost:
    """What a workflow is expected to cost here.

    Attributes:
        seconds, seconds_low, seconds_high: of the whole run.
        memory_bytes: on the training device.
        model_bytes: of the trained model's file.
        predicted_per_second: images per second that the trained model predicts, in batches on this device.
        basis: what the times are based on.
    """

    seconds: float
    seconds_low: float
    seconds_high: float
    memory_bytes: int
    model_bytes: int
    predicted_per_second: float
    basis: str


@dataclass(frozen=True)
class Advice:
    """What is recommended for a version of a data set on this machine, by goal.

    Attributes:
        rough: made from known numbers, before this machine and the photos were measured.
    """

    dataset: str
    version: int
    hardware: Hardware
    speed: Speed
    workflows: dict[str, Workflow]
    rough: bool = False


class Workflows:
    """Recommends, saves and prices workflows."""

    def __init__(self, store: Store) -> None:
        self._store, self._jobs = store, Jobs(store)
        self._facts: dict[tuple[str, str], Facts] = {}
        self._rough: dict[tuple[str, str], Advice] = {}
        self._cpu_speed: tuple[int, Speed] | None = None
        self.previews = Previews(store)

    # ------------------------------------------------------------- recommended

    def advice(self, dataset: str) -> Advice | None:
        """Return what is recommended for the newest version, None if that is not known yet (`ask`).

        Raises:
            DatasetError: there is no such data set.
        """
        version = get_version(self._store, dataset)
        try:
            found = read_json(self._advice_path(version))
            if found["release"] != release() or self._better_known(found):
                return None
            workflows = {goal: Workflow.model_validate(one) for goal, one in found["workflows"].items()}
            return Advice(dataset, version.number, hardware_from(found["hardware"]), Speed(*found["speed"]), workflows)
        except (StorageError, ValidationError, KeyError, TypeError):
            return None

    def rough_advice(self, dataset: str) -> Advice:
        """Return at once a rough recommendation from what is known, until `advice` has a better one.

        Raises:
            DatasetError: there is no such data set; it has no training images or a single class.
        """
        version = get_version(self._store, dataset)
        finished = count_runs(self._store.database).get(State.FINISHED, 0)
        known = hardware_path(self._store).exists()
        # runs may show the speed, the studio's runner the device
        key = (version.name, f"{version.fingerprint} {finished} {known}")
        if key not in self._rough:
            noted = noted_hardware(self._store)
            hardware = noted or cpu_hardware()
            speed, facts = known_speed(self._store, hardware) or default_speed(hardware), self.facts_of(version)
            workflows: dict[str, Workflow] = {goal: recommend(facts, goal, hardware, speed=speed) for goal in GOALS}
            if noted is None:  # there may be a GPU
                workflows = {goal: _on_any_device(one) for goal, one in workflows.items()}
            _make_room(self._rough)
            self._rough[key] = Advice(dataset, version.number, hardware, speed, workflows, rough=True)
        return self._rough[key]

    def _better_known(self, found: dict[str, Any]) -> bool:
        """Whether runs have finished since, which show the speed better than a second of measuring."""
        measured = Speed(*found["speed"]).certainty == "runs"
        return not measured and count_runs(self._store.database).get(State.FINISHED, 0) > int(found["finished"])

    def ask(self, dataset: str) -> Job:
        """Start computing a recommendation in a process of its own; return the job, possibly one already running.

        Raises:
            DatasetError: there is no such data set.
        """
        version = get_version(self._store, dataset)
        running = [job for job in self._jobs.of(dataset, "recommend") if job.running]
        return (
            running[0] if running else self._jobs.start("recommend", dataset, {"path": str(self._advice_path(version))})
        )

    def forget(self, dataset: str) -> None:
        """Measure this machine and compute the recommendation again at the next `ask`."""
        version = get_version(self._store, dataset)
        self._advice_path(version).unlink(missing_ok=True)
        self._rough.clear()
        self._cpu_speed = None
        forget_probes(self._store)

    def _advice_path(self, version: DatasetVersion) -> Path:
        return self._store.cache_folder / "advice" / version.name / f"{version.number}-{version.fingerprint[:16]}.json"

    # ------------------------------------------------------------------- costs

    def cost(self, advice: Advice, workflow: Workflow) -> Cost:
        """Return what a workflow costs on the data set and the device of `advice`. Raises DatasetError."""
        facts, model = self.facts_of(get_version(self._store, advice.dataset, advice.version)), workflow.model
        found = estimate(facts, workflow, advice.hardware, advice.speed)
        kind, backbone = advice.hardware.kind, backbone_named(model.family)
        training = training_speed(model.size, model.image_size, kind, advice.speed, model.family)
        return Cost(
            seconds=found.seconds,
            seconds_low=found.seconds_low,
            seconds_high=found.seconds_high,
            memory_bytes=found.memory_bytes,
            model_bytes=4 * backbone.parameters(model.size, facts.classes),
            predicted_per_second=training * EVALUATION_SPEEDUP,
            basis=found.basis,
        )

    def on_device(self, advice: Advice, device: str) -> Advice:
        """Return `advice` with the hardware and the speed of the CPU where that was chosen instead of a GPU."""
        if device != "cpu" or advice.hardware.kind == "cpu":
            return advice
        hardware = cpu_hardware()  # each time, as its free memory changes
        finished = count_runs(self._store.database).get(State.FINISHED, 0)
        if self._cpu_speed is None or self._cpu_speed[0] != finished:  # every run may show the speed
            self._cpu_speed = finished, known_speed(self._store, hardware) or default_speed(hardware)
        return replace(advice, hardware=hardware, speed=self._cpu_speed[1])

    def facts_of(self, version: DatasetVersion) -> Facts:
        """Return the facts of a version that the recommender uses. Raises DatasetError."""
        key = (version.name, version.fingerprint)
        if key not in self._facts:
            _make_room(self._facts)
            self._facts[key] = dataset_facts(version)
        elif not self._facts[key].audited and stored_audit(version) is not None:  # since the last call
            self._facts[key] = replace(self._facts[key], audited=True)
        return self._facts[key]

    # ------------------------------------------------------------------- saved

    @property
    def folder(self) -> Path:
        """Where saved workflows are, each a YAML file."""
        return self._store.home / "workflows"

    def saved(self) -> list[Saved]:
        """Return the saved workflows, the newest first."""
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            if path.name.startswith("."):
                continue  # being written
            try:
                changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                found.append(Saved(path.stem, _name_in(path), changed))
            except OSError:
                continue  # just deleted
        return sorted(found, key=lambda saved: saved.changed_at, reverse=True)

    def templates(self) -> list[str]:
        """Return the names of ready-made workflows."""
        return list_templates()

    def open(self, key: str) -> Workflow:
        """Return a saved workflow, or a ready-made one by its name.

        Raises:
            WorkflowError: it is invalid or does not exist.
        """
        path = self._path(key)
        if not path.is_file():
            if key not in list_templates():
                raise WorkflowError(f"No saved workflow is called {key!r}.", hint="Choose another one under Open.")
            return load_template(key)
        try:
            return loads(path.read_text(encoding="utf-8-sig"), f"the workflow {key!r}")
        except (OSError, UnicodeDecodeError) as error:
            raise WorkflowError(f"The workflow {key!r} can't be read: {error}.") from error

    def save(self, workflow: Workflow, name: str) -> str:
        """Save a workflow under a name, replacing one of this name; return its key.

        Raises:
            UsageError: the name is empty.
            StorageError: the disk is full or refuses.
        """
        name = " ".join(name.split())
        if not name:
            raise UsageError("A workflow needs a name to be saved.", "Give it one, such as `birds, large`.")
        same = [saved.key for saved in self.saved() if saved.name == name]
        key = same[0] if same else self._free_key(name)
        write_atomic(self._path(key), self.as_yaml(workflow.model_copy(update={"name": name})))
        return key

    def duplicate(self, key: str) -> str:
        """Save a copy of a saved workflow; return the copy's key. Raises WorkflowError or StorageError."""
        workflow = self.open(key)
        names = {saved.name for saved in self.saved()}
        name, number = f"{workflow.name} (copy)", 2
        while name in names:
            name, number = f"{workflow.name} (copy {number})", number + 1
        return self.save(workflow, name)

    def delete(self, key: str) -> None:
        """Delete a saved workflow. Raises StorageError."""
        with storage_errors(self._path(key)):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not key or key != slug(key, "", len(key)):
            raise WorkflowError(f"{key!r} is not the name of a saved workflow.")
        return self.folder / f"{key}{SUFFIX}"

    def _free_key(self, name: str) -> str:
        stem, taken = slug(name, "workflow"), {saved.key for saved in self.saved()} | set(list_templates())
        numbered = (f"{stem}-{number}" for number in range(2, 10_000))
        return stem if stem not in taken else next(key for key in numbered if key not in taken)

    # ------------------------------------------------------------- as documents

    def as_yaml(self, workflow: Workflow) -> bytes:
        """Return a workflow as YAML with a comment on its use."""
        return dumps(workflow).encode()

    def from_yaml(self, content: bytes, where: str) -> Workflow:
        """Read a workflow from an upload.

        Raises:
            WorkflowError: with every bad node and field.
        """
        if len(content) > MOST_BYTES:
            raise WorkflowError(f"{where} is larger than a workflow can be ({len(content):,} bytes).")
        try:
            return loads(content.decode("utf-8-sig"), where)
        except UnicodeDecodeError as error:
            raise WorkflowError(f"{where} is not text in UTF-8, so it can't be a workflow.") from error

    def of_run(self, run_id: str) -> Workflow:
        """Return the workflow of a run.

        Raises:
            RunError: there is no such run, or it has none yet.
        """
        document = self._store.runs.get(run_id).workflow
        try:
            return Workflow.model_validate(document)
        except ValidationError as error:
            raise RunError(f"Run {run_id} has no workflow that this release can read.") from error

    def boxes(self, workflow: Workflow) -> list[Box]:
        """Return the box of each node, in order."""
        order, above = workflow.order(), predecessors(workflow)
        boxes = []
        for place, node in enumerate(order):
            before = order[place - 1].id if place else ""
            behind = order[place + 1].id if place + 1 < len(order) else ""
            after = tuple(id_ for id_ in above[node.id] if id_ != before)
            boxes.append(Box(node.id, node.kind, node_facts(node), after, node.id in above.get(behind, ())))
        return boxes

    # ------------------------------------------------------------------ photos

    def training_photos(self, dataset: str) -> list[tuple[str, str]]:
        """Return (SHA-256, class) of the newest version's training photos. Raises DatasetError."""
        table = get_version(self._store, dataset).labelled()
        chosen = table[table["split"] == "train"]
        return list(zip(chosen["sha256"].astype(str), chosen["label"].astype(str), strict=True))


def _on_any_device(workflow: Workflow) -> Workflow:
    """Return a recommended workflow that uses the best device, whatever was known when it was made."""
    reasons = [reason for reason in workflow.reasons if reason.field != "device"]
    nodes = workflow.with_settings("training", device="auto").nodes
    return workflow.model_copy(update={"nodes": nodes, "reasons": reasons})


def _make_room(facts: dict[tuple[str, str], Any]) -> None:
    while len(facts) >= KEPT_FACTS:
        facts.pop(next(iter(facts)), None)


def _name_in(path: Path) -> str:
    """Return the name in a workflow's file, without validating the rest; else the file's name."""
    head = []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for line in file:
            if line.startswith("nodes:"):
                break
            head.append(line)
    try:
        return str(yaml.safe_load("".join(head))["name"])
    except (yaml.YAMLError, KeyError, TypeError):
        return path.stem
