"""Fill a state folder with the records of large trainings, without training: for looking at the studio at scale.

A data set of 325 classes and 47,332 images with two finished runs of 60 evaluation steps each, and 1,000 other runs.
Everything that the pages read is written the way a training writes it; the answers are drawn at random: classes in
groups of five are confused with each other, and get better from step to step. The pictures are cuts of two photographs
that come with scikit-learn, shared by all images.

    .venv/bin/python -m tests.benchmarks.studio_records /tmp/large
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images
from sqlalchemy import insert

from workflows.data.publishing import locked, next_record, publish_record
from workflows.data.version import DatasetVersion, image_id
from workflows.evaluation.tables import evaluate_predictions
from workflows.graph.workflow import load_template
from workflows.store.files import write_json, write_table
from workflows.store.run_folder import EvaluationFolder, StepFolder, TrainingFolder
from workflows.store.run_record import Metric, RunRecord
from workflows.store.store import Store
from workflows.store.tables import now
from workflows.targets.single_label.label_errors import suspected_labels
from workflows.targets.single_label.tables import metrics_of, predictions_table

NAME = "birds"
GROUP = 5
SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
TRAINING = timedelta(minutes=40)
STATES = ("finished", "finished", "finished", "failed", "cancelled", "interrupted")


@dataclass(frozen=True)
class Size:
    """How much is written."""

    classes: int = 325
    images: int = 47_332
    steps: int = 60
    full_runs: int = 2
    other_runs: int = 1_000
    pictures: int = 48


def generate(store: Store, size: Size, seed: int = 0) -> list[str]:
    """Write everything into a store; return the ids of the full runs, the best last."""
    random = np.random.default_rng(seed)
    version = make_dataset(store, size, random)
    _other_runs(store, size.other_runs, random)
    return [_full_run(store, version, size, 0.74 + 0.06 * number, random) for number in range(size.full_runs)]


def make_dataset(store: Store, size: Size, random: np.random.Generator) -> DatasetVersion:
    """Publish a data set whose images share a few real pictures."""
    contents = [store.blobs.put(picture) for picture in _pictures(size.pictures, random)]
    names = [f"SPECIES {number // GROUP:02d} FORM {'ABCDE'[number % GROUP]}" for number in range(size.classes)]
    weights = random.uniform(0.6, 1.4, size.classes)
    labels = random.choice(size.classes, size.images, p=weights / weights.sum())
    labels[: 3 * size.classes] = np.tile(np.arange(size.classes), 3)  # every class in every split
    splits = random.choice(list(SHARES), size.images, p=list(SHARES.values()))
    splits[: 3 * size.classes] = np.repeat(list(SHARES), size.classes)
    chosen = random.choice(contents, size.images)
    paths = [f"{names[label]}/{number:05d}.jpg" for number, label in enumerate(labels)]
    table = pd.DataFrame(
        {
            "image_id": [image_id(path, sha256) for path, sha256 in zip(paths, chosen, strict=True)],
            "path": paths,
            "sha256": chosen,
            "width": 224,
            "height": 224,
            "mode": "RGB",
            "format": "JPEG",
            "orientation": 1,
            "label": [names[label] for label in labels],
            "split": splits,
            "group": None,
            "source": "made-up",
            "attributes": None,
            "phash": None,
        }
    )
    with locked(store, NAME):
        store.datasets.claim(NAME, "made-up")
        record = next_record(
            store,
            NAME,
            table,
            action="import",
            reason="made for a measurement",
            parent=None,
            given_split=True,
            source="made-up",
            listing="",
        )
        return publish_record(store, record, table)


def _pictures(count: int, random: np.random.Generator) -> list[bytes]:
    """Cut small pictures out of real photographs."""
    photographs = load_sample_images().images
    made = []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        side = int(random.integers(120, 400))
        top, left = (int(random.integers(0, length - side)) for length in photograph.shape[:2])
        cut = Image.fromarray(photograph[top : top + side, left : left + side]).resize((224, 224))
        stream = io.BytesIO()
        cut.save(stream, format="JPEG", quality=88)
        made.append(stream.getvalue())
    return made


@dataclass(frozen=True)
class Pupil:
    """A make-believe classifier: which images it finds hard, and what it takes them for."""

    labels: NDArray[np.int64]
    hardness: NDArray[np.float64]
    rivals: NDArray[np.int64]
    classes: int

    @classmethod
    def of(cls, labels: NDArray[np.int64], classes: int, random: np.random.Generator) -> Pupil:
        """Make one for images with these labels."""
        first = labels // GROUP * GROUP
        near = first + (labels - first + random.integers(1, GROUP, len(labels))) % GROUP
        far = random.integers(0, classes, len(labels))
        rivals = np.where(random.random(len(labels)) < 0.85, np.minimum(near, classes - 1), far)
        return cls(labels, random.beta(1.2, 1.4, len(labels)), rivals, classes)

    def answer(self, skill: float, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the predicted classes and their confidence at a skill in (0, 1)."""
        belief = skill - self.hardness + random.normal(0.0, 0.05, len(self.labels))
        lost = random.random(len(self.labels)) < (1 - skill) ** 3
        wrong = np.where(lost, random.integers(0, self.classes, len(self.labels)), self.rivals)
        predicted = np.where(belief > 0, self.labels, wrong)
        confidence = np.clip(0.35 + 0.3 * skill + 0.45 * np.abs(belief) + random.normal(0, 0.08, len(belief)), 0.05, 1)
        return predicted, confidence * 0.999

    def table(self, skill: float, names: tuple[str, ...], random: np.random.Generator) -> pd.DataFrame:
        """Lay the answers out as a step does (without image ids)."""
        predicted, confidence = self.answer(skill, random)
        left = (1.0 - confidence) * random.uniform(0.2, 0.9, len(confidence))
        own = np.where(predicted == self.labels, confidence, left)
        return pd.DataFrame(
            {
                "label": pd.Categorical.from_codes(self.labels, categories=pd.Index(list(names))),
                "predicted": pd.Categorical.from_codes(predicted, categories=pd.Index(list(names))),
                "confidence": confidence.astype(np.float32),
                "label_confidence": own.astype(np.float32),
                "log_loss": -np.log(np.maximum(own, 1e-7)).astype(np.float32),
            }
        )


