"""Where a network's first weights come from: official ImageNet weights, a file, or chance.

A `.pt` file is a pickle and can run code when it is read: only files whose checksum is known are read
without an explicit word of trust, and all are read with `weights_only`. What we keep is safetensors.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from workflows.errors import DownloadError, WeightsError
from workflows.graph.settings import ModelSize
from workflows.store.download import Patience, Remote, download
from workflows.store.files import atomic_path, sha256_of
from workflows.training.network import Classifier

WEIGHTS_VARIABLE = "FIELDGUIDE_WEIGHTS"
"""A file, or a folder of files, to look at before the network is asked."""

DOWNLOAD = "https://github.com/ultralytics/assets/releases/download/v8.4.0"

KNOWN_CHECKPOINTS = {
    # SHA-256 of official release files, as published in the Git LFS pointers of public repositories.
    "11fa19f2aea79bc960d680a13f82f22105982b325eb9e17a4a5e1a9f8245980a": "yolov8n-cls.pt",
    "864010e833b46be542ed849b2eb0fdacf51e4679dc677c18dcc4505244d08ec1": "yolov8m-cls.pt",
    "78eee110c8dddafcd5b0b7742eba9a351f117a2f67944c86019bd53138f00954": "yolov8x-cls.pt",
}


@dataclass(frozen=True)
class Weights:
    """Chosen weights: a safetensors file (None = random) and, in words, where they are from."""

    path: Path | None
    origin: str
    sha256: str | None


def resolve_weights(choice: str, size: ModelSize, folder: Path, *, trust: bool = False) -> Weights:
    """Find the weights that `choice` means, as a safetensors file.

    Args:
        choice: `auto`, `none`, or the path of a `.safetensors` or `.pt` file.
        size: the model size they must fit.
        folder: our folder of weights; downloads and converted files are kept there.
        trust: unpickle a `.pt` whose checksum is not known.

    Raises:
        WeightsError: they can't be had, can't be read, or don't fit. Never falls back to random weights.
    """
    if choice == "none":
        return Weights(None, "random weights", None)
    if choice == "auto":
        return _official(size, folder, trust)
    path = Path(choice).expanduser()
    if not path.is_file():
        raise WeightsError(f"No weights file at {path}.", _ways_out(size, folder))
    return _from_file(path, size, folder, trust)


def _official(size: ModelSize, folder: Path, trust: bool) -> Weights:
    for path in _local_candidates(size, folder):
        return _from_file(path, size, folder, trust)
    return _download(size, folder)


def _local_candidates(size: ModelSize, folder: Path) -> list[Path]:
    """Return local files for `size`: what the environment names first, safetensors before pickles."""
    named = os.environ.get(WEIGHTS_VARIABLE)
    if named and not Path(named).expanduser().exists():
        raise WeightsError(f"{WEIGHTS_VARIABLE} names {named}, which does not exist.", "Correct or unset it.")
    if named and Path(named).expanduser().is_file():
        return [Path(named).expanduser()]
    folders = [Path(named).expanduser(), folder] if named else [folder]
    return [
        path
        for each in folders
        for pattern in (f"yolov8{size}-cls*.safetensors", f"yolov8{size}-cls*.pt")
        for path in sorted(each.glob(pattern))
    ]


def local_sizes(folder: Path) -> tuple[ModelSize, ...]:
    """Return the model sizes whose first weights lie on this machine, smallest first."""
    return tuple(size for size in get_args(ModelSize) if _local_candidates(size, folder))


def _download(size: ModelSize, folder: Path) -> Weights:
    name = f"yolov8{size}-cls.pt"
    known = {name: sha256 for sha256, name in KNOWN_CHECKPOINTS.items()}
    try:
        download(Remote(f"{DOWNLOAD}/{name}", sha256=known.get(name)), folder / name, patience=Patience(attempts=1))
    except DownloadError as error:
        raise WeightsError(
            f"The official ImageNet weights {name} are not on this machine and can't be downloaded: {error.message}",
            _ways_out(size, folder),
        ) from error
    return _from_file(folder / name, size, folder, trust=False)


def _ways_out(size: ModelSize, folder: Path) -> str:
    return (
        f"Three ways out: put yolov8{size}-cls.pt or .safetensors into {folder} (or name its folder in "
        f"{WEIGHTS_VARIABLE}); or pass --weights FILE; or train from random weights with --weights none."
    )


def _from_file(path: Path, size: ModelSize, folder: Path, trust: bool) -> Weights:
    sha256 = sha256_of(path)
    if path.suffix == ".safetensors":
        _check_fit(read_safetensors(path), size, path)
        return Weights(path.resolve(), path.name, sha256)
    if path.suffix != ".pt":
        raise WeightsError(f"{path} is neither a .safetensors nor a .pt file.", _ways_out(size, folder))
    if sha256 not in KNOWN_CHECKPOINTS and not trust:
        raise WeightsError(
            f"{path.name} is a pickle with an unknown checksum (SHA-256 {sha256[:16]}…), and reading one can run code.",
            "If you know where it is from, pass --trust; or use a .safetensors file.",
        )
    return _converted(path, sha256, size, folder)


def _converted(path: Path, sha256: str, size: ModelSize, folder: Path) -> Weights:
    """Convert a checkpoint to safetensors once; later runs find it by its checksum."""
    target = folder / "converted" / f"{path.stem}-{sha256[:16]}.safetensors"
    if not target.exists():
        state = _read_checkpoint(path)
        _check_fit(state, size, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as partial:
            save_file(state, partial)
    return Weights(target, f"{path.name} ({KNOWN_CHECKPOINTS.get(sha256, 'trusted by you')})", sha256)


def _read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    from ultralytics.nn.tasks import load_checkpoint

    try:
        model, _ = load_checkpoint(str(path))
    except Exception as error:  # a damaged or hostile pickle can raise anything
        raise WeightsError(f"{path} can't be read as a YOLO checkpoint ({type(error).__name__}: {error}).") from error
    return {name: value.contiguous() for name, value in model.float().state_dict().items()}


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors state dict. Raises WeightsError if it is damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}).") from error


def _check_fit(state: dict[str, torch.Tensor], size: ModelSize, path: Path) -> None:
    with torch.device("meta"):
        expected = Classifier(size, classes=2).state_dict()
    # the classifier layer depends on the classes, and the batch counters matter to nobody
    wanted = [name for name in expected if ".linear." not in name and not name.endswith("num_batches_tracked")]
    wrong = [name for name in wanted if name not in state or state[name].shape != expected[name].shape]
    if wrong:
        raise WeightsError(
            f"{path.name} does not fit YOLOv8{size}-cls: {len(wrong)} of {len(wanted)} tensors are missing or have "
            f"another shape ({wrong[0]} first).",
            f"Use weights of YOLOv8{size}-cls, or choose the model size that they belong to.",
        )


def load_weights(model: Classifier, path: Path) -> list[str]:
    """Load a safetensors file into `model` and return the names of what it left at random (the new classifier)."""
    state = read_safetensors(path)
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting and not name.endswith("num_batches_tracked")]
