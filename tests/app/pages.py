"""Pages without a browser: open one as its address would, press things, read what it says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import app.client as clients
from workflows.store.store import Store

VIEWS = Path(clients.__file__).parents[1] / "views"
SECONDS = 90.0
"""For a page to be drawn, while other tests use this machine, too."""
TEXTS = ("header", "subheader", "markdown", "caption", "info", "success", "warning", "error", "toast")


@contextmanager
def opened(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Make `home` the state folder of this process, whose pages and client see it and nothing kept of another."""
    monkeypatch.setenv("FIELDGUIDE_HOME", str(home))
    monkeypatch.delenv("FIELDGUIDE_DATABASE_URL", raising=False)
    clients._only.cache_clear()
    try:
        yield Store(home)
    finally:
        clients._only.cache_clear()


def copied(written: Path, place: Path) -> Path:
    """Return a copy of a state folder, in `place`, for a test that changes it."""
    return Path(shutil.copytree(written, place / "home"))


def prepared(view: str, /, **query: str) -> AppTest:
    """Return a page that has not run yet, at the address `?name=value`; `class_` stands for `class`."""
    test = AppTest.from_file(str(VIEWS / view / "page.py"), default_timeout=SECONDS)
    for name, value in query.items():
        test.query_params[name.removesuffix("_")] = value
    return test


def show(view: str, /, **query: str) -> AppTest:
    """Open a page at the address `?name=value`; it must not break."""
    return sound(prepared(view, **query).run())


def sound(test: AppTest) -> AppTest:
    """Return a page that ran, if it did not break. What it refused in words is no breakage."""
    assert not test.exception, test.exception[0].message
    return test


def fine(test: AppTest) -> AppTest:
    """Return a page that ran, if it neither broke nor refused anything."""
    assert not sound(test).error, test.error[0].value
    return test


def show_fine(view: str, /, **query: str) -> AppTest:
    """Open a page at the address `?name=value`; it must neither break nor refuse anything."""
    return fine(show(view, **query))


def labels(test: AppTest) -> list[str]:
    """Return the names of a page's buttons, in their order."""
    return [button.label for button in test.button]


def leads_to(test: AppTest, key: str) -> str:
    """Press a button, and return the page that it leads to, which is not part of the test."""
    test.button(key=key).click().run()
    found = next(part for part in test.exception[0].message.split() if part.startswith(("views/", "`views/")))
    return found.strip("`'.,")


def button_keys(test: AppTest) -> list[str]:
    """Return the keys of a page's buttons, in their order."""
    return [str(button.key) for button in test.button]


def words(test: AppTest) -> str:
    """Return all the running text of a page as it is read: without the marks that keep names from being mark-up."""
    return marked(test).replace("\\", "")


def marked(test: AppTest) -> str:
    """Return all the running text of a page as markdown."""
    bars = [str(bar.proto.text) for bar in test.get("progress")]
    return "\n".join([*bars, *(str(part.value) for kind in TEXTS for part in getattr(test, kind))])
