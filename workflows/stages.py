"""The stages of a run: what each node of the graph does, in the order of the walk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.errors import DatasetError
from workflows.graph.settings import SplitSettings
from workflows.graph.workflow import Workflow, dumps
from workflows.pipeline import RunContext, Stage
from workflows.store.devices import hold_device
from workflows.store.files import write_atomic, write_json, write_table

RECORD_COLUMNS = ["image_id", "path", "sha256", "split", "label"]


def take_dataset(context: RunContext) -> dict[str, Any]:
    """Find the data set asked for, or import the folder asked for."""
    from workflows.data.catalog import get_version
    from workflows.data.importing import dataset_for_path

    request = context.request
    report: dict[str, Any] = {}
    if request.source is not None:
        imported = dataset_for_path(
            context.store,
            Path(request.source),
            labels=Path(request.labels) if request.labels else None,
            ratios=request.split,
            group_by=request.group_by,
            progress=context.progress,
        )
        version = imported.version
        report = {name: getattr(imported, name) for name in ("accepted", "rejected", "ignored", "total")}
    else:
        version = get_version(context.store, str(request.dataset), request.version)
    context.store.runs.update(context.run_id, dataset=version.name, version=version.number)
    facts = {"name": version.name, "version": version.number, "images": version.images}
    return {**facts, "classes": list(version.classes), "fingerprint": version.fingerprint, "import": report}


def dataset_inputs(context: RunContext) -> dict[str, Any] | None:
    """Return what an import depends on: the source as it is now, and what the store already has of it."""
    from workflows.data.catalog import list_datasets
    from workflows.data.sources import listing_of

    request = context.request
    if request.source is None:
        return None  # looking a version up costs nothing
    source = Path(request.source).expanduser().resolve()
    listing = listing_of(source, Path(request.labels) if request.labels else None)
    known = [[v.name, v.number, v.fingerprint] for v in list_datasets(context.store) if v.source == str(source)]
    asked = request.model_dump(mode="json", include={"labels", "split", "group_by"})
    return {"source": str(source), "listing": listing, "known": known, "asked": asked}


def audit_photos(context: RunContext) -> dict[str, Any]:
    """Audit the data set; what would make the training worthless stops it, unless it is allowed by name."""
    from workflows.data.audit.gate import noted, refuse_errors
    from workflows.data.audit.run import audit

    report = audit(context.store, context.version, context.progress)
    refuse_errors(report, [*context.request.allow, *_settled_by_splitting(context)])
    for finding in (*report.errors, *report.warnings):
        context.progress("audit", 1, 1, f"{finding.severity}: {finding.title} ({finding.key})")
    return {"findings": noted(report)}


def _settled_by_splitting(context: RunContext) -> tuple[str, ...]:
    """Return the findings about a split that this run's workflow does not use, because it divides the photos anew."""
    given = context.request.workflow
    if given is None or Workflow.model_validate(given).split.source != "new":
        return ()
    return ("leak-exact", "leak-near", "absent-class")


def settle_workflow(context: RunContext) -> dict[str, Any]:
    """Recommend a graph, or take the one that was given, and apply what was asked for by name."""
    from workflows.recommend.advice import recommend_for, with_estimate
    from workflows.recommend.estimate import begun
    from workflows.training.devices import choose_device

    request, version, started = context.request, context.version, time.perf_counter()
    choose_device(request.device or "auto")  # a GPU that is not there is said before anything else
    if request.workflow is not None:
        given = with_requests(Workflow.model_validate(request.workflow), context)
        workflow = with_estimate(context.store, version, given)
    else:
        advised = recommend_for(
            context.store,
            version,
            request.goal,
            image_size=request.size,
            epochs=request.epochs,
            seed=request.seed or 0,
            weights=request.weights or "auto",
            device=request.device or "auto",
            minutes=request.minutes,
            progress=context.progress,
        )
        named = advised.for_dataset(version.name, version.number)
        workflow = named.model_copy(update={"estimate": advised.estimate})
    if workflow.estimate:
        spent = time.perf_counter() - started + sum(context.need(key)["seconds"] for key in ("dataset", "audit"))
        workflow = workflow.model_copy(update={"estimate": begun(workflow.estimate, spent)})
    write_atomic(context.workflow_path, dumps(workflow).encode())
    device = choose_device(workflow.training.device)
    document = workflow.model_dump(mode="json")
    context.store.runs.update(context.run_id, workflow=document, goal=workflow.goal, device=device)
    return {"name": workflow.name, "goal": workflow.goal, "device": device, "estimate": document["estimate"]}


