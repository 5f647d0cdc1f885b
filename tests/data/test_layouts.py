"""Layouts that programs write: imagefolder metadata, Label Studio, CVAT, Datumaro; and images without labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.archive_files import PHOTO, make_zip, opened
from tests.data.conftest import write
from tests.data.layout_files import accounted, folder, labelled, text
from tests.texts import mentions, one_mentions
from workflows.data import reasons
from workflows.data.layouts.cvat import read_cvat
from workflows.data.layouts.documents import Document
from workflows.data.layouts.registry import read_any
from workflows.data.sources import Reading, open_source, scan
from workflows.errors import SourceError, UsageError


def test_metadata_csv(tmp_path: Path) -> None:
    folder(tmp_path, "1.jpg", "sub/2.jpg", "3.jpg", "4.jpg")
    text(tmp_path / "metadata.csv", "file_name,label,caption\n1.jpg,cat,one\nsub/2.jpg,dog,\n3.jpg,,x\n9.jpg,cat,y\n")
    found = scan(tmp_path)
    assert (found.layout, labelled(found)) == ("imagefolder", {"1.jpg": "cat", "sub/2.jpg": "dog", "3.jpg": None})
    assert found.entries[0].attributes == {"caption": "one"}
    assert dict(found.rejected) == {"9.jpg": reasons.MISSING}
    assert dict(found.ignored) == {"4.jpg": reasons.UNNAMED, "metadata.csv": reasons.READ}
    assert one_mentions(found.notes, "metadata.csv")
    accounted(found, tmp_path)


def test_metadata_jsonl_keeps_text(tmp_path: Path) -> None:
    names = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    folder(tmp_path, *names)
    values = ['"007"', "7", "1.10", '"NA"']
    lines = [f'{{"file_name": "{name}", "label": {value}}}' for name, value in zip(names, values, strict=True)]
    text(tmp_path / "metadata.jsonl", "\r\n".join(lines) + "\n\n")
    assert labelled(scan(tmp_path)) == {"1.jpg": "007", "2.jpg": "7", "3.jpg": "1.10", "4.jpg": "NA"}


def test_metadata_in_split_folders(tmp_path: Path) -> None:
    for side in ("train", "validation"):
        folder(tmp_path / side, "1.jpg", "2.jpg")
        text(tmp_path / side / "metadata.csv", "file_name,label\n1.jpg,a\n2.jpg,b\n")
    found = scan(tmp_path)
    assert [(e.relative, e.label, e.split) for e in found.entries] == [
        ("train/1.jpg", "a", "train"),
        ("train/2.jpg", "b", "train"),
        ("validation/1.jpg", "a", "val"),
        ("validation/2.jpg", "b", "val"),
    ]
    accounted(found, tmp_path)


def test_metadata_at_the_top_of_split_folders(tmp_path: Path) -> None:
    folder(tmp_path, "train/1.jpg", "train/2.jpg", "test/3.jpg")
    text(tmp_path / "metadata.csv", "file_name,label\ntrain/1.jpg,a\ntrain/2.jpg,b\ntest/3.jpg,a\n")
    assert scan(tmp_path).splits == {"train", "test"}
    text(tmp_path / "metadata.csv", "file_name,label\ntrain/1.jpg,a\ntrain/2.jpg,b\n")
    assert scan(tmp_path).splits == set()


def test_captions_are_no_labels(tmp_path: Path) -> None:
    folder(tmp_path, "a/1.jpg", "b/2.jpg")
    text(tmp_path / "metadata.csv", "file_name,text\na/1.jpg,a caption\n")
    found = scan(tmp_path)
    assert (found.layout, labelled(found)) == ("class-folders", {"a/1.jpg": "a", "b/2.jpg": "b"})
    accounted(found, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"file_name": "1.jpg", "label": "a"}\nnonsense\n', "line 2"),
        ('{"file_name": "1.jpg", "label": "a"}\n[1]\n', "line 2: .*JSON"),
        ('{"file_name": "1.jpg", "label": "a"}\n{"file_name": "../2.jpg", "label": "a"}', "line 2: '../2.jpg'"),
        ('{"file_name": "1.jpg", "label": "a"}\n{"label": "a"}', "line 2: .*empty"),
        (
            '{"file_name": "1.jpg", "label": "a"}\n{"file_name": "1.jpg", "label": "b"}',
            "line 2: '1.jpg'.*'b'",
        ),
        ("[" * 100_000, "line 1"),
    ],
)
def test_faulty_metadata_is_refused(tmp_path: Path, content: str, words: str) -> None:
    folder(tmp_path, "1.jpg", "2.jpg")
    text(tmp_path / "metadata.jsonl", content)
    with pytest.raises(SourceError, match=words):
        scan(tmp_path)


# a label file that lies in the source


def test_our_own_export_is_understood(tmp_path: Path) -> None:
    folder(tmp_path, "images/1.jpg", "images/2.jpg")
    text(tmp_path / "labels.csv", "filename,label,split\nimages/1.jpg,a,train\nimages/2.jpg,b,train\n")
    assert labelled(scan(tmp_path)) == {"images/1.jpg": "a", "images/2.jpg": "b"}


def test_class_folders_are_a_clearer_word_than_a_table(tmp_path: Path) -> None:
    folder(tmp_path, "a/1.jpg", "b/2.jpg")
    text(tmp_path / "labels.csv", "filename,label\na/1.jpg,x\nb/2.jpg,y\n")
    assert scan(tmp_path).classes == {"a", "b"}
    assert scan(tmp_path, tmp_path / "labels.csv").classes == {"x", "y"}


# Label Studio


def task(number: int, image: str, *answers: list[str], **data: object) -> dict[str, Any]:
    """A task as Label Studio exports it, with one annotation for each list of answers."""
    results = [
        [{"type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": a}}] for a in answers
    ]
    annotations = [{"id": n, "was_cancelled": False, "result": result} for n, result in enumerate(results)]
    return {"id": number, "data": {"image": image, **data}, "annotations": annotations, "predictions": []}


def test_label_studio_json(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "images", "1a2b3c4d-one.jpg", "two.jpg", "sub/three.jpg", "four.jpg", "five.jpg", "six.jpg"
    )
    skipped = task(7, "seven.jpg", ["cat"])
    skipped["annotations"][0]["was_cancelled"] = True
    export = text(
        tmp_path / "export.json",
        [
            task(1, "/data/upload/3/1a2b3c4d-one.jpg", ["cat"], plate=7),
            task(2, "/data/upload/3/aaaabbbb-two.jpg", ["dog"], ["dog"]),
            task(3, "/data/local-files/?d=photos/sub/three.jpg", ["cat"]),
            task(4, "s3://bucket/any/where/four.jpg", ["cat"], ["dog"]),
            task(5, "https://example.org/five.jpg?size=1", []),
            skipped,
        ],
    )
    found = scan(root, export)
    assert found.layout == "label-studio"
    assert labelled(found) == {"1a2b3c4d-one.jpg": "cat", "two.jpg": "dog", "sub/three.jpg": "cat", "five.jpg": None}
    assert one_mentions(found.notes, "labelled", 1)
    assert found.entries[0].attributes == {"plate": "7"}
    assert dict(found.rejected) == {
        "four.jpg": f"{reasons.SEVERAL}: cat, dog",
        "seven.jpg": reasons.UNANSWERED,
    }
    assert found.ignored == [("six.jpg", reasons.UNNAMED)]
    accounted(found, root)


@pytest.mark.parametrize(
    "answers", [("cat", "dog"), ({"choices": ["cat"]}, {"choices": ["dog"]})], ids=["single", "multiple"]
)
@pytest.mark.parametrize("key", ["choice", "animal"])
def test_label_studio_json_min(tmp_path: Path, answers: tuple[object, object], key: str) -> None:
    root = folder(tmp_path / "images", "one.jpg", "two.jpg")
    items = [
        {"image": f"/data/upload/1/{name}.jpg", "id": n, key: answer, "annotator": 1, "lead_time": 1.5}
        for n, (name, answer) in enumerate(zip(("one", "two"), answers, strict=True))
    ]
    assert labelled(scan(root, text(tmp_path / "min.json", items))) == {"one.jpg": "cat", "two.jpg": "dog"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "JSON format"),
        ([], "JSON format"),
        ([1], "JSON format"),
        ([{"data": {"text": "no image"}}], "task 1"),
        ([task(1, "a.jpg")], "`choices`"),
        ([task(1, "../../a.jpg", ["x"])], "task 1: '../../a.jpg'"),
        ([task(1, "/data/local-files/?d=../a.jpg", ["x"])], "leads outside"),
        ([{"image": "a.jpg", "shape": "x", "colour": "y"}], "shape"),
        ("[", "must be valid JSON"),
        ("[" * 100_000, "export.json"),
    ],
)
def test_label_studio_faults(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        scan(folder(tmp_path / "images", "a.jpg"), text(tmp_path / "export.json", document))


def test_a_name_that_several_files_have_is_rejected(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", "x/1.jpg", "y/1.jpg", "2.jpg", "3.jpg")
    export = text(tmp_path / "e.json", [task(n, f"{n}.jpg", [label]) for n, label in ((1, "a"), (2, "a"), (3, "b"))])
    found = scan(root, export)
    ((name, reason),) = found.rejected
    assert name == "1.jpg" and mentions(reason, "x/1.jpg", "y/1.jpg")
    accounted(found, root)


# CVAT


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>cat</name></label></labels></task></meta>
  <image id="0" name="one.jpg" width="24" height="16"><tag label="cat" source="manual"></tag></image>
  <image id="1" name="sub/two.jpg" width="24" height="16">
    <tag label="dog" source="manual"><attribute name="age">3</attribute></tag>
    <box label="nose" xtl="1" ytl="1" xbr="2" ybr="2"></box></image>
  <image id="2" name="three.jpg"><tag label="dog"/><tag label="cat"/></image>
  <image id="3" name="four.jpg"/>
</annotations>"""


