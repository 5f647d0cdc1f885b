"""How many photos a second does an import take in, and an audit look at, and how much memory do they need?

Makes sets of 640 x 480 JPEGs (about 70 KB, no two alike; kept in the folder given and used again), imports and audits
each in a process of its own, and prints images per second and peak memory.

    .venv/bin/python -m tests.benchmarks.import_scale /tmp/synthetic --images 1000 10000 100000
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.store.store import Store

WIDTH, HEIGHT, QUALITY = 640, 480, 85
CLASSES = 10


def make_photo(folder: Path, number: int) -> None:
    """Write photo `number`: shapes at several scales, as photos have them, and a little grain."""
    path = folder / f"class {number % CLASSES}" / f"{number:06}.jpg"
    if path.exists():
        return
    generator = np.random.default_rng(number)
    pixels = np.full((HEIGHT, WIDTH, 3), generator.uniform(70, 180), np.float32)
    for cells, strength in ((4, 45), (12, 30), (40, 20), (130, 14)):  # strength falls with frequency, roughly as 1/f
        coarse = generator.normal(0, strength, (cells, cells, 3)).astype(np.float32) + 128
        layer = Image.fromarray(coarse.clip(0, 255).astype(np.uint8))
        pixels += np.asarray(layer.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR), np.float32) - 128
    grain = np.roll(_grain(), number % WIDTH, axis=1)
    partial_path = path.with_suffix(".part")
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(partial_path, "JPEG", quality=QUALITY)
    partial_path.rename(path)


def _grain() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 5, (HEIGHT, WIDTH, 1)).astype(np.float32)


def make_photos(folder: Path, images: int) -> float:
    """Write what is missing of a set of photos; return its mean size in bytes."""
    for number in range(CLASSES):
        (folder / f"class {number}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(partial(make_photo, folder), range(images), chunksize=64):
            pass
    return float(np.mean([path.stat().st_size for path in folder.glob("*/*.jpg")]))


def import_photos(home: Path, source: Path) -> None:
    """Import a folder."""
    add_dataset(Store(home), "photos", source)


def audit_photos(home: Path, _source: Path) -> None:
    """Audit what was imported."""
    store = Store(home)
    audit(store, get_version(store, "photos"))


def timed(work: Callable[[Path, Path], None], home: Path, source: Path) -> tuple[float, float, float]:
    """Do work in a process of its own; return its seconds, those of all cores, and its peak memory in MB."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, home, source).result()


def _measured(work: Callable[[Path, Path], None], home: Path, source: Path) -> tuple[float, float, float]:
    started, busy = time.perf_counter(), time.process_time()
    work(home, source)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KB elsewhere
    return seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Measure each size, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the photos are kept")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000], help="sizes of the sets")
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    print(
        "| images | KB each | import, images/s | CPU ms each | MB at most | audit, images/s | CPU ms each | MB at most |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for images in arguments.images:
        source = arguments.folder / str(images)
        size = make_photos(source, images)
        with tempfile.TemporaryDirectory(dir=arguments.folder) as home:
            steps = [timed(work, Path(home), source) for work in (import_photos, audit_photos)]
        cells = [f"{images / wall:,.0f} | {1000 * busy / images:.1f} | {memory:,.0f}" for wall, busy, memory in steps]
        print(f"| {images:,} | {size / 1000:.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
