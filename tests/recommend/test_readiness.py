"""What is known before a training: each thing that would end it is found, with ways out, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.recommend.builders import GB, make_cpu, make_facts
from workflows.backbones.yolov8 import YOLOV8
from workflows.data.audit.run import audit
from workflows.data.importing import add_dataset
from workflows.data.pixels import SquareTransform, open_pixels
from workflows.data.version import DatasetVersion
from workflows.errors import WeightsError
from workflows.graph.workflow import Workflow, load_template
from workflows.nodes.split import split_records
from workflows.recommend import readiness as module
from workflows.recommend.readiness import Check, is_ready, readiness
from workflows.store.store import Store
from workflows.training import weight_files
from workflows.training.weight_files import WeightFiles

KINDS = {"0": 12, "1": 12}


@pytest.fixture
def version(home: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetVersion]:
    monkeypatch.delenv("FIELDGUIDE_WEIGHTS", raising=False)
    monkeypatch.setattr(weight_files, "has_network", lambda: True)
    yield add_dataset(Store(home), "digits", tiny_source).version


@pytest.fixture
def workflow() -> Workflow:
    return load_template("fast-photos").with_settings("model", weights="none")


def look(version: DatasetVersion, workflow: Workflow, store: Store, **changes: object) -> dict[str, Check]:
    found = readiness(store, version, workflow, make_cpu(), **changes)  # type: ignore[arg-type]
    return {check.subject: check for check in found}


def ways(check: Check) -> list[str]:
    return [way.key for way in check.ways]


def test_a_sound_machine_is_ready(version: DatasetVersion, workflow: Workflow, home: Path) -> None:
    store = Store(home)
    before = look(version, workflow, store)
    assert (before["audit"].state, ways(before["audit"])) == ("warn", ["audit"]), "nobody knows what it would find"
    audit(store, version)
    found = look(version, workflow, store)
    assert {check.state for check in found.values()} == {"ok"}
    assert is_ready(found.values())


@pytest.mark.parametrize(("device", "gpus", "state"), [
    ("1", 1, "fail"), ("0,1", 1, "fail"), ("0", 0, "fail"), ("0", 1, "ok"), ("0,1", 2, "ok"),
    ("3", None, "ok"), ("auto", 0, "ok"), ("cpu", 0, "ok"), ("gpu", None, "fail"), ("0, 1", 2, "fail"),
])  # fmt: skip
def test_a_device_that_is_not_there(
    device: str, gpus: int | None, state: str, version: DatasetVersion, workflow: Workflow, home: Path
) -> None:
    found = look(version, workflow, Store(home), device=device, gpus=gpus)["device"]
    assert (found.state, ways(found)) == (state, ["device-auto"] if state == "fail" else [])


def test_too_little_memory_is_a_warning_with_smaller_things_to_try(
    version: DatasetVersion, workflow: Workflow, home: Path
) -> None:
    large = workflow.with_settings("model", size="x", image_size=640).with_settings("training", batch=256)
    found = look(version, large, Store(home))["memory"]
    assert (found.state, ways(found)) == ("warn", ["smaller-batch", "smaller-images"])
    assert found.ways[1].command == "--size 480"


def test_a_full_disk_is_found_unless_the_photos_are_decoded_already(
    version: DatasetVersion, workflow: Workflow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(home)
    small = workflow.with_settings("model", image_size=64)
    checkpoints = module.checkpoint_bytes(YOLOV8.parameters(small.model.size, 3))
    monkeypatch.setattr(module, "free_bytes", lambda _path: checkpoints + 1000)
    assert look(version, small, store)["disk"].state == "fail"
    transform = SquareTransform(64, small.model.square, version.rendering())
    open_pixels(split_records(version, small.split, store.blobs), store.blobs.path, transform, store.cache_folder)
    assert look(version, small, store)["disk"].state == "ok"
    monkeypatch.setattr(module, "free_bytes", lambda _path: checkpoints - 1)
    assert look(version, small, store)["disk"].state == "fail"


def test_what_auto_means_for_the_weights_is_said(
    version: DatasetVersion, workflow: Workflow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, auto = Store(home), workflow.with_settings("model", weights="auto", size="n")
    absent = look(version, auto, store)["weights"]
    assert (absent.state, ways(absent)) == ("warn", ["download-weights", "random-weights"])
    assert "yolov8n-cls.pt" in absent.text and "5 MB" in absent.text
    monkeypatch.setattr(weight_files, "has_network", lambda: False)
    offline = look(version, auto, store)["weights"]
    assert (offline.state, ways(offline)) == ("fail", ["random-weights"])
    store.weights_folder.mkdir(parents=True, exist_ok=True)
    save_file({"a": torch.zeros(1)}, store.weights_folder / "yolov8n-cls.safetensors")
    assert look(version, auto, store)["weights"].state == "ok"
    other = look(version, workflow.with_settings("model", weights=str(home / "none.pt")), store)["weights"]
    assert (other.state, ways(other)) == ("fail", ["official-weights", "random-weights"])


def test_a_pickle_that_nobody_knows_stops_it_unless_it_is_trusted(
    version: DatasetVersion, workflow: Workflow, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.pt"
    file.write_bytes(b"anything")
    own = workflow.with_settings("model", weights=str(file))
    assert look(version, own, Store(home))["weights"].state == "fail"
    assert look(version, own, Store(home), trust=True)["weights"].state == "ok"


def test_a_download_that_failed_is_remembered_for_a_while(
    version: DatasetVersion, workflow: Workflow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(YOLOV8, "weights_url", "http://127.0.0.1:9")  # nobody listens there
    store, auto = Store(home), workflow.with_settings("model", weights="auto")
    with pytest.raises(WeightsError):
        WeightFiles(YOLOV8, auto.model.size, store.weights_folder).download()
    found = look(version, auto, store)["weights"]
    assert (found.state, ways(found)) == ("fail", ["download-weights", "random-weights"])
    monkeypatch.setattr(weight_files, "FAILURE_SECONDS", -1.0)
    assert look(version, auto, store)["weights"].state == "warn"


def test_a_split_without_the_photos_that_a_training_needs(
    version: DatasetVersion, workflow: Workflow, home: Path
) -> None:
    store = Store(home)
    for facts in (make_facts(KINDS, val_images=0), make_facts({**KINDS, "4": 0})):
        found = look(version, workflow, store, facts=facts)["split"]
        assert (found.state, ways(found)) == ("fail", ["new-split"])
        assert look(version, workflow.with_settings("split", source="new"), store, facts=facts)["split"].state == "ok"
    untested = make_facts(KINDS, test_images=0)
    found = look(version, workflow, store, facts=untested)["split"]
    assert (found.state, ways(found)) == ("warn", ["set-aside"])
    final = workflow.with_settings("split", train_on="train+val")
    assert look(version, final, store, facts=untested)["split"].state == "fail"


def test_errors_of_the_audit_stop_it_until_they_are_fixed_or_allowed(
    home: Path, tiny_source: Path, tmp_path: Path, workflow: Workflow
) -> None:
    store, source = Store(home), tmp_path / "twice"
    for split in ("train", "val", "test"):
        for name in ("0", "1"):
            (source / split / name).mkdir(parents=True)
            for number in range(4):
                target = source / split / name / f"{split}-{number}.png"
                first = number == 0 and split != "train"
                origin = tiny_source / name / f"{0 if first else number + 4 * len(split)}.png"
                target.write_bytes((tiny_source / name / "12.png" if first else origin).read_bytes())
    version = add_dataset(store, "leaky", source).version
    report = audit(store, version)
    assert report.errors
    found = look(version, workflow, store)["audit"]
    assert found.state == "fail" and "fix" in ways(found) and "allow" in ways(found)
    assert found.ways[-1].command == " ".join(f"--allow {finding.key}" for finding in report.errors)
    assert look(version, workflow, store, allow=[one.key for one in report.errors])["audit"].state == "ok"


def test_memory_is_counted_for_the_given_device(version: DatasetVersion, workflow: Workflow, home: Path) -> None:
    found = readiness(Store(home), version, workflow, make_cpu(memory=0.5 * GB))
    assert next(check for check in found if check.subject == "memory").state == "warn"
