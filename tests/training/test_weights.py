"""First weights: found, refused, converted; never random without being asked."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from ultralytics.nn.tasks import ClassificationModel

from workflows.backbones.yolov8 import YOLOV8
from workflows.errors import WeightsError
from workflows.training.weights import load_weights, resolve_weights


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIELDGUIDE_WEIGHTS", raising=False)


def state(size: str = "n", classes: int = 1000, head: bool = True) -> dict[str, torch.Tensor]:
    found = YOLOV8.build(size, classes, 224).state_dict()
    return {name: value.contiguous() for name, value in found.items() if head or ".linear." not in name}


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.marker,))


def test_none_is_random(tmp_path: Path) -> None:
    assert resolve_weights("none", "n", tmp_path).path is None


def test_auto_finds_safetensors_in_our_folder(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "yolov8n-cls.safetensors")
    assert resolve_weights("auto", "n", tmp_path).path == tmp_path / "yolov8n-cls.safetensors"


def test_auto_looks_where_the_environment_says_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        save_file(state(), tmp_path / name / "yolov8n-cls.safetensors")
    monkeypatch.setenv("FIELDGUIDE_WEIGHTS", str(tmp_path / "theirs"))
    assert resolve_weights("auto", "n", tmp_path / "ours").path == tmp_path / "theirs" / "yolov8n-cls.safetensors"
    monkeypatch.setenv("FIELDGUIDE_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match="FIELDGUIDE_WEIGHTS"):
        resolve_weights("auto", "n", tmp_path / "ours")


def test_what_cannot_be_had_names_three_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(YOLOV8, "weights_url", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(WeightsError) as caught:
        resolve_weights("auto", "n", tmp_path)
    for way in (str(tmp_path), "--weights FILE", "--weights none"):
        assert way in str(caught.value)


def test_weights_without_a_classifier_load_into_any_number_of_classes(tmp_path: Path) -> None:
    save_file(state(head=False), tmp_path / "backbone.safetensors")
    path = resolve_weights(str(tmp_path / "backbone.safetensors"), "n", tmp_path).path
    model = YOLOV8.build("n", 7, 224)
    assert load_weights(model, path) == ["model.9.linear.weight", "model.9.linear.bias"]
    torch.testing.assert_close(model.state_dict()["model.0.conv.weight"], load_file(path)["model.0.conv.weight"])


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    save_file(state("s"), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="YOLOv8n-cls"):
        resolve_weights(str(tmp_path / "other.safetensors"), "n", tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_damaged_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        resolve_weights(str(tmp_path / "bad.safetensors"), "n", tmp_path)


@pytest.mark.parametrize("trust", [False, True])
def test_a_hostile_pickle_never_runs(tmp_path: Path, trust: bool) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "bad.pt").write_bytes(pickle.dumps({"model": Bomb(marker)}))
    with pytest.raises(WeightsError):
        resolve_weights(str(tmp_path / "bad.pt"), "n", tmp_path, trust=trust)
    assert not marker.exists()


def test_an_unknown_checkpoint_needs_trust_and_is_converted_once(tmp_path: Path) -> None:
    model = ClassificationModel("yolov8n-cls.yaml", ch=3, nc=10, verbose=False)
    torch.save({"model": model, "train_args": {}, "epoch": -1}, tmp_path / "mine.pt")
    with pytest.raises(WeightsError, match="unknown checksum"):
        resolve_weights(str(tmp_path / "mine.pt"), "n", tmp_path / "weights")
    found = resolve_weights(str(tmp_path / "mine.pt"), "n", tmp_path / "weights", trust=True)
    assert found.path is not None
    assert found.path.suffix == ".safetensors"
    torch.testing.assert_close(load_file(found.path)["model.0.conv.weight"], model.state_dict()["model.0.conv.weight"])
    changed = found.path.stat().st_mtime_ns
    assert resolve_weights(str(tmp_path / "mine.pt"), "n", tmp_path / "weights", trust=True).path == found.path
    assert found.path.stat().st_mtime_ns == changed


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing\.safetensors"):
        resolve_weights(str(tmp_path / "nothing.safetensors"), "n", tmp_path)


def test_known_checksums_are_sha256() -> None:
    assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in YOLOV8.weights_checksums)


def test_the_shared_backbone_fits(shared: Path, tmp_path: Path) -> None:
    path = shared / "weights" / "yolov8n-cls-backbone.safetensors"
    assert resolve_weights(str(path), "n", tmp_path).path == path.resolve()
