"""What programs export of whole images' labels, and its odd cases."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.data.layout_files import accounted, folder, labelled, text
from workflows.data import reasons
from workflows.data.layouts.coco import PARTS
from workflows.data.layouts.registry import read_any
from workflows.data.sources import scan
from workflows.errors import SourceError


def coco(*annotations: dict[str, Any], names: Sequence[str] = ("1.jpg", "2.jpg", "3.jpg")) -> dict[str, Any]:
    """A COCO document with images of 24 x 16 and the categories cat (1) and dog (2)."""
    return {
        "images": [{"id": n, "file_name": name, "width": 24, "height": 16} for n, name in enumerate(names, start=1)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": list(annotations),
    }


def of(image: int, category: int, **more: object) -> dict[str, Any]:
    return {"id": 10 * image + category, "image_id": image, "category_id": category, **more}


def test_coco_takes_what_is_said_of_whole_images(tmp_path: Path) -> None:
    root = folder(tmp_path, *(f"data/{n}.jpg" for n in range(1, 7)))
    whole, part = [0, 0.5, 23.5, 15.5], [4, 4, 8, 8]
    document = coco(
        of(1, 1),
        of(2, 2, bbox=whole, segmentation=[]),
        of(2, 1, bbox=part),  # beside it a part, which says nothing of the whole
        of(3, 1, bbox=part),
        of(4, 1),
        of(4, 2, bbox=whole),
        of(6, 1, bbox=whole, segmentation=[[0, 0, 1, 1, 0, 1]]),
        names=[f"{n}.jpg" for n in range(1, 7)],
    )
    text(root / "labels.json", document)
    found = scan(root)
    assert found.layout == "coco"
    assert labelled(found) == {"data/1.jpg": "cat", "data/2.jpg": "dog", "data/5.jpg": None}
    assert dict(found.rejected) == {
        "data/3.jpg": PARTS,
        "data/4.jpg": f"{reasons.SEVERAL}: cat, dog",
        "data/6.jpg": PARTS,
    }
    accounted(found, root)


@pytest.mark.parametrize(
    "document",
    [
        coco(of(1, 1), of(9, 1)),
        coco(of(1, 3)),
        coco(of(1, 1)) | {"categories": None},
        coco(of(1, 1)) | {"images": [{"id": 1}]},
        coco(of(1, 1), {"image_id": 1, "category_id": 1, "bbox": [0, 0]}) | {"images": [1]},
    ],
)
def test_coco_faults(tmp_path: Path, document: object) -> None:
    with pytest.raises(SourceError, match=r"x\.json"):
        read_any(text(tmp_path / "x.json", document))


def test_boxes_alone_are_no_labels(tmp_path: Path) -> None:
    root = folder(tmp_path, "images/1.jpg", "images/2.jpg", "images/3.jpg")
    text(
        root / "annotations" / "instances_default.json", coco(of(1, 1, bbox=[1, 1, 4, 4]), of(2, 2, bbox=[1, 1, 4, 4]))
    )
    with pytest.raises(SourceError, match="whole images"):
        scan(root)


def test_files_of_one_name_in_two_subsets(tmp_path: Path) -> None:
    root = folder(tmp_path, *(f"images/{side}/{n}.jpg" for side in ("train", "val") for n in (1, 2, 3)))
    text(root / "annotations" / "labels_train.json", coco(of(1, 1), of(2, 2)))
    text(root / "annotations" / "labels_val.json", coco(of(1, 2), of(3, 1)))
    text(root / "annotations" / "image_info_train.json", coco())
    found = scan(root)
    given = {(entry.relative, entry.label, entry.split) for entry in found.entries if entry.label}
    assert given == {
        ("images/train/1.jpg", "cat", "train"),
        ("images/train/2.jpg", "dog", "train"),
        ("images/val/1.jpg", "dog", "val"),
        ("images/val/3.jpg", "cat", "val"),
    }
    assert {entry.relative for entry in found.entries if not entry.label} == {"images/train/3.jpg", "images/val/2.jpg"}
    accounted(found, root)


def test_no_image_of_another_subset_is_taken(tmp_path: Path) -> None:
    """The photo for training is missing: the one of its name for validation is not it."""
    root = folder(tmp_path, "images/train/2.jpg", "images/train/3.jpg", "images/val/1.jpg", "images/val/4.jpg")
    text(root / "annotations" / "labels_train.json", coco(of(1, 1), of(2, 2), of(3, 1)))
    text(root / "annotations" / "labels_val.json", coco(of(1, 2), names=["4.jpg"]))
    found = scan(root)
    given = {"images/train/2.jpg": "dog", "images/train/3.jpg": "cat", "images/val/4.jpg": "dog"}
    assert labelled(found) == given and [name for name, _ in found.rejected] == ["1.jpg"]
    assert ("images/val/1.jpg", reasons.UNNAMED) in found.ignored


def test_one_file_called_like_a_split_is_no_split(tmp_path: Path) -> None:
    root = folder(tmp_path, "images/1.jpg", "images/2.jpg", "images/3.jpg")
    text(root / "annotations" / "labels_test.json", coco(of(1, 1), of(2, 2)))
    assert scan(root).splits == set()


@pytest.mark.parametrize(
    ("classes", "label"),
    [(None, "cat"), (["cat", "dog"], 0), (["cat", "dog"], [0, 0]), (None, {"label": "cat", "confidence": 0.5})],
)
def test_fiftyone_names_and_numbers(tmp_path: Path, classes: object, label: object) -> None:
    root = folder(tmp_path, "data/a.b.jpg", "data/2.png", "data/3.jpg")
    second: object = "dog" if classes is None else 1
    text(root / "labels.json", {"classes": classes, "labels": {"a.b": label, "2": second, "3": None}})
    found = scan(root)
    assert found.layout == "fiftyone"
    assert labelled(found) == {"data/a.b.jpg": "cat", "data/2.png": "dog", "data/3.jpg": None}


@pytest.mark.parametrize("label", [-1, 2, "cat", {}, [[]], 1.5])
def test_fiftyone_faults(tmp_path: Path, label: object) -> None:
    document = {"classes": ["cat", "dog"], "labels": {"1": label}}
    with pytest.raises(SourceError, match=r"labels\.json"):
        read_any(text(tmp_path / "labels.json", document))


def test_fiftyone_tags_are_splits_only_if_all_are(tmp_path: Path) -> None:
    root = folder(tmp_path, "data/1.jpg", "data/2.jpg")
    rows = "filepath,tags,truth.label\n1.jpg,{},cat\n2.jpg,{},dog\n"
    text(root / "labels.csv", rows.format('"train,seen"', "train"))
    found = scan(root)
    assert found.splits == set() and found.entries[0].attributes == {"tags": "train,seen"}
    text(root / "labels.csv", rows.format("train", "train"))
    assert scan(root).splits == set()


def test_imagenet_lists_with_blanks_in_names(tmp_path: Path) -> None:
    root = folder(tmp_path, "images/a b.jpg", "images/c.jpg", "images/d.jpg", "images/e 1.jpg")
    text(root / "synsets.txt", "cat\ntabby cat\n")
    text(root / "train.txt", '"a b.jpg" 0\nc.jpg 1\nd.jpg \ne 1.jpg 0 1\n')
    found = scan(root)
    assert labelled(found) == {"images/a b.jpg": "cat", "images/c.jpg": "tabby cat", "images/d.jpg": None}
    assert dict(found.rejected) == {"images/e 1.jpg": f"{reasons.SEVERAL}: cat, tabby cat"}
    accounted(found, root)
    text(root / "train.txt", '"a b.jpg" 0\nc.jpg 2\n')
    with pytest.raises(SourceError, match=r"line 2: .*\b2\b"):
        scan(root)


def test_other_names_of_numbers_need_another_look(tmp_path: Path) -> None:
    root = folder(tmp_path, "images/1.jpg", "images/2.jpg")
    text(root / "train.txt", "1.jpg 0\n2.jpg 1\n")
    prints = set()
    for names in ("cat\ndog\n", "dog\ncat\n"):
        text(root / "synsets.txt", names)
        prints.add(scan(root).fingerprint)
    assert len(prints) == 2


def test_open_images_labels_that_were_refuted(tmp_path: Path) -> None:
    root = folder(tmp_path, "images/train/1.jpg", "images/train/2.jpg", "images/train/3.jpg")
    text(root / "annotations" / "class-descriptions.csv", "/m/1,Cat\n/m/2,Dog\n")
    rows = "ImageID,Source,LabelName,Confidence\n1,verification,/m/1,1\n1,verification,/m/2,0\n2,x,/m/2,1\n3,x,/m/1,0\n"
    text(root / "annotations" / "train-annotations-human-imagelabels.csv", rows)
    found = scan(root)
    assert labelled(found) == {"images/train/1.jpg": "Cat", "images/train/2.jpg": "Dog", "images/train/3.jpg": None}


# Label Studio's tables

LS_ROWS = [
    ("1", "/data/upload/1/aaaaaaaa-1.jpg", "cat", "north"),
    ("2", "/data/local-files/?d=shots/2.jpg", "dog", "south"),
    ("3", "s3://bucket/3.jpg", '{"choices": ["cat", "dog"]}', "east"),
    ("", "4.jpg", "", "west"),
]


@pytest.mark.parametrize(("delimiter", "suffix"), [(",", "csv"), ("\t", "csv"), ("\t", "tsv"), (";", "csv")])
@pytest.mark.parametrize("control", ["choice", "animal", "what is it?"])
def test_label_studio_tables(tmp_path: Path, delimiter: str, suffix: str, control: str) -> None:
    root = folder(tmp_path / "images", *(f"{n}.jpg" for n in range(1, 5)))
    path = tmp_path / f"result.{suffix}"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["annotation_id", "annotator", "camera", control, "id", "image", "lead_time"])
        writer.writerows([number, "1", camera, label, "9", image, "2.5"] for number, image, label, camera in LS_ROWS)
    found = scan(root, path)
    assert found.layout == "label-studio"
    assert labelled(found) == {"1.jpg": "cat", "2.jpg": "dog", "4.jpg": None}
    assert dict(found.rejected) == {"3.jpg": f"{reasons.SEVERAL}: cat, dog"}
    assert found.entries[0].attributes["camera"] == "north"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1,1,x.jpg,cat,2.5,more\n", "line 2: 6 cells"),
        ('1,1,x.jpg,"cat,2.5\n', "line 2"),
        ("1,1,x.jpg,cat,2.5\n1,1,y.jpg,dog,2.5\n", "which field"),
        ("1,1,x.jpg,cat,2.5\n1,1,,dog,2.5\n", "task 2"),
    ],
)
def test_label_studio_table_faults(tmp_path: Path, rows: str, words: str) -> None:
    header = "annotation_id,annotator,image,animal,lead_time\n"
    if "which" in words:
        header, rows = header.replace("lead", "shape,lead"), rows.replace("2.5", "round,2.5")
    with pytest.raises(SourceError, match=words):
        read_any(text(tmp_path / "result.csv", header + rows))


# images without labels
