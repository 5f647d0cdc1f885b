"""Seeded exports of annotation programs and metadata files, damaged and hostile: JSON, JSON lines, XML."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    10**400,
    "",
    "../../etc/passwd",
    "/etc/passwd",
    "\0",
    "\ud800",
    "x" * 100_000,
    [],
    {},
    [[[]]],
    {"": {"": ""}},
    "http://127.0.0.1:9/x.png",
    "<script>",
)
BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d SYSTEM "file:///etc/passwd">]><annotations>
<image name="&c;"><tag label="&d;"/></image></annotations>"""


def _label(number: int) -> str:
    return "cat" if number % 2 else "dog"


def label_studio(files: Sequence[str]) -> Any:
    """Whole tasks, as Label Studio exports them."""
    return [
        {
            "id": number,
            "data": {"image": f"/data/upload/1/{name}"},
            "annotations": [{"result": [{"type": "choices", "value": {"choices": [_label(number)]}}]}],
        }
        for number, name in enumerate(files)
    ]


def label_studio_min(files: Sequence[str]) -> Any:
    """One flat object for each answer."""
    return [{"image": name, "choice": _label(number), "id": number} for number, name in enumerate(files)]


def datumaro(files: Sequence[str]) -> Any:
    """CVAT's Datumaro form."""
    return {
        "categories": {"label": {"labels": [{"name": "dog"}, {"name": "cat"}]}},
        "items": [
            {"id": name[:-4], "annotations": [{"type": "label", "label_id": number % 2}], "image": {"path": name}}
            for number, name in enumerate(files)
        ],
    }


def coco(files: Sequence[str]) -> Any:
    """COCO with a category for each image."""
    return {
        "images": [{"id": number, "file_name": name, "width": 16, "height": 16} for number, name in enumerate(files)],
        "categories": [{"id": 0, "name": "dog"}, {"id": 1, "name": "cat"}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": number % 2, "bbox": [0, 0, 16, 16]}
            for number in range(len(files))
        ],
    }


def fiftyone(files: Sequence[str]) -> Any:
    """FiftyOne's classifications, with numbers of classes."""
    return {"classes": ["dog", "cat"], "labels": {name[:-4]: number % 2 for number, name in enumerate(files)}}


def metadata(files: Sequence[str]) -> Any:
    """The objects of a metadata.jsonl."""
    return [{"file_name": name, "label": _label(number), "area": number} for number, name in enumerate(files)]


def cvat(files: Sequence[str]) -> str:
    """CVAT for images 1.1."""
    images = "".join(
        f'<image id="{number}" name="{name}" width="16" height="16"><tag label="{_label(number)}"/></image>'
        for number, name in enumerate(files)
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{images}</annotations>\n'


def _spoil(rng: random.Random, node: Any, odds: float) -> Any:
    """Replace, drop or double parts of a document."""
    if rng.random() < odds:
        return rng.choice(HOSTILE)
    if isinstance(node, dict):
        kept = {key: _spoil(rng, value, odds) for key, value in node.items() if rng.random() > odds / 2}
        return {rng.choice(("", "x", "data")) if rng.random() < odds / 2 else key: value for key, value in kept.items()}
    if isinstance(node, list):
        items = [_spoil(rng, item, odds) for item in node]
        return items * 2 if rng.random() < odds else items
    return node


def _damage(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 3))):
        at = rng.randrange(len(data))
        kind = rng.choice(("flip", "cut", "insert", "repeat"))
        if kind == "flip":
            data[at] ^= 1 << rng.randrange(8)
        elif kind == "cut" and at:
            del data[at:]
        elif kind == "insert":
            data[at:at] = rng.choice(
                (b"\0", b"[" * 50_000, b'{"a":' * 20_000, b"\xff", b"&lt;&a;", b"<image>" * 3000, b"]")
            )
        else:
            data[at:at] = data[at // 2 : at] * 3
    return bytes(data)


def exports(seed: int, count: int, files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield `count` file names and contents of label files for a folder that holds `files`."""
    rng = random.Random(seed)
    kinds: tuple[Callable[[Sequence[str]], Any], ...] = (
        label_studio,
        label_studio_min,
        datumaro,
        metadata,
        cvat,
        coco,
        fiftyone,
    )
    for number in range(count):
        kind = kinds[number % len(kinds)]
        document = kind(files)
        if kind is cvat:
            suffix, text = ".xml", BOMB if rng.random() < 0.1 else str(document)
        else:
            document = _spoil(rng, document, rng.choice((0.0, 0.002, 0.05)))
            lines = document if kind is metadata and isinstance(document, list) else [document]
            suffix = ".jsonl" if kind is metadata else ".json"
            text = "\n".join(json.dumps(line) for line in lines)
        content = text.encode("utf-8", "replace")
        yield f"{number:03d} {kind.__name__}{suffix}", _damage(rng, content) if rng.random() < 0.5 else content