def test_cvat_export(tmp_path: Path) -> None:
    root = folder(tmp_path, "images/one.jpg", "images/sub/two.jpg", "images/three.jpg", "images/four.jpg")
    text(root / "annotations.xml", CVAT)
    found = scan(root)
    given = {"images/one.jpg": "cat", "images/sub/two.jpg": "dog", "images/four.jpg": None}
    assert (found.layout, labelled(found)) == ("cvat", given)
    assert dict(found.rejected) == {"images/three.jpg": f"{reasons.SEVERAL}: cat, dog"}
    accounted(found, root)


def test_cvat_archive_with_subsets(tmp_path: Path) -> None:
    xml = CVAT.replace('name="one', 'subset="Train" name="one').replace('name="sub', 'subset="Train" name="sub')
    xml = xml.replace('name="three', 'subset="Validation" name="three').replace(
        'name="four', 'subset="Test" name="four'
    )
    xml = xml.replace('<tag label="dog"/><tag label="cat"/>', '<tag label="cat"/>')
    names = ["images/Train/one.jpg", "images/Train/sub/two.jpg", "images/Validation/three.jpg", "images/Test/four.jpg"]
    archive = make_zip(tmp_path / "job.zip", {"annotations.xml": xml.encode(), **dict.fromkeys(names, PHOTO)})
    with opened(archive, tmp_path / "work") as found:
        assert [(e.relative.rpartition("/")[2], e.split) for e in found.entries] == [
            ("one.jpg", "train"),
            ("two.jpg", "train"),
            ("three.jpg", "val"),
            ("four.jpg", None),
        ]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LAUGHS + "<annotations>&b;</annotations>", "entities"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><annotations/>', "entities"),
        ("<annotations/>", "no tags on images"),
        ('<annotations><image name="a.jpg"></annotations>', "mismatched tag"),
        (
            '<annotations><image name="../a.jpg"><tag label="x"/></image></annotations>',
            "image 1: '../a.jpg'",
        ),
        ('<annotations><image><tag label="x"/></image></annotations>', "image 1: .*empty"),
        ("<annotations>&undefined;</annotations>", "undefined entity"),
        ("<a>" * 100_000, "annotations.xml"),
        ("no xml", "annotations.xml"),
        ("", "annotations.xml"),
    ],
)
def test_cvat_faults(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_cvat(Document(text(tmp_path / "annotations.xml", content)))


def datumaro(*items: tuple[str, list[int]]) -> dict[str, Any]:
    """A Datumaro document with the labels cat and dog."""
    return {
        "info": {},
        "categories": {"label": {"labels": [{"name": "cat", "parent": ""}, {"name": "dog", "parent": ""}]}},
        "items": [
            {
                "id": path.rpartition(".")[0],
                "annotations": [{"id": 0, "type": "label", "label_id": number} for number in numbers],
                "image": {"path": path, "size": [16, 24]},
            }
            for path, numbers in items
        ],
    }


def test_datumaro_with_subsets(tmp_path: Path) -> None:
    root = folder(
        tmp_path,
        *(f"images/{side}/{n}.jpg" for side in ("train", "val") for n in (1, 2)),
        "images/val/3.jpg",
        "images/val/4.jpg",
    )
    text(root / "annotations" / "train.json", datumaro(("train/1.jpg", [0]), ("train/2.jpg", [1])))
    text(
        root / "annotations" / "val.json",
        datumaro(("val/1.jpg", [0]), ("val/2.jpg", [1]), ("val/3.jpg", [0, 1]), ("val/4.jpg", [])),
    )
    found = scan(root)
    assert found.layout == "datumaro" and found.splits == {"train", "val"}
    assert labelled(found)["images/val/2.jpg"] == "dog" and labelled(found)["images/val/4.jpg"] is None
    assert dict(found.rejected) == {"images/val/3.jpg": f"{reasons.SEVERAL}: cat, dog"}
    accounted(found, root)


@pytest.mark.parametrize("broken", [{"items": 3}, {"items": [{}]}, {"categories": {}}, {"items": [1]}])
def test_datumaro_faults(tmp_path: Path, broken: dict[str, object]) -> None:
    with pytest.raises(SourceError, match=r"default\.json"):
        read_any(text(tmp_path / "default.json", datumaro(("1.jpg", [0])) | broken))
    for number in (-1, 2):
        with pytest.raises(SourceError, match=r"default\.json"):
            read_any(text(tmp_path / "default.json", datumaro(("1.jpg", [number]))))


# COCO, FiftyOne, ImageNet lists, Open Images


def test_unlabelled_folder(tmp_path: Path) -> None:
    root = folder(tmp_path, "1.jpg", "deep/er/2.png", "train/3.jpg", ".hidden.jpg")
    text(root / "metadata.csv", "file_name,label\n1.jpg,a\n")
    with open_source(root, workspace=tmp_path / "work", reading=Reading(unlabelled=True)) as found:
        assert {(e.relative, e.label, e.split) for e in found.entries} == {
            (name, None, None) for name in ("1.jpg", "deep/er/2.png", "train/3.jpg")
        }
        assert (found.layout, found.classes, found.splits) == ("unlabelled", set(), set())
        accounted(found, root)
    with pytest.raises(UsageError):
        scan(root, root / "metadata.csv", reading=Reading(unlabelled=True))
    with pytest.raises(SourceError, match="no images"):
        scan(write(tmp_path / "none" / "x.txt", b"").parent, reading=Reading(unlabelled=True))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["a.jpg", "choices"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["data", "image", "annotations", "result", "type", "value", "choices", "choice", "items", "categories",
                 "label", "labels", "name", "id", "label_id", "path", "media",
                 "images", "file_name", "image_id", "category_id", "bbox", "classes"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)  # fmt: skip


@given(document=JSON)
def test_any_json_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    path = text(tmp_path_factory.mktemp("json") / "x.json", json.dumps(document))
    try:
        table = read_any(path).table
    except SourceError as error:
        assert error.message
    else:
        assert all(row.label and ".." not in row.filename.split("/") for row in table.rows)


@given(content=st.text(st.sampled_from('<>/="& annotiosmge!DOCTYPE[]')) | st.text())
def test_any_xml_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    with pytest.raises(SourceError):
        read_cvat(Document(text(tmp_path_factory.mktemp("xml") / "x.xml", content.encode("utf-8", "replace").decode())))
