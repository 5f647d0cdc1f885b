"""The form of a workflow: its fields against the schema, changes and mistakes, steps left out and put in."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

import app.client as clients
from app.client.workflows import Workflows
from app.views.workflow.fields import RULE, change, check, fits_widget, form_fields, from_widget, to_widget
from tests.app.pages import button_keys, show, sound, words
from tests.texts import mentions
from workflows.graph.editing import insert_node
from workflows.graph.fields import describe_fields, limits
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.workflow import load_template

pytestmark = pytest.mark.timeout(1200)
page = partial(show, "workflow")


def values_of(kind: str, name: str) -> st.SearchStrategy[Any]:
    """Any value that the schema allows for a field."""
    info = NODE_KINDS[kind].settings.model_fields[name]
    field, rules = {one.field: one for one in describe_fields(kind)}[name], limits(info)
    bare, _, optional = field.type.partition(" or ")
    found: st.SearchStrategy[Any]
    if bare == "whole number":
        factor = rules.get("multiple_of", 1)
        found = st.integers(-(-rules.get("ge", 0) // factor), rules.get("le", 2**60) // factor).map(
            lambda n: n * factor
        )
    elif bare == "number":
        low, high = rules.get("ge", rules.get("gt", 0.0)), rules.get("le", rules.get("lt", 1.0))
        found = st.floats(low, high, exclude_min="gt" in rules, exclude_max="lt" in rules)
    elif bare == "choice":
        found = st.sampled_from(get_args(info.annotation) or field.range.split(", "))
    elif bare == "list":
        found = st.lists(st.sampled_from(field.range.split(", ")), unique=True, min_size=1).map(tuple)
    else:
        found = st.from_regex(rules["pattern"], fullmatch=True) if "pattern" in rules else st.text(min_size=1)
    return st.none() | found if optional else found


@pytest.mark.parametrize("kind", NODE_KINDS)
@given(data=st.data())
def test_settings_come_back_from_their_form_as_they_went_in(kind: str, data: st.DataObject) -> None:
    drawn = {field.name: data.draw(values_of(kind, field.name)) for field in form_fields(kind)}
    if kind == "split":
        drawn |= {"train": 1.0 - drawn["val"] - drawn["test"]}
    try:
        settings = NODE_KINDS[kind].settings.model_validate(drawn)
    except ValidationError:
        assume(False)
    shown = {field.name: to_widget(field, getattr(settings, field.name)) for field in form_fields(kind)}
    read = {field.name: from_widget(field, shown[field.name]) for field in form_fields(kind)}
    assert check(kind, read) == (settings, {})


def test_every_field_has_a_widget_and_words() -> None:
    for kind in NODE_KINDS:
        for field in form_fields(kind):
            assert field.help.strip(), (kind, field.name)
            assert bool(field.choices) == (field.kind in ("choice", "list"))
            assert field.step > 0


def test_what_is_wrong_is_said_at_the_field() -> None:
    workflow = load_template("fast-photos")
    same, problems = change(workflow, "model", {"image_size": 100, "dropout": 2.0, "size": "n"})
    assert same is workflow
    assert set(problems) == {"image_size", "dropout"}
    assert mentions(problems["image_size"], 96, 128)
    _, problems = change(workflow, "split", {"source": "new", "train": 0.5, "val": 0.1, "test": 0.1})
    assert "must be 1" in problems[RULE]
    assert change(workflow, "model", {"image_size": workflow.model.image_size})[0] is workflow
    other, problems = change(workflow, "model", {"image_size": 96})
    assert (other.model.image_size, problems) == (96, {})


def test_a_number_that_a_browser_would_round_is_left_alone() -> None:
    seed = next(field for field in form_fields("training") if field.name == "seed")
    assert fits_widget(seed, 2**53 - 1)
    assert not fits_widget(seed, 2**53)


def test_a_row_of_boxes_has_arrows_only_where_there_are_edges() -> None:
    workflow, id_ = insert_node(load_template("fast-photos"), "evaluation")
    boxes = {box.node_id: box for box in clients.client().workflows.boxes(workflow)}
    assert boxes["dataset"].leads and not boxes["dataset"].after
    assert list(boxes)[-2:] == ["explanation", id_]
    assert boxes["training"].leads
    assert not boxes["explanation"].leads
    assert boxes[id_].after == ("training",)


def test_goals_stand_beside_each_other_and_one_is_chosen(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    assert {"goal-fast", "goal-balanced", "goal-accurate"} <= set(button_keys(shown))
    assert shown.button(key="goal-fast").disabled
    assert "birds-fast" in words(shown)
    sound(shown.button(key="goal-accurate").click().run())
    assert shown.query_params["goal"] == "accurate"
    assert shown.button(key="goal-accurate").disabled


def test_a_change_reaches_the_workflow_and_a_mistake_does_not(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    turn = shown.session_state["workflow-draft"].turn
    key = f"node-{turn}-augmentation-rotate"
    sound(shown.number_input(key=key).set_value(25.0).run())
    assert shown.session_state["workflow-draft"].workflow.augmentation.rotate == 25.0
    assert shown.session_state["workflow-draft"].changed
    sound(shown.number_input(key=key).set_value(999.0).run())
    assert shown.session_state["workflow-draft"].workflow.augmentation.rotate == 25.0
    assert mentions(words(shown), 0, 180, 999)
    sound(shown.button(key="workflow-reset").click().run())
    assert not shown.session_state["workflow-draft"].changed


def test_steps_are_left_out_and_put_in(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    sound(shown.button(key="leave-out-augmentation").click().run())
    kinds = [node.kind for node in shown.session_state["workflow-draft"].workflow.nodes]
    assert "augmentation" not in kinds
    assert shown.session_state["workflow-draft"].changed
    sound(shown.button(key="put-in-evaluation").click().run())
    sound(shown.button(key="put-in-augmentation").click().run())
    draft = shown.session_state["workflow-draft"]
    assert draft.workflow.problems() == []
    assert [node.id for node in draft.workflow.nodes_of("evaluation")] == ["evaluation", "evaluation-2"]
    sound(shown.button(key="workflow-reset").click().run())
    assert not shown.session_state["workflow-draft"].changed


def test_the_settings_of_augmentation_are_folded_and_start_stands_apart(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    folded = next(one for one in shown.expander if one.label.startswith("All"))
    assert len(folded.number_input) == len(form_fields("augmentation")) > 10
    assert not folded.proto.expanded
    assert "train-start" not in {button.key for button in shown.main.button}, "it is in the bar below, always in view"
