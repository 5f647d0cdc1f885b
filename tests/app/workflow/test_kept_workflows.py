"""Workflows that are kept: under their names, uploaded, opened by their addresses, lent by runs."""

from __future__ import annotations

from functools import partial

import pytest

import app.client as clients
from app.client.workflows import Workflows
from tests.app.pages import show, sound, words
from workflows.errors import RunError, UsageError, WorkflowError
from workflows.graph.workflow import list_templates, load_template
from workflows.store.store import Store

pytestmark = pytest.mark.timeout(1200)
page = partial(show, "workflow")


def test_workflows_are_kept_under_their_names(store: Store) -> None:
    part, workflow = clients.client().workflows, load_template("few-photos")
    key = part.save(workflow, "  Größe / ../x\t'1' ")
    assert [(saved.key, saved.name) for saved in part.saved()] == [(key, "Größe / ../x '1'")]
    assert (part.folder / f"{key}.yaml").is_file()
    assert part.open(key).model == workflow.model
    assert part.save(workflow, "größe x 1") != key  # the same file name, but another name
    assert part.save(load_template("fast-photos"), "Größe / ../x '1'") == key  # in its place
    assert part.open(key).model == load_template("fast-photos").model
    copy = part.duplicate(key)
    again = part.duplicate(key)
    assert [part.open(one).name[-8:] for one in (copy, again)] == ["1' (copy)"[-8:], "(copy 2)"]
    long = part.save(workflow, "name: " + "x" * 300)
    assert next(saved.name for saved in part.saved() if saved.key == long) == "name: " + "x" * 300
    for saved in part.saved():
        part.delete(saved.key)
    assert part.saved() == []
    with pytest.raises(UsageError):
        part.save(workflow, " \n ")


def test_a_kept_workflow_hides_no_ready_made_one(store: Store) -> None:
    part = clients.client().workflows
    key = part.save(load_template("few-photos"), "fast photos")
    assert key not in list_templates()
    assert part.open("fast-photos") == load_template("fast-photos")


@pytest.mark.parametrize("key", ["../fieldguide", "a/b", "", ".", "A", "x.yaml"])
def test_no_name_leads_out_of_the_folder(store: Store, key: str) -> None:
    with pytest.raises(WorkflowError):
        clients.client().workflows.open(key)
    with pytest.raises(WorkflowError):
        clients.client().workflows.delete(key)


def test_an_upload_is_read_or_refused_in_words(store: Store) -> None:
    part, workflow = clients.client().workflows, load_template("surface-defects")
    assert part.from_yaml(part.as_yaml(workflow), "up.yaml") == workflow
    with pytest.raises(WorkflowError, match="UTF-8"):
        part.from_yaml(b"\xff\xfe\x00", "up.yaml")
    with pytest.raises(WorkflowError, match="image_size"):
        part.from_yaml(part.as_yaml(workflow).replace(b"image_size: 320", b"image_size: 321"), "up.yaml")
    with pytest.raises(WorkflowError, match="larger"):
        part.from_yaml(b"#" * 2_000_000, "up.yaml")


def test_a_run_lends_its_workflow(store: Store) -> None:
    finished = next(run for run in store.runs.list() if run.dataset == "birds")
    assert clients.client().workflows.of_run(finished.run_id).dataset.name
    waiting = store.runs.create("birds", {"dataset": "birds"})
    with pytest.raises(RunError, match="workflow"):
        clients.client().workflows.of_run(waiting.run_id)


def test_a_workflow_is_saved_and_opened_by_its_address(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    name = next(str(field.key) for field in shown.text_input if str(field.key).startswith("workflow-name-"))
    shown.text_input(key=name).set_value("my **birds**").run()
    sound(shown.button(key="workflow-save").click().run())
    key = str(shown.query_params["saved"])
    assert workflows.open(key).name == "my **birds**"
    again = page(dataset="birds", saved=key)
    assert "**my **birds**** :gray[saved]" in words(again)
    assert r"**my \*\*birds\*\***" in "\n".join(part.value for part in again.markdown)
    workflows.delete(key)
    assert repr(key) in words(page(dataset="birds", saved=key))
