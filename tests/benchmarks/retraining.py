"""Does retraining promote what is better, and only that? A champion from a third of the photos meets two challengers:
one trained on all photos, and one trained on all photos with 30 % of the training labels shuffled.

    .venv/bin/python -m tests.benchmarks.retraining PHOTOS [--weights FILE] [--size 128] [--epochs 8]

PHOTOS is a folder with a sub-folder for each class. The state goes to a temporary folder.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path

from workflows.data.catalog import get_version
from workflows.data.edits import relabel
from workflows.data.importing import add_dataset
from workflows.pipeline import create_run, run_pipeline
from workflows.registry.models import champion, register
from workflows.requests import TrainRequest
from workflows.retraining.retrain import retrain
from workflows.store.models import DecisionRecord
from workflows.store.store import Store

NAME = "photos"
FIRST_SHARE, SHUFFLED_SHARE = 3, 0.3


def third(photos: Path, folder: Path) -> Path:
    """Copy every third photo of each class."""
    for label in sorted(path for path in photos.iterdir() if path.is_dir()):
        (folder / label.name).mkdir(parents=True)
        for photo in sorted(label.iterdir())[::FIRST_SHARE]:
            shutil.copy(photo, folder / label.name)
    return folder


def shuffle(store: Store) -> int:
    """Give a share of the training images another image's label; return how many changed."""
    table = get_version(store, NAME).labelled()
    train = table[table["split"] == "train"]
    draw = random.Random(0)
    chosen = draw.sample(train["image_id"].tolist(), int(SHUFFLED_SHARE * len(train)))
    labels = train.set_index("image_id")["label"]
    classes = sorted(set(labels))
    changes = {each: draw.choice([name for name in classes if name != labels[each]]) for each in chosen}
    relabel(store, NAME, changes, reason="sabotage, to see whether it is noticed")
    return len(changes)


def told(what: str, decision: DecisionRecord, seconds: float) -> None:
    """Print a decision."""
    print(f"\n{what}: {decision.outcome} (champion v{decision.champion}, {seconds:.0f} s)\n  {decision.reason}")
    for note in decision.document["notes"]:
        print(f"  {note}")


def main() -> None:
    """Run the whole story."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "home")
        add_dataset(store, NAME, third(chosen.photos, Path(folder) / "third"))
        wishes = {"weights": chosen.weights, "size": chosen.size, "epochs": chosen.epochs}
        run = create_run(store, TrainRequest(dataset=NAME, **wishes))
        result = run_pipeline(store, run.run_id)
        register(store, NAME, run.run_id)
        top1 = result.metrics_of("test")["top1"]
        print(f"champion: {result.dataset.images} photos, test top-1 {top1:.4f}")
        began = time.monotonic()
        add_dataset(store, NAME, chosen.photos)
        told("all photos", retrain(store, NAME, "new photos"), time.monotonic() - began)
        began = time.monotonic()
        count = shuffle(store)
        told(f"{count} training labels shuffled", retrain(store, NAME, "new labels"), time.monotonic() - began)
        print(f"\nchampion now: v{champion(store, NAME).number}")


if __name__ == "__main__":
    main()
