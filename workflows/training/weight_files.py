"""The files of a network's first weights: which are on this machine, and the official ones to download.

Reads no weights and needs no PyTorch, so that a page can say beforehand what `auto` will be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psutil

from workflows import settings
from workflows.backbones.base import Backbone
from workflows.errors import DownloadError, StorageError, WeightsError
from workflows.store.download import Patience, Remote, download
from workflows.store.files import read_json, sha256_of, write_json

OFFICIAL_CLASSES = 1000
BYTES_PER_OFFICIAL_WEIGHT = 2
"""The official files hold 16-bit numbers."""
FAILURE_SECONDS = 1800.0
"""For so long after a failed download another one is expected to fail, too."""


@dataclass(frozen=True)
class Planned:
    """What the first weights of a training will be.

    Attributes:
        kind: `random`; a `file` on this machine; a `download` that the training starts with; or `none` to be had.
        text: the same in words.
        path: the file on this machine.
    """

    kind: Literal["random", "file", "download", "none"]
    text: str
    path: Path | None = None


@dataclass(frozen=True)
class WeightFiles:
    """The files of weights of one size of a backbone.

    Attributes:
        backbone: the family.
        size: one of its sizes.
        folder: our folder of weights, where downloads go.
    """

    backbone: Backbone
    size: str
    folder: Path

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return self.backbone.weights_stem(self.size)

    @property
    def title(self) -> str:
        """What the network is called."""
        return self.backbone.titled(self.size)

    def local(self) -> list[Path]:
        """Return local files: what the environment names first, safetensors before pickles.

        Raises:
            WeightsError: the environment names what does not exist.
        """
        named = settings.WEIGHTS.read()
        if named and not Path(named).expanduser().exists():
            raise WeightsError(
                f"{settings.WEIGHTS.variable} names {named}, which does not exist.", "Correct or unset it."
            )
        if named and Path(named).expanduser().is_file():
            return [Path(named).expanduser()]
        folders = [Path(named).expanduser(), self.folder] if named else [self.folder]
        patterns = (f"{self.stem}*.safetensors", f"{self.stem}*.pt")
        return [path for each in folders for pattern in patterns for path in sorted(each.glob(pattern))]

    def remote(self) -> Remote | None:
        """Return the official file on the network; None if there is none."""
        if not self.backbone.weights_url:
            return None
        name = f"{self.stem}.pt"
        known = {name: sha256 for sha256, name in self.backbone.weights_checksums.items()}
        return Remote(f"{self.backbone.weights_url}/{name}", sha256=known.get(name))

    def download(self) -> Path:
        """Download the official file, and note it if that fails. Raises WeightsError."""
        remote = self.remote()
        if remote is None:
            raise WeightsError(f"There are no official weights of {self.title} to download.", self.ways_out())
        target = self.folder / f"{self.stem}.pt"
        try:
            download(remote, target, patience=Patience(attempts=1))
        except DownloadError as error:
            write_json(self._failure, {"error": error.message, "at": datetime.now(UTC).isoformat()})
            raise WeightsError(
                f"The official ImageNet weights {target.name} are not on this machine and can't be downloaded: "
                f"{error.message}",
                self.ways_out(),
            ) from error
        self._failure.unlink(missing_ok=True)
        return target

    @property
    def _failure(self) -> Path:
        return self.folder / f"{self.stem}.failed-download.json"

    def recent_failure(self) -> str:
        """Return why the last download failed, if that was a short while ago; else nothing."""
        try:
            noted = read_json(self._failure)
            seconds = (datetime.now(UTC) - datetime.fromisoformat(noted["at"])).total_seconds()
            return str(noted["error"]) if seconds < FAILURE_SECONDS else ""
        except (StorageError, KeyError, TypeError, ValueError):
            return ""

    def ways_out(self) -> str:
        """Say what to do where there are no weights."""
        return (
            f"Three ways out: put {self.stem}.pt or .safetensors into {self.folder} (or name its folder in "
            f"{settings.WEIGHTS.variable}); or pass --weights FILE; or train from random weights with --weights none."
        )

    def planned(self, choice: str, *, trust: bool = False) -> Planned:
        """Say what the weights will be that `choice` (`auto`, `none` or a path) means, as far as files show it.

        Args:
            choice: as in the workflow.
            trust: whether a `.pt` file with an unknown checksum may be read.
        """
        if choice == "none":
            return Planned("random", "random weights")
        if choice != "auto":
            path = Path(choice).expanduser()
            return self._from(path, trust) if path.is_file() else Planned("none", f"there is no file {path}")
        try:
            found = self.local()
        except WeightsError as error:
            return Planned("none", error.message.rstrip("."))
        return self._from(found[0], trust) if found else self._to_download()

    def _from(self, path: Path, trust: bool) -> Planned:
        if path.suffix == ".pt" and not trust and _digest(path, path.stat().st_mtime_ns) not in self._known:
            return Planned("none", f"{path} is a pickle with an unknown checksum, which can run code when it is read")
        if path.suffix not in (".pt", ".safetensors"):
            return Planned("none", f"{path} is neither a .safetensors nor a .pt file")
        return Planned("file", f"{path.name}, on this machine ({path.parent})", path)

    @property
    def _known(self) -> set[str]:
        return set(self.backbone.weights_checksums)

    def _to_download(self) -> Planned:
        remote = self.remote()
        if remote is None:
            return Planned("none", f"there are no official weights of {self.title}")
        name, place = f"{self.stem}.pt", urlsplit(remote.url).hostname
        if not has_network():
            return Planned("none", f"{name} is not on this machine, and it has no network connection to download it")
        if failure := self.recent_failure():
            return Planned(
                "none", f"{name} is not on this machine, and the last download failed: {failure.rstrip('.')}"
            )
        size = BYTES_PER_OFFICIAL_WEIGHT * self.backbone.parameters(self.size, OFFICIAL_CLASSES) / 1e6
        return Planned(
            "download", f"{name} is not on this machine; about {size:.0f} MB are downloaded from {place} once"
        )


def has_network() -> bool:
    """Return whether this machine has a network besides itself. Only looks; nothing is sent."""
    return any(stats.isup and not name.startswith("lo") for name, stats in psutil.net_if_stats().items())


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int) -> str:
    return sha256_of(path)
