"""How many copies of real photos are found as near duplicates, and how many that are none?

Stores a sample of photos anew in many ways (quality, size, cut, colours), and prints for each how far copies are from
their originals and how many are found; then the nearest pairs among the originals, to be looked at.

    .venv/bin/python -m tests.benchmarks.near_duplicates ../shared/data/flowers ../shared/data/hymenoptera
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from workflows.data.measures import Measures, measure_file, measures_table
from workflows.data.near import compare_thumbnails, confirmed, copies, hash_values, near_pairs, thumbnail_values

SHOWN = 60


def saved(image: Image.Image, format: str = "JPEG", quality: int = 85) -> bytes:
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, format, quality=quality)
    return stream.getvalue()


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Return an enlarged or reduced image."""
    return image.resize((max(10, round(image.width * factor)), max(10, round(image.height * factor))))


def cut(image: Image.Image, left: float, right: float) -> Image.Image:
    """Return an image without these shares at the left and top, and at the right and bottom."""
    width, height = image.size
    return image.crop(
        (round(width * left), round(height * left), round(width * (1 - right)), round(height * (1 - right)))
    )


WAYS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG, quality 75": lambda image: saved(image, quality=75),
    "JPEG, quality 30": lambda image: saved(image, quality=30),
    "JPEG, quality 10": lambda image: saved(image, quality=10),
    "WebP, quality 50": lambda image: saved(image, "WEBP", 50),
    "half the size": lambda image: saved(scaled(image, 0.5)),
    "a quarter of the size": lambda image: saved(scaled(image, 0.25)),
    "twice the size": lambda image: saved(scaled(image, 2)),
    "stretched to a square": lambda image: saved(image.resize((224, 224))),
    "2 % cut off, all round": lambda image: saved(cut(image, 0.01, 0.01)),
    "5 % cut off, all round": lambda image: saved(cut(image, 0.025, 0.025)),
    "10 % cut off, all round": lambda image: saved(cut(image, 0.05, 0.05)),
    "5 % cut off, one corner": lambda image: saved(cut(image, 0.05, 0)),
    "brightness x 1.2": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.2)),
    "contrast x 1.3": lambda image: saved(ImageEnhance.Contrast(image).enhance(1.3)),
    "saturation x 1.5": lambda image: saved(ImageEnhance.Color(image).enhance(1.5)),
    "grey": lambda image: saved(image.convert("L")),
    "turned by 2 degrees": lambda image: saved(image.rotate(2, Image.Resampling.BICUBIC)),
    "mirrored (not looked for)": lambda image: saved(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}


def compared(originals: Sequence[Measures], others: Sequence[Measures]) -> pd.DataFrame:
    """Return how far each image is from its counterpart, with the columns of `near_pairs`."""
    both = pd.concat(
        [measures_table({f"{number:06}": item for number, item in enumerate(part)}) for part in (originals, others)]
    )
    hashes, thumbnails = hash_values(both["phash"]), thumbnail_values(both["thumbnail"])
    first = np.arange(len(originals))
    colour, correlation = compare_thumbnails(thumbnails, first, first + len(originals))
    distance = np.bitwise_count(hashes[first] ^ hashes[first + len(originals)])
    pairs = pd.DataFrame({"distance": distance, "colour": colour, "correlation": correlation})
    return pairs.assign(near=(distance <= 10) & confirmed(pairs), copy=pairs.index.isin(copies(pairs).index))


def main() -> None:
    """Print a line for each way, then the pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="real photos")
    parser.add_argument("--sample", type=int, default=250, help="photos that are stored anew")
    arguments = parser.parse_args()
    paths = sorted(path for folder in arguments.folders for path in folder.rglob("*.jpg"))
    sample = random.Random(1).sample(paths, min(arguments.sample, len(paths)))
    originals = [measure_file(path) for path in sample]
    print(
        f"{len(sample)} photos of {len(paths)}\n\n| copy | bits: median | 99 % | found as near duplicate | as a copy |"
    )
    print("|---|---|---|---|---|")
    for way, store_anew in WAYS.items():
        contents = (store_anew(Image.open(path).convert("RGB")) for path in sample)
        pairs = compared(originals, [measure_file(content) for content in contents])
        bits = pairs["distance"].quantile([0.5, 0.99]).round(0).astype(int).tolist()
        print(
            f"| {way} | {bits[0]} | {bits[1]} | {pairs['near'].mean():.1%} | {pairs['copy'].mean():.1%} |", flush=True
        )
    pairs = near_pairs(measures_table({str(path): measure_file(path) for path in paths}))
    print(f"\n{len(pairs)} near duplicates (exact ones included) among {len(paths)} originals, the farthest first:\n")
    print(pairs.sort_values("distance", ascending=False).head(SHOWN).to_string(index=False))


if __name__ == "__main__":
    main()
