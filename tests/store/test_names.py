"""Names."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from workflows.store.names import counted, printable, slug


def test_slug() -> None:
    assert slug("Flower Photos (2)") == "flower-photos-2"
    assert slug("Blüten") == "bluten"
    assert slug("花", "data") == "data"


@given(st.text())
def test_slug_is_always_a_plain_name(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", slug(text))


def test_counted() -> None:
    assert [counted(1, "image"), counted(2000, "image"), counted(0, "class", "classes")] == [
        "1 image",
        "2,000 images",
        "0 classes",
    ]


def test_printable() -> None:
    assert printable(b"\xff.jpg".decode("utf-8", "surrogateescape")) == "\\xff.jpg"
