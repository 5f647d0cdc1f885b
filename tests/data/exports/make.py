"""Makes the exports in this folder with the programs themselves: `python make.py TOOL` for one that is installed.

Each tool wants an environment of its own (FiftyOne a MongoDB, too), so that nothing of them is needed to run the tests:

    uv venv /tmp/tool && uv pip install --python /tmp/tool/bin/python datumaro && /tmp/tool/bin/python make.py datumaro

TOOL is the name of a package: datasets, datumaro, fiftyone or label-studio-sdk. What it makes is called after the
package, its version, and the format. The photos are of one colour each, which tells which of them it is.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).parent
CLASSES = ["elm", "oak tree"]
PHOTOS: list[tuple[str, list[str]]] = [
    ("train", ["elm"]),
    ("train", ["oak tree"]),
    ("train", []),
    ("train", ["elm", "oak tree"]),
    ("val", ["elm"]),
    ("val", ["oak tree"]),
]
"""The subset and the labels of each photo: one each, but none of the third and two of the fourth."""


def photo(number: int) -> Image.Image:
    """Return a picture that tells its number by its colour."""
    return Image.new("RGB", (16, 16), (40 * number, 200, 250 - 40 * number))


def photos(folder: Path, pattern: str = "p{}.png") -> list[Path]:
    """Write the photos."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / pattern.format(number) for number in range(len(PHOTOS))]
    for number, path in enumerate(paths):
        photo(number).save(path)
    return paths


def place(package: str, form: str) -> Path:
    """Return an empty place for an export."""
    folder = HERE / f"{package}-{version(package)}-{form}"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def datumaro() -> None:
    """Write what Datumaro writes of labels."""
    from datumaro.components.annotation import Label  # type: ignore[import-not-found]
    from datumaro.components.dataset import Dataset  # type: ignore[import-not-found]
    from datumaro.components.dataset_base import DatasetItem  # type: ignore[import-not-found]
    from datumaro.components.media import Image as Media  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        items = [
            DatasetItem(
                id=path.stem,
                subset=subset,
                media=Media.from_file(str(path)),
                annotations=[Label(CLASSES.index(label)) for label in labels],
            )
            for path, (subset, labels) in zip(photos(Path(folder)), PHOTOS, strict=True)
        ]
        data = Dataset.from_iterable(items, categories=CLASSES, media_type=Media)
        for form in ("coco", "cvat", "datumaro", "imagenet_txt", "imagenet_with_subset_dirs", "open_images"):
            data.export(str(place("datumaro", form)), form, save_media=True)


def fiftyone() -> None:
    """Write what FiftyOne writes of classifications; FIFTYONE_DATABASE_URI names the MongoDB."""
    import fiftyone as fo  # type: ignore[import-not-found]
    from fiftyone import types  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        data = fo.Dataset()
        for path, (subset, labels) in zip(photos(Path(folder)), PHOTOS, strict=True):
            sample = fo.Sample(filepath=str(path), tags=[subset])
            if labels:
                sample["all"] = fo.Classifications(classifications=[fo.Classification(label=label) for label in labels])
            if len(labels) == 1:
                sample["ground_truth"] = fo.Classification(label=labels[0])
            data.add_sample(sample)
        one: dict[str, Any] = {"label_field": "ground_truth"}
        all_: dict[str, Any] = {"label_field": "all"}
        table: dict[str, Any] = {"fields": ["filepath", "tags", "ground_truth.label"]}
        forms: dict[str, tuple[Any, dict[str, Any]]] = {
            "image-classification": (types.FiftyOneImageClassificationDataset, one),
            "image-classifications-of-classes": (
                types.FiftyOneImageClassificationDataset,
                {**all_, "classes": CLASSES},
            ),
            "directory-tree": (types.ImageClassificationDirectoryTree, one),
            "csv": (types.CSVDataset, table),
            "coco": (types.COCODetectionDataset, one),
            "cvat": (types.CVATImageDataset, all_),
        }
        for form, (kind, options) in forms.items():
            data.export(export_dir=str(place("fiftyone", form)), dataset_type=kind, **options)


def label_studio() -> None:
    """Write what the converter of Label Studio makes of a project; the photos lie as in its folder of uploads."""
    from label_studio_sdk.converter import Converter  # type: ignore[import-not-found]

    config = (
        '<View><Image name="image" value="$photo"/><Choices name="kind of tree" toName="image" choice="multiple">'
        + "".join(f'<Choice value="{name}"/>' for name in CLASSES)
        + "</Choices></View>"
    )
    tasks = []
    for number, (subset, labels) in enumerate(PHOTOS):
        result = {
            "id": f"r{number}",
            "from_name": "kind of tree",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": labels},
        }
        answer = {
            "id": 10 + number,
            "completed_by": 1,
            "was_cancelled": False,
            "created_at": "2026-01-02T03:04:05Z",
            "updated_at": "2026-01-02T03:04:06Z",
            "lead_time": 1.5,
            "result": [result],
        }
        data = {"photo": f"/data/upload/7/0a1b2c3{number}-p{number}.png", "side": subset}
        tasks.append({"id": number + 1, "data": data, "annotations": [answer] if labels else [], "predictions": []})
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tasks.json"
        source.write_text(json.dumps(tasks))
        converter = Converter(config, project_dir=folder, download_resources=False)
        for form in ("JSON", "JSON_MIN", "CSV", "TSV"):
            target = place("label-studio-sdk", form)
            converter.convert(str(source), str(target), form, is_dir=False)
            photos(target / "upload", "0a1b2c3{0}-p{0}.png")


def hugging_face() -> None:
    """Write metadata with Datasets, beside photos as its imagefolder wants them: label as text, and as a list."""
    from datasets import ClassLabel, Dataset, Features, Value, load_dataset  # type: ignore[import-not-found]

    for form, write in (("jsonl", Dataset.to_json), ("csv", Dataset.to_csv)):
        for kind in ("label", "list", "number") if form == "jsonl" else ("label", "list"):
            target = place("datasets", f"{form}-{kind}")
            for subset in ("train", "val"):
                rows = [
                    (f"p{number}.png", labels)
                    for number, (side, labels) in enumerate(PHOTOS)
                    if side == subset and (kind == "list" or len(labels) < 2)
                ]
                (target / subset).mkdir(parents=True)
                for name, _ in rows:
                    photo(int(name[1])).save(target / subset / name)
                names = [name for name, _ in rows]
                if kind == "list":
                    table = Dataset.from_dict({"file_name": names, "labels": [labels for _, labels in rows]})
                elif kind == "label":
                    table = Dataset.from_dict({"file_name": names, "label": [(*labels, None)[0] for _, labels in rows]})
                else:
                    features = Features({"file_name": Value("string"), "label": ClassLabel(names=CLASSES)})
                    table = Dataset.from_dict(
                        {"file_name": names, "label": [(*labels, None)[0] for _, labels in rows]}, features
                    )
                write(table, str(target / subset / f"metadata.{form}"))
            load_dataset("imagefolder", data_dir=str(target))  # what it can't read itself is no fixture


TOOLS: dict[str, Callable[[], None]] = {
    "datasets": hugging_face,
    "datumaro": datumaro,
    "fiftyone": fiftyone,
    "label-studio-sdk": label_studio,
}

if __name__ == "__main__":
    TOOLS[sys.argv[1]]()