def with_requests(workflow: Workflow, context: RunContext) -> Workflow:
    """Return `workflow` for the run's data set, with what the request overrides."""
    request, version = context.request, context.version
    workflow = workflow.for_dataset(version.name, version.number)
    training = {"epochs": request.epochs, "seed": request.seed, "device": request.device}
    model = {"image_size": request.size, "weights": request.weights}
    for kind, changes in (("training", training), ("model", model)):
        asked = {field: value for field, value in changes.items() if value is not None}
        if asked:
            workflow = workflow.with_settings(kind, **asked)
    return workflow


def settle_split(context: RunContext) -> dict[str, Any]:
    """Write down which photo is in which split for this run."""
    settings: SplitSettings = context.workflow.split
    table = context.version.labelled()
    if settings.source == "new":
        from workflows.data.facts import version_near
        from workflows.data.splits import assign_splits

        near = version_near(context.version, context.store.blobs)
        table = table.assign(split=None, near=table["sha256"].map(near))
        shares = (settings.train, settings.val, settings.test)
        table = table.assign(split=pd.Series(assign_splits(table, shares, settings.seed)))
    needed = ("train", "val")
    if settings.train_on == "train+val":
        table, needed = table.assign(split=table["split"].astype(str).replace("val", "train")), ("train", "test")
    records = table[RECORD_COLUMNS].sort_values("image_id", ignore_index=True)
    counts = {split: int((records["split"] == split).sum()) for split in ("train", "val", "test")}
    missing = [split for split in needed if not counts[split]]
    if missing:
        raise DatasetError(
            f"Data set {context.version.name} has no photos in split {' and '.join(missing)}.",
            "Import it again with --split 70/15/15, or set the workflow's split node to `source: new`.",
        )
    _check_classes_taught(records, context.version.name)
    write_table(context.records_path, records)
    return counts


def _check_classes_taught(records: pd.DataFrame, name: str) -> None:
    taught = set(records.loc[records["split"] == "train", "label"])
    untaught = sorted(set(records["label"]) - taught)
    if untaught:
        raise DatasetError(
            f"Data set {name} has no training photos of: {', '.join(untaught[:8])}.",
            "Add photos of these classes to the training split, or leave the classes out.",
        )


def decode_photos(context: RunContext) -> dict[str, Any]:
    """Decode every photo once for this image size and way to a square."""
    pixels = context.pixels()
    return {"images": len(pixels.rows), "bytes": int(pixels.training.size + pixels.evaluation.size)}


def decoding_inputs(context: RunContext) -> dict[str, Any]:
    """Return what the decoded photos depend on."""
    workflow = context.workflow
    model = workflow.model.model_dump(mode="json", include={"image_size", "square"})
    return {"fingerprint": context.version.fingerprint, "split": workflow.split.model_dump(mode="json"), "model": model}


def settle_weights(context: RunContext) -> dict[str, Any]:
    """Find the first weights."""
    from workflows.training.weights import resolve_weights

    model = context.workflow.model
    weights = resolve_weights(model.weights, model.size, context.store.weights_folder, trust=context.request.trust)
    return {"path": weights.path and str(weights.path), "origin": weights.origin, "sha256": weights.sha256}


def train_model(context: RunContext) -> dict[str, Any]:
    """Train, and keep the best weights as the run's classifier."""
    from workflows.inference.model import ModelCard, save_model
    from workflows.training.job import TrainingJob
    from workflows.training.train import train

    workflow, store = context.workflow, context.store
    device, weights = context.need("workflow")["device"], context.need("model")["path"]
    job = TrainingJob(
        run_id=context.run_id,
        home=store.home,
        folder=context.folder,
        classes=context.version.classes,
        records=context.records_path,
        weights=Path(weights) if weights else None,
        device=device,
        augmentation=workflow.augmentation,
        model=workflow.model,
        training=workflow.training,
        evaluation=workflow.evaluation,
    )
    write_preview(context)
    with hold_device(
        store.home,
        device,
        lambda text: context.progress("turn", 0, 1, text),
        owner=context.run_id,
        poll=context.check_cancelled,
    ):
        outcome, best = train(job, context.progress)
    card = ModelCard(
        family=workflow.model.family,
        size=workflow.model.size,
        classes=job.classes,
        image_size=workflow.model.image_size,
        square=workflow.model.square,
        run_id=context.run_id,
        dataset=context.version.name,
        version=context.version.number,
        step=outcome.best_step,
    )
    save_model(context.folder / "model", best, card)
    return outcome.as_dict()


