"""Where a network's first weights come from: official ImageNet weights, a file, or chance.

A `.pt` file is a pickle and can run code when it is read: only files whose checksum is known are read
without an explicit word of trust, and all are read with `weights_only`. What we keep is safetensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from workflows import settings
from workflows.backbones.base import REFERENCE_SIZE, Backbone
from workflows.backbones.network import Network
from workflows.backbones.yolov8 import YOLOV8
from workflows.errors import WeightsError
from workflows.store.files import atomic_path, sha256_of
from workflows.training.weight_files import WeightFiles


@dataclass(frozen=True)
class Weights:
    """Chosen weights: a safetensors file (None = random) and, in words, where they are from."""

    path: Path | None
    origin: str
    sha256: str | None


def resolve_weights(
    choice: str, size: str, folder: Path, backbone: Backbone = YOLOV8, *, trust: bool = False
) -> Weights:
    """Find the weights that `choice` means, as a safetensors file.

    Args:
        choice: `auto`, `none`, or the path of a `.safetensors` or `.pt` file.
        size: the model size they must fit.
        folder: our folder of weights; downloads and converted files are stored there.
        backbone: the family they must fit.
        trust: unpickle a `.pt` whose checksum is not known.

    Raises:
        WeightsError: they can't be had, can't be read, or don't fit. Never falls back to random weights.
    """
    if choice == "none":
        return Weights(None, "random weights", None)
    search = _Search(backbone, size, folder, trust)
    if choice == "auto":
        return search.official()
    path = Path(choice).expanduser()
    if not path.is_file():
        raise WeightsError(f"No weights file at {path}.", search.ways_out())
    return search.from_file(path)


def local_sizes(folder: Path, backbone: Backbone) -> tuple[str, ...]:
    """Return the sizes of a backbone whose first weights lie on this machine, smallest first.

    None of them if the environment names one file: that fits one size only.
    """
    named = settings.WEIGHTS.read()
    if named and Path(named).expanduser().is_file():
        return ()
    return tuple(size for size in backbone.sizes if _Search(backbone, size, folder, trust=False).local())


@dataclass(frozen=True)
class _Search(WeightFiles):
    """The search for the weights of one size of a backbone, which reads what it finds."""

    trust: bool

    def official(self) -> Weights:
        for path in self.local():
            return self.from_file(path)
        return _Search(self.backbone, self.size, self.folder, trust=False).from_file(self.download())

    def from_file(self, path: Path) -> Weights:
        sha256 = sha256_of(path)
        if path.suffix == ".safetensors":
            self._check_fit(read_safetensors(path), path)
            return Weights(path.resolve(), path.name, sha256)
        if path.suffix != ".pt":
            raise WeightsError(f"{path} is neither a .safetensors nor a .pt file.", self.ways_out())
        if sha256 not in self.backbone.weights_checksums and not self.trust:
            raise WeightsError(
                f"{path.name} is a pickle with an unknown checksum (SHA-256 {sha256[:16]}…), and reading one can run "
                "code.",
                "If you know where it is from, pass --trust; or use a .safetensors file.",
            )
        return self._converted(path, sha256)

    def _converted(self, path: Path, sha256: str) -> Weights:
        """Convert a checkpoint to safetensors once; later runs find it by its checksum."""
        target = self.folder / "converted" / f"{path.stem}-{sha256[:16]}.safetensors"
        if not target.exists():
            state = self._read_checkpoint(path)
            self._check_fit(state, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(target) as partial:
                save_file(state, partial)
        return Weights(target, f"{path.name} ({self.backbone.weights_checksums.get(sha256, 'trusted by you')})", sha256)

    def _read_checkpoint(self, path: Path) -> dict[str, torch.Tensor]:
        try:
            return self.backbone.read_checkpoint(path)
        except Exception as error:  # a damaged or hostile pickle can raise anything
            raise WeightsError(
                f"{path} can't be read as a checkpoint of {self.title} ({type(error).__name__}: {error})."
            ) from error

    def _check_fit(self, state: dict[str, torch.Tensor], path: Path) -> None:
        with torch.device("meta"):
            network = self.backbone.build(self.size, 2, REFERENCE_SIZE)
        expected, head = network.state_dict(), network.head_names
        # the last layer depends on the classes, and the batch counters matter to nobody
        wanted = [name for name in expected if name not in head and not name.endswith("num_batches_tracked")]
        wrong = [name for name in wanted if name not in state or state[name].shape != expected[name].shape]
        if wrong:
            raise WeightsError(
                f"{path.name} does not fit {self.title}: {len(wrong)} of {len(wanted)} tensors are missing or have "
                f"another shape ({wrong[0]} first).",
                f"Use weights of {self.title}, or choose the model size that they belong to.",
            )


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors state dict. Raises WeightsError if it is damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}).") from error


def load_weights(network: Network, path: Path) -> list[str]:
    """Load a safetensors file into `network` and return the names of what it left at random (the new last layer)."""
    state = read_safetensors(path)
    own = network.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting and not name.endswith("num_batches_tracked")]