def _full_run(store: Store, version: DatasetVersion, size: Size, best: float, random: np.random.Generator) -> str:
    """Write a finished run with all its files."""
    record = store.runs.create(version.name, {"dataset": version.name})
    folder = store.run_folder(record.run_id)
    records = version.table()[["image_id", "path", "sha256", "split", "label"]].sort_values("image_id")
    write_table(folder.records, records)
    _preview(folder.training, records, store)
    skills = best * (1 - np.exp(-np.arange(1, size.steps + 1) / (size.steps / 5)))
    rows = _steps(folder.training.steps, records[records["split"] == "val"], version.classes, skills, random)
    with store.database.write() as connection:
        connection.execute(insert(Metric), _metric_rows(record.run_id, rows))
    held_out = records[records["split"] != "train"].reset_index(drop=True)
    judged = _final(folder.evaluation, held_out, version.classes, float(skills[-1]), random)
    workflow = load_template("balanced-photos").for_dataset(version.name, version.number)
    document = workflow.with_settings("training", epochs=size.steps, seed=round(best * 100)).model_dump(mode="json")
    columns = _ended(record.run_id, version.name, document, judged, list(version.classes), size.steps)
    store.runs.update(columns.pop("run_id"), state="finished", **columns, **_times(record.created_at - TRAINING))
    return record.run_id


def _preview(folder: TrainingFolder, records: pd.DataFrame, store: Store) -> None:
    val = records[records["split"] == "val"]
    chosen = val.assign(turn=val.groupby("label").cumcount()).sort_values(["turn", "label"]).head(48)
    folder.preview.mkdir(parents=True)
    for row in chosen.itertuples():
        with Image.open(store.blobs.path(str(row.sha256))) as picture:
            picture.save(folder.preview_image(str(row.image_id)), format="PNG")
    write_json(folder.preview_list, {"image_ids": chosen["image_id"].tolist()})


