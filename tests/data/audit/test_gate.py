"""The gate before training: an error stops a run before anything is computed, unless it is allowed or mended."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.data.audit.pictures import photos
from tests.texts import mentions
from workflows.data.audit.repairs import fix
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError
from workflows.graph.workflow import load_template
from workflows.pipeline import RunContext, create_run, do_step, run_pipeline
from workflows.preparation import OPENING
from workflows.requests import TrainRequest
from workflows.store.store import Store

TO_THE_AUDIT = [step for step in OPENING if step.key in ("dataset", "audit")]


@pytest.fixture
def leaky(store: Store, tmp_path: Path) -> Path:
    """A data set `leaky` of which two validation photos stand in train too; and its folder."""
    source = tmp_path / "leaky"
    photos(source / "train", cats=20, dogs=20)
    photos(source / "val", seed=1, cats=9, dogs=9)
    for path in sorted((source / "val" / "cats").iterdir())[:2]:
        shutil.copyfile(path, source / "train" / "cats" / f"copy-{path.name}")
    add_dataset(store, "leaky", source)
    return source


def audited_run(store: Store, **request: object) -> dict[str, object]:
    """The answer of the stage `audit` of a new run."""
    run = create_run(store, TrainRequest.model_validate({"weights": "none", **request}))
    context = RunContext(store, run.run_id)
    return [do_step(context, step) for step in TO_THE_AUDIT][-1].document()


def test_the_audit_comes_right_after_the_data() -> None:
    assert [step.key for step in OPENING] == ["dataset", "audit", "workflow"]


def test_an_error_stops_the_run_and_names_the_way_on(store: Store, leaky: Path) -> None:
    run = create_run(store, TrainRequest(dataset="leaky", weights="none"))
    with pytest.raises(DatasetError) as caught:
        run_pipeline(store, run.run_id)
    assert mentions(caught.value.message, "leak-exact: 2")
    assert "fieldguide dataset fix leaky leak-exact" in caught.value.message
    assert "--allow leak-exact" in caught.value.hint
    record = store.runs.get(run.run_id)
    assert record.state == "failed"
    assert "leak-exact" in str(record.error)
    assert not store.run_folder(run.run_id).workflow.exists()


def test_an_allowed_error_is_kept_with_the_run(store: Store, leaky: Path) -> None:
    with pytest.raises(DatasetError):
        audited_run(store, dataset="leaky", allow=["two-labels"])
    findings = audited_run(store, dataset="leaky", allow=["leak-exact"])["findings"]
    assert isinstance(findings, list)
    assert {name: value for name, value in findings[0].items() if name != "title"} == {
        "key": "leak-exact",
        "severity": "error",
        "count": 2,
    }


def test_what_is_mended_passes_and_stays_mended_when_the_folder_is_named(store: Store, leaky: Path) -> None:
    fix(store, "leaky", "leak-exact")
    findings = audited_run(store, dataset="leaky")["findings"]
    assert isinstance(findings, list)
    assert "leak-exact" not in {finding["key"] for finding in findings}
    with pytest.raises(DatasetError):
        audited_run(store, dataset="leaky", version=1)


def test_a_split_that_is_not_used_stops_nothing(store: Store, leaky: Path) -> None:
    workflow = load_template("balanced-photos").for_dataset("leaky", 1).with_settings("split", source="new")
    answer = audited_run(store, dataset="leaky", workflow=workflow.model_dump(mode="json"))
    assert isinstance(answer["findings"], list)
