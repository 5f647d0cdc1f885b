"""Made-up photos whose trivial facts are known, and the audit of a folder of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.conftest import encoded, write
from workflows.data.audit.findings import AuditReport, Finding
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.store.store import Store


def photo(seed: int, gain: float = 1.0, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A blotchy picture of random brightness and colours, width x height; `gain` darkens it."""
    generator = np.random.default_rng(seed)
    level, contrast = generator.uniform(90, 170), generator.uniform(30, 60)
    coarse = generator.normal(level, contrast, (8, 8, 3)).clip(0, 255).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float64)
    grain = generator.normal(0, 4, (size[1], size[0], 1))
    return Image.fromarray(((smooth + grain) * gain).clip(0, 255).astype(np.uint8))


def photos(folder: Path, seed: int = 0, **classes: int) -> Path:
    """Write as many made-up photos of each class as PNG files; no two are alike. Names say nothing of the class."""
    number = 1000 * seed
    for label, count in classes.items():
        for _ in range(count):
            number += 1
            write(folder / label / f"{number:06d}.png", encoded(photo(number)))
    return folder


def audited(store: Store, source: Path, name: str = "set") -> AuditReport:
    """Import a folder, and audit it."""
    add_dataset(store, name, source)
    return audit(store, get_version(store, name))


def keys(report: AuditReport) -> dict[str, str]:
    """The findings' severities by their keys, without the ever-present note of the shortcut check."""
    return {
        finding.key: finding.severity
        for finding in report.findings
        if (finding.key, finding.severity) != ("tank", "info")
    }


def found(report: AuditReport, key: str) -> Finding:
    """The finding of this key, which must be there."""
    finding = report.find(key)
    assert finding is not None, [finding.key for finding in report.findings]
    return finding
