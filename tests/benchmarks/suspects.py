"""How many planted wrong labels does the check of labels find, and how many of those that it suspects were planted?

Labels are exchanged at random at 2 and 5 %, with other seeds than those that the limits were chosen with. What was wrong
before counts as a false alarm, so precision is a lower bound. PHOTOS has a folder for each class.

    .venv/bin/python -m tests.benchmarks.suspects ../shared/data/flowers --weights FILE
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.edits import relabel
from workflows.data.importing import add_dataset
from workflows.inference.label_check import check_version
from workflows.store.store import Store

FIRST_SEED = 100
RATES = (0.0, 0.02, 0.05)


def exchanged(table: pd.DataFrame, rate: float, seed: int) -> dict[str, str]:
    """Return another label for each of some randomly chosen images, by their ids."""
    rng = np.random.default_rng(seed)
    classes = sorted(table["label"].unique())
    chosen = table[rng.random(len(table)) < rate]
    return {
        row.image_id: str(rng.choice([other for other in classes if other != row.label])) for row in chosen.itertuples()
    }


def main() -> None:
    """Print a table of recall and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    print("| planted | seed | suspected | recall | precision |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as home:
        store = Store(Path(home))
        add_dataset(store, "photos", asked.photos)
        clean = get_version(store, "photos").table()
        for rate in RATES:
            for seed in range(FIRST_SEED, FIRST_SEED + (asked.seeds if rate else 1)):
                planted = exchanged(clean, rate, seed)
                labels = dict(zip(clean["image_id"], clean["label"], strict=True)) | planted
                relabel(store, "photos", labels)
                found = check_version(store, get_version(store, "photos"), weights=asked.weights).table
                suspected = set(found.loc[found["suspected"], "image_id"])
                hits = len(suspected & planted.keys())
                recall, precision = hits / max(len(planted), 1), hits / max(len(suspected), 1)
                print(f"| {len(planted)} ({rate:.0%}) | {seed} | {len(suspected)} | {recall:.3f} | {precision:.3f} |")


if __name__ == "__main__":
    main()
