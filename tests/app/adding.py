"""Adding photos on the page Data, without a browser: a folder is named, and the page looks through it."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

import app.client as clients
from tests.app.pages import show, sound
from tests.app.trees import ended


def begun(folder: Path, labels: Path | None = None) -> AppTest:
    """Name a folder, and a label file beside it, for a new data set; return the page once it has looked through them."""
    test = show("data", new="1")
    test.session_state["add--where"] = "A folder on the studio's machine"
    sound(test.run())
    test.text_input(key="add--path").set_value(str(folder))
    if labels is not None:
        test.text_input(key="add--labels").set_value(str(labels))
    return looked(sound(test.run()))


def looked(test: AppTest) -> AppTest:
    """Return the page once it has looked through the source."""
    job = clients.client().jobs.find(test.session_state["add--looked"][1])
    assert job is not None
    ended(job)
    return sound(test.run())