def _steps(
    folder: StepFolder,
    val: pd.DataFrame,
    names: tuple[str, ...],
    skills: NDArray[np.float64],
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    """Write the answers of every step; return its metrics."""
    pupil = Pupil.of(_places(val["label"], names), len(names), random)
    rows = []
    for step, skill in enumerate(skills, start=1):
        table = pupil.table(float(skill), names, random)
        table.insert(0, "image_id", val["image_id"].to_numpy())
        write_table(folder.table(step), table)
        judged = metrics_of(table, names) or {}
        values = {
            f"val/{name}": judged[name] for name in ("top1", "precision_macro", "recall_macro", "f1_macro", "ece")
        }
        values |= {"val/average_confidence": judged["average_confidence"], "val/loss": judged["log_loss"]}
        values |= {"train/loss": judged["log_loss"] * 0.8, "train/top1": min(1.0, judged["top1"] * 1.1)}
        rows.append(values)
    return rows


def _final(
    folder: EvaluationFolder, held_out: pd.DataFrame, names: tuple[str, ...], skill: float, random: np.random.Generator
) -> dict[str, Any]:
    """Write the final evaluation; return its metrics."""
    labels = _places(held_out["label"], names)
    predicted, confidence = Pupil.of(labels, len(names), random).answer(skill, random)
    matrix = random.exponential(1.0, (len(labels), len(names))).astype(np.float32) ** 4
    rows = np.arange(len(labels))
    matrix[rows, predicted] = 0.0
    # nothing else may be as likely as what was predicted
    matrix *= (np.minimum(1 - confidence, confidence * 0.99) / matrix.sum(axis=1))[:, None]
    matrix[rows, predicted] = 1.0 - matrix.sum(axis=1)
    image_ids, paths, splits = (held_out[name].tolist() for name in ("image_id", "path", "split"))
    frame = predictions_table(image_ids, paths, splits, labels, matrix, names)
    judged = evaluate_predictions(folder.path, frame, names)
    suspects = suspected_labels(None, frame).head(2000).merge(held_out[["image_id", "path"]], on="image_id")
    write_table(folder.suspected_labels, suspects)
    return judged


def _other_runs(store: Store, count: int, random: np.random.Generator) -> None:
    """Write the records of many small runs that ended before, all at once."""
    template, last = load_template("fast-photos"), now()
    records, values = [], []
    for number in range(count):
        name, moment = f"project-{number % 40:02d}", last - timedelta(hours=count - number)
        run_id = f"{name}-{moment:%Y%m%d-%H%M%S}-{number:04x}"
        store.runs.folder(run_id).path.mkdir(parents=True)
        top1 = 0.6 + 0.35 * float(random.random())
        judged = {split: {"top1": top1, "f1_macro": top1, "support": 500} for split in ("val", "test")}
        document = template.for_dataset(name, 1).model_dump(mode="json")
        columns = _ended(run_id, name, document, judged, [f"class {each}" for each in range(10)], 20)
        state, times = STATES[number % len(STATES)], _times(moment - TRAINING)
        records.append(columns | {"state": state, "created_at": moment - TRAINING, **times})
        rows = [{"val/top1": top1 * (1 - 0.6 ** (step + 1)), "val/loss": 2.0 * 0.8**step} for step in range(20)]
        values += _metric_rows(run_id, rows)
    with store.database.write() as connection:
        connection.execute(insert(RunRecord), records)
        connection.execute(insert(Metric), values)


def _ended(
    run_id: str, dataset: str, workflow: dict[str, Any], judged: dict[str, Any], classes: list[str], steps: int
) -> dict[str, Any]:
    """Return the columns of a run that has ended."""
    result = {
        "run_id": run_id,
        "workflow": workflow,
        "dataset": {"name": dataset, "version": 1, "classes": classes},
        "metrics": judged,
        "training": {"best_step": steps, "steps": steps},
        "device": "cpu",
    }
    facts = {"dataset": dataset, "version": 1, "goal": "balanced", "device": "cpu"}
    return {"run_id": run_id, "request": {"dataset": dataset}, "workflow": workflow, "result": result, **facts}


def _times(started: datetime) -> dict[str, datetime]:
    return {"started_at": started, "finished_at": started + TRAINING}


def _metric_rows(run_id: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    moment = now()
    return [
        {"run_id": run_id, "step": step, "name": name, "value": float(value), "time": moment}
        for step, row in enumerate(rows, start=1)
        for name, value in row.items()
    ]


def _places(labels: pd.Series, names: tuple[str, ...]) -> NDArray[np.int64]:
    return np.asarray(pd.Index(list(names)).get_indexer(pd.Index(labels.astype(object))), dtype=np.int64)


def main() -> None:
    """Write into the folder that was named, and say which runs to look at."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path, help="state folder, as FIELDGUIDE_HOME names it")
    for field, default in vars(Size()).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=int, default=default)
    options = vars(parser.parse_args())
    home, started = options.pop("home"), time.perf_counter()
    made = generate(Store(home), Size(**options))
    sys.stdout.write(f"runs {', '.join(made)} in {time.perf_counter() - started:.0f} s\n")


if __name__ == "__main__":
    main()
