"""Every template loads, is sound, draws, and opens with what it is for and its command."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows.errors import WorkflowError
from workflows.graph.drawing import to_graphviz, to_mermaid, to_text
from workflows.graph.templates import template_text
from workflows.graph.workflow import dumps, list_templates, load_template, load_workflow, loads


def test_there_are_templates_for_the_common_cases() -> None:
    assert {"fast-photos", "balanced-photos", "accurate-photos", "few-photos", "signs-from-scratch"} <= set(
        list_templates()
    )


@pytest.mark.parametrize("name", list_templates())
def test_a_template_is_sound(name: str) -> None:
    workflow = load_template(name)
    assert workflow.name == name
    assert workflow.description
    assert workflow.problems() == []
    assert loads(dumps(workflow)) == workflow


@pytest.mark.parametrize("name", list_templates())
def test_a_template_says_what_it_is_for_and_its_command(name: str) -> None:
    header, _, _ = template_text(name).partition("\n\nname:")
    lines = header.splitlines()
    assert all(line.startswith("#") for line in lines)
    assert len(lines[0]) > 40, "the first line says what it is for"
    assert f"#   fieldguide train NAME --workflow {name}" in lines


@pytest.mark.parametrize("name", list_templates())
def test_a_template_draws(name: str) -> None:
    workflow = load_template(name)
    for text in (to_text(workflow), to_mermaid(workflow), to_graphviz(workflow)):
        assert all(node.kind in text for node in workflow.nodes)


def test_a_template_is_found_by_its_name_where_a_file_is_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_workflow(Path("fast-photos")) == load_template("fast-photos")
    Path("fast-photos").write_text(dumps(load_template("few-photos")))
    assert load_workflow(Path("fast-photos")).name == "few-photos", "a file of that name goes first"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fast-photo", "No template is called 'fast-photo'; did you mean 'fast-photos'?"),
        ("zzz", "No template is called 'zzz'; available: accurate-photos, balanced-photos"),
        ("../settings", "No template is called '../settings'; available:"),
    ],
)
def test_an_unknown_template_is_told(name: str, message: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        load_template(name)
    assert caught.value.message.startswith(message)