def write_preview(context: RunContext) -> None:
    """Fix the sample of validation photos that is followed through all steps, and keep what the network sees."""
    from PIL import Image

    from workflows.store.files import atomic_path

    folder = context.folder / "training"
    ids = preview_sample(context.records(), context.workflow.evaluation.preview_images)
    (folder / "preview").mkdir(parents=True, exist_ok=True)
    for image_id, square in zip(ids, context.pixels().squares(ids), strict=True):
        with atomic_path(folder / "preview" / f"{image_id}.png") as partial, partial.open("wb") as file:
            Image.fromarray(square).save(file, format="PNG")
    write_json(folder / "preview.json", {"image_ids": ids})


def preview_sample(records: pd.DataFrame, count: int) -> list[str]:
    """Return ids of validation photos, class by class in turn, so that every class is seen if there is room."""
    val = records[records["split"] == "val"].sort_values("image_id")  # ids are hashes: this order is random but fixed
    turns = val.assign(turn=val.groupby("label").cumcount()).sort_values(["turn", "label"], kind="stable")
    return [str(image_id) for image_id in turns["image_id"].head(count)]


def evaluate_model(context: RunContext) -> dict[str, Any]:
    """Evaluate the best checkpoint, and look for labels that the training dynamics speak against."""
    from workflows.evaluation.tables import evaluate_predictions
    from workflows.inference.evaluate import predict_records
    from workflows.inference.predictor import Predictor

    settings, store = context.workflow.evaluation, context.store
    records = context.records()
    chosen = records[records["split"].isin(settings.splits)]
    predictor = Predictor.load(store, context.run_id, context.need("workflow")["device"])
    frame = predict_records(predictor, chosen, context.pixels().squares(chosen["image_id"].tolist()))
    classes = predictor.card.classes
    metrics = evaluate_predictions(
        context.folder / "evaluation", frame, classes, settings.splits, bins=settings.calibration_bins
    )
    suspects = find_suspects(context, frame)
    return {"metrics": metrics, "suspected_labels": suspects}


def find_suspects(context: RunContext, frame: pd.DataFrame) -> int:
    """Write `suspected_labels.csv` and return how many labels are suspected."""
    from workflows.evaluation.label_errors import load_dynamics, suspected_labels

    table = suspected_labels(load_dynamics(context.folder / "training" / "dynamics"), frame)
    paths = context.records()[["image_id", "path", "split"]]
    table = table.drop(columns=["path", "split"], errors="ignore").merge(paths, on="image_id", how="left")
    write_table(context.folder / "evaluation" / "suspected_labels.csv", table)
    return int(table["is_suspected"].sum())


def explain_model(context: RunContext) -> dict[str, Any]:
    """Draw heat-maps for the photos of the test split (val, if there is none) that say most."""
    from workflows.evaluation.predictions import read_predictions
    from workflows.explanation.explain import choose_to_explain, explain_squares
    from workflows.inference.predictor import Predictor

    settings, store = context.workflow.explanation, context.store
    frame, _ = read_predictions(context.folder / "evaluation" / "predictions.parquet")
    split = "test" if (frame["split"] == "test").any() else "val"
    chosen = choose_to_explain(frame[frame["split"] == split], settings.images)
    predictor = Predictor.load(store, context.run_id, context.need("workflow")["device"])
    ids = chosen["image_id"].tolist()
    folder = context.folder / "explanation"
    records = explain_squares(
        predictor, context.pixels().squares(ids), ids, ids, settings.methods, folder, progress=context.progress
    )
    table = pd.DataFrame(records, columns=["path", "method", "predicted", "confidence", "target", "picture"])
    table = table.rename(columns={"path": "image_id"}).merge(frame[["image_id", "path", "label"]], on="image_id")
    write_table(folder / "explanations.csv", table)
    return {"split": split, "images": len(ids), "methods": list(settings.methods)}


def write_report(context: RunContext) -> dict[str, Any]:
    """Draw all pictures and write the report."""
    from workflows.finish import draw_report

    return draw_report(context)


STAGES: tuple[Stage, ...] = (
    Stage("dataset", "import photos", take_dataset, retries=1, cache_inputs=dataset_inputs),
    Stage("audit", "audit photos", audit_photos),
    Stage("workflow", "recommend workflow", settle_workflow),
    Stage("split", "split", settle_split),
    Stage("augmentation", "decode photos", decode_photos, cache_inputs=decoding_inputs),
    Stage("model", "first weights", settle_weights, retries=1),
    Stage("training", "train", train_model),
    Stage("evaluation", "evaluate", evaluate_model),
    Stage("explanation", "explain", explain_model),
    Stage("report", "report", write_report),
)
