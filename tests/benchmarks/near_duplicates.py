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

from tests.data.exposures import exposures, part_of
from workflows.data.look_alikes import look_alikes
from workflows.data.measures import Measures, measure_file, measures_table
from workflows.data.near import copies, hash_values
from workflows.data.splits import assign_splits

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
    """Return for each image how many bits its counterpart is away, and whether both are found as `near` and `copy`."""
    count = len(originals)
    named = [
        {f"{number:06} {turn}": item for number, item in enumerate(part)}
        for turn, part in enumerate((originals, others))
    ]
    table = measures_table(named[0] | named[1])
    hashes = hash_values(table["phash"]).reshape(count, 2)
    pairs = look_alikes(table).pairs
    own = pairs[pairs["first"].str[:6] == pairs["second"].str[:6]]
    numbers = [set(part["first"].str[:6].astype(int)) for part in (own, copies(own))]
    return pd.DataFrame(
        {
            "distance": np.bitwise_count(hashes[:, 0] ^ hashes[:, 1]),
            "near": [number in numbers[0] for number in range(count)],
            "copy": [number in numbers[1] for number in range(count)],
        }
    )


def textured(parts: int, most: int) -> str:
    """Return a line about grey pictures of textured parts, with up to so many exposures of each."""
    images = exposures(parts, most=most)
    names = sorted(images)
    found = look_alikes(measures_table({name: measure_file(images[name]) for name in names}))
    true = sum(
        part_of(one) == part_of(other) for one, other in zip(found.pairs["first"], found.pairs["second"], strict=True)
    )
    sizes = pd.Series([part_of(name) for name in names]).value_counts()
    wanted = int((sizes * (sizes - 1) // 2).sum())
    groups = pd.Series(found.groups, dtype=object)
    table = pd.DataFrame(
        {"sha256": names, "label": [part_of(name)[-1:] for name in names], "group": None, "split": None}
    )
    splits = pd.Series(assign_splits(table.assign(near=table["sha256"].map(dict(found.groups)))))
    torn = int((splits.groupby(table["sha256"].map(part_of)).nunique() > 1).sum())
    recall = f"{true / wanted:.1%}" if wanted else "-"
    return (
        f"| {len(names)} of {parts} parts | {recall} | {len(found.pairs) - true} | {groups.nunique()} | "
        f"{groups.value_counts().max() if len(groups) else 0} | "
        f"{', '.join(f'{(splits == split).sum()} {split}' for split in ('train', 'val', 'test'))} | {torn} |"
    )


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
    found = look_alikes(measures_table({str(path): measure_file(path) for path in paths}))
    pairs, groups = found.pairs, len(set(found.groups.values()))
    print(
        f"\n{len(pairs)} near duplicates (exact ones included) in {groups} groups among {len(paths)} originals, the farthest first:\n"
    )
    print(pairs.sort_values("distance", ascending=False).head(SHOWN).to_string(index=False))
    print(
        "\n| textured parts under a fixed camera | true pairs found | false pairs | groups | largest | split | parts torn |"
    )
    print("|---|---|---|---|---|---|---|")
    print(textured(200, 6))
    print(textured(600, 1))


if __name__ == "__main__":
    main()
