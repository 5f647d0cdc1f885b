"""Every verb on a small real run: one JSON document on stdout and nothing else, words for people, exit codes."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.conftest import Trained
from tests.photos import digit_folders
from tests.processes import fieldguide

METRICS = {"top1", "precision_macro", "recall_macro", "f1_macro", "average_confidence", "ece"}


@pytest.fixture(scope="module")
def trained(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The finished run of the session, in a home that verbs may change."""
    return replace(trained, home=Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("verbs") / "home")))


def test_train_prints_one_document_with_all_that_was_promised(trained: Trained) -> None:
    result = trained.result
    promised = {
        "run_id",
        "state",
        "workflow",
        "dataset",
        "metrics",
        "seconds",
        "images_per_second",
        "device",
        "artifacts",
    }
    assert promised <= set(result)
    assert result["state"] == "finished"
    assert set(result["dataset"]) >= {"name", "version", "images", "classes"}
    assert len(result["workflow"]["nodes"]) == 7
    for split in ("val", "test"):
        values = result["metrics"][split]
        assert all(0.0 <= values[name] <= 1.0 for name in METRICS)
        assert values["log_loss"] >= 0.0
        low, high = values["top1_ci95"]
        assert low <= values["top1"] <= high
        assert values["support"] > 0
    assert set(result["seconds"]) >= {"dataset", "training", "evaluation", "explanation"}


def test_every_artifact_is_there(trained: Trained) -> None:
    artifacts = trained.result["artifacts"]
    assert {
        "predictions",
        "report",
        "model",
        "workflow",
        "confusion_matrix_test_picture",
        "learning_curves_picture",
    } <= set(artifacts)
    assert all(Path(path).is_file() for path in artifacts.values())


def test_nothing_of_a_library_reaches_stdout(trained: Trained) -> None:
    assert trained.finished.stdout.startswith("{")
    assert trained.finished.stdout.endswith("}\n")
    assert "Traceback" not in trained.finished.stderr


def test_progress_is_told_on_stderr(trained: Trained) -> None:
    assert trained.run_id in trained.finished.stderr
    assert "train" in trained.finished.stderr


def test_runs_list_is_sorted_newest_first_and_names_the_state(trained: Trained) -> None:
    listed = trained.fieldguide("runs", "list", "--json").document
    times = [run["created_at"] for run in listed]
    assert times == sorted(times, reverse=True)
    assert trained.run_id in {run["run_id"] for run in listed}
    assert {"run_id", "state", "created_at", "test_top1"} <= set(listed[0])
    assert trained.run_id in trained.fieldguide("runs", "list").stdout


def test_runs_show_compares_estimate_and_reality(trained: Trained) -> None:
    shown = trained.fieldguide("runs", "show", trained.run_id, "--json").document
    assert shown["state"] == "finished"
    assert [step["step"] for step in shown["steps"]] == [1, 2]
    assert "val/top1" in shown["steps"][0]
    human = trained.fieldguide("runs", "show", trained.run_id).stdout
    assert "estimated" in human and "took" in human


def test_a_run_is_found_by_the_beginning_of_its_id(trained: Trained) -> None:
    shown = trained.fieldguide("runs", "show", trained.run_id[:-1], "--json")
    assert shown.document["run_id"] == trained.run_id


def test_an_unknown_run_is_an_error_in_words(trained: Trained) -> None:
    missing = trained.fieldguide("runs", "show", "nothing-like-it", "--json")
    assert missing.code == 1
    assert "nothing-like-it" in missing.document["error"]
    assert "Traceback" not in missing.stderr


def test_predict_answers_for_files_and_folders(trained: Trained) -> None:
    photo = next((trained.photos / "1").iterdir())
    records = trained.fieldguide("predict", "latest", photo, trained.photos / "2", "--top", 2, "--json").document
    assert len(records) == 21
    assert records[0]["path"] == str(photo)
    assert len(records[0]["top"]) == 2
    assert records[0]["top"][0] == {"label": records[0]["label"], "confidence": records[0]["confidence"]}


