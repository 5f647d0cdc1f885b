"""What packages bring by entry points, for every registry alike."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from workflows import registries
from workflows.errors import ModelError
from workflows.registries import Registry


@dataclass(frozen=True)
class Tool:
    name: str


HAMMER, SAW = Tool("hammer"), Tool("saw")
WRONG = 7


def bringing(monkeypatch: pytest.MonkeyPatch, *attributes: str) -> Registry[Tool]:
    """Return a registry of a hammer, where packages bring these attributes of this module."""
    points = [EntryPoint(name, f"{__name__}:{name}", "demo.tools") for name in attributes]
    monkeypatch.setattr(registries, "entry_points", lambda group: points if group == "demo.tools" else [])
    return Registry("tool", "demo.tools", Tool, lambda: (HAMMER,), ModelError)


def test_built_in_ones_come_first_then_those_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = bringing(monkeypatch, "SAW")
    assert list(tools) == ["hammer", "saw"] and tools.named("saw") is SAW
    with pytest.raises(ModelError, match="'plane'") as refused:
        tools.named("plane")
    assert "hammer" in refused.value.hint and "saw" in refused.value.hint


@pytest.mark.parametrize("attribute", ["WRONG", "ABSENT", "HAMMER"])
def test_what_cannot_be_taken_from_a_package_is_an_error_every_time(
    monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    tools = bringing(monkeypatch, attribute)
    for _ in range(2):
        with pytest.raises(ModelError, match=f"{attribute}|hammer"):
            len(tools)


def test_an_entry_is_there_within_its_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = bringing(monkeypatch)
    with tools.registered(SAW) as known:
        assert tools["saw"] is known
        with pytest.raises(ModelError, match="saw"):
            tools.register(SAW)
    assert list(tools) == ["hammer"]