def test_predict_gives_the_stored_probabilities(trained: Trained) -> None:
    pandas = pytest.importorskip("pandas")
    stored = pandas.read_parquet(trained.result["artifacts"]["predictions"])
    row = stored[stored["split"] == "test"].iloc[0]
    record = trained.fieldguide("predict", trained.run_id, trained.photos / row["path"], "--json").document[0]
    assert record["label"] == row["predicted"]
    assert record["confidence"] == pytest.approx(row["confidence"], abs=1e-4)


def test_predict_goes_on_past_what_it_cannot_read_and_fails_only_if_nothing_can_be(
    trained: Trained, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not a photo")
    photo = next((trained.photos / "1").iterdir())
    mixed = trained.fieldguide("predict", "latest", broken, photo, tmp_path / "absent.png", "--json")
    assert mixed.code == 0
    assert ["error" in record for record in mixed.document] == [True, False, True]
    hopeless = trained.fieldguide("predict", "latest", broken, "--json")
    assert hopeless.code == 1
    assert list(hopeless.document[0]) == ["path", "error"]


def test_predict_writes_a_table(trained: Trained, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    done = trained.fieldguide("predict", "latest", trained.photos / "0", "--csv", target)
    assert done.code == 0, done.stderr
    with target.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert {"path", "label", "confidence", "label_2", "confidence_2"} <= set(rows[0])


def test_evaluate_gives_the_metrics_of_the_run_again(trained: Trained) -> None:
    again = trained.fieldguide("evaluate", "latest", "--split", "test", "--json").document
    assert again["metrics"]["top1"] == trained.result["metrics"]["test"]["top1"]
    assert again["metrics"]["log_loss"] == pytest.approx(trained.result["metrics"]["test"]["log_loss"], abs=1e-6)


def test_evaluate_on_a_data_set_with_other_classes_is_an_error_in_words(trained: Trained, tmp_path: Path) -> None:
    others = digit_folders(tmp_path / "more", classes=5, per_class=8)
    assert trained.fieldguide("dataset", "add", "more", others).code == 0
    refused = trained.fieldguide("evaluate", trained.run_id, "--data", "more", "--json")
    assert refused.code == 1
    assert "does not know" in refused.document["error"]


def test_explain_draws_a_picture_per_method(trained: Trained, tmp_path: Path) -> None:
    photo = next((trained.photos / "1").iterdir())
    done = trained.fieldguide("explain", "latest", photo, "--method", "eigen-cam", "-o", tmp_path / "maps", "--json")
    assert done.code == 0, done.stderr
    assert [record["method"] for record in done.document] == ["eigen-cam"]
    assert Path(done.document[0]["picture"]).is_file()


def test_datasets_are_listed_shown_and_exported(trained: Trained, tmp_path: Path) -> None:
    names = {entry["name"] for entry in trained.fieldguide("dataset", "list", "--json").document}
    assert "digits" in names
    shown = trained.fieldguide("dataset", "show", "digits", "--json").document
    assert shown["splits"]["train"] > shown["splits"]["test"] > 0
    done = trained.fieldguide("dataset", "export", "digits", tmp_path / "out", "--format", "folders", "--json")
    assert done.document["images"] == 60
    assert (done.document["renamed"], done.document["table"]) == ({}, None)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 60


def test_a_workflow_is_recommended_checked_and_drawn(trained: Trained, tmp_path: Path) -> None:
    file = tmp_path / "wf.yaml"
    made = trained.fieldguide(
        "workflow", "recommend", "digits", "--goal", "fast", "--weights", "none", "-o", file, "--json"
    )
    assert made.code == 0, made.stderr
    assert made.document["reasons"] and made.document["estimate"]["seconds"] > 0
    assert trained.fieldguide("workflow", "check", file, "--json").document["ok"] is True
    assert "flowchart" in trained.fieldguide("workflow", "show", file, "--mermaid").stdout
    assert trained.fieldguide("workflow", "show", file, "--graphviz").stdout.startswith("digraph")
    assert "image_size" in trained.fieldguide("workflow", "show", file).stdout


def test_a_bad_workflow_names_every_fault_at_once(trained: Trained, tmp_path: Path) -> None:
    file = tmp_path / "wf.yaml"
    trained.fieldguide("workflow", "recommend", "digits", "--weights", "none", "-o", file)
    text = file.read_text().replace("epochs:", "epoch:").replace("image_size: ", "image_size: 1")
    file.write_text(text)
    refused = trained.fieldguide("workflow", "check", file, "--json")
    assert refused.code == 1
    assert len(refused.document["problems"]) >= 2
    assert any("epochs" in problem for problem in refused.document["problems"])
    assert trained.fieldguide("train", "digits", "--workflow", file).code == 1


def test_runs_are_compared_on_the_same_photos(trained: Trained) -> None:
    compared = trained.fieldguide("runs", "compare", trained.run_id, trained.run_id, "--json").document
    assert compared[0]["images"] == trained.result["metrics"]["test"]["support"]
    assert compared[0]["changed"] == []
    assert trained.fieldguide("runs", "compare", trained.run_id).code == 2


def test_a_finished_run_cannot_be_cancelled_and_resumes_to_its_result(trained: Trained) -> None:
    refused = trained.fieldguide("runs", "cancel", trained.run_id, "--json")
    assert refused.code == 1
    assert "not running" in refused.document["error"]
    resumed = trained.fieldguide("runs", "resume", trained.run_id, "--json")
    assert resumed.document == trained.result


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("train", "no-such-thing"), 1, "neither a data set nor a folder"),
        (("train", "./no-such-folder", "--weights", "none"), 1, "no-such-folder"),
        (("train", "digits", "--size", "100"), 2, "multiple of 32"),
        (("train", "digits", "--epochs", "0"), 2, "--epochs"),
        (("train", "digits", "--split", "70/70"), 2, "--split"),
        (("train", "digits", "--weights", "absent.safetensors"), 1, "absent.safetensors"),
        (("train", "digits", "--device", "7", "--weights", "none"), 1, "GPU"),
        (("predict", "latest", "/nowhere/a.png"), 1, "a.png"),
        (("dataset", "show", "digit"), 1, "digits"),
        (("workflow", "check", "absent.yaml"), 1, "absent.yaml"),
        (("runs", "nonsense"), 2, "nonsense"),
    ],
)
def test_what_goes_wrong_is_said_in_words(trained: Trained, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = trained.fieldguide(*arguments)
    assert done.code == code, done.stderr
    assert words in " ".join(done.stderr.split()) + done.stdout
    assert "Traceback" not in done.stderr


def test_a_state_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    done = fieldguide(tmp_path / "home", "runs", "list")
    assert done.code == 1
    assert "Traceback" not in done.stderr


def test_doctor_checks_everything(trained: Trained) -> None:
    done = trained.fieldguide("doctor", "--json")
    assert done.code == 0, done.stdout
    checks = {finding["check"]: finding["state"] for finding in done.document["findings"]}
    assert set(checks) == {
        "python",
        "packages",
        "devices",
        "settings",
        "home",
        "records",
        "weights",
        "server",
        "privacy",
    }
    assert checks["server"] == checks["packages"] == checks["privacy"] == "ok"
    warned = [finding for finding in done.document["findings"] if finding["state"] != "ok"]
    assert all(finding["mend"] for finding in warned)


def test_a_dry_run_says_what_would_end_the_training_and_trains_nothing(trained: Trained) -> None:
    name, before = trained.result["dataset"]["name"], sorted((trained.home / "runs").iterdir())
    ready = trained.fieldguide("train", name, "--dry-run", "--weights", "none", "--size", 32, "--json")
    assert ready.code == 0, ready.stderr
    assert ready.document["ready"] and ready.document["estimate"]["seconds"] > 0
    states = {check["subject"]: check["state"] for check in ready.document["checks"]}
    assert set(states) == {"device", "memory", "disk", "weights", "split", "audit"}
    assert states["weights"] == states["audit"] == "ok"
    absent = trained.fieldguide("train", name, "--dry-run", "--weights", "none", "--size", 32, "--device", 99, "--json")
    assert absent.code == 1 and not absent.document["ready"]
    found = next(check for check in absent.document["checks"] if check["subject"] == "device")
    assert found["state"] == "fail" and found["ways"][0]["command"] == "--device auto"
    assert trained.fieldguide("train", trained.photos, "--dry-run").code == 2, "a folder is imported first"
    assert sorted((trained.home / "runs").iterdir()) == before
