"""The steps that every run starts with: its data set, the audit, and its workflow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.graph.kinds import NODE_KINDS, Stage
from workflows.graph.plan import Step
from workflows.graph.workflow import Workflow, dumps
from workflows.progress import Progress, silent
from workflows.store.answers import AuditAnswer, DatasetAnswer, WorkflowAnswer
from workflows.store.files import write_atomic

if TYPE_CHECKING:
    from workflows.data.version import DatasetVersion
    from workflows.pipeline import RunContext, TrainRequest
    from workflows.store.store import Store


def prepare_dataset(context: RunContext, step: Step) -> DatasetAnswer:
    """Find the requested data set, or import the requested folder."""
    from workflows.data.catalog import get_version
    from workflows.data.columns import Columns
    from workflows.data.importing import dataset_for_path
    from workflows.data.sources import Reading

    request = context.request
    report: dict[str, Any] = {}
    if request.source is not None:
        imported = dataset_for_path(
            context.store,
            Path(request.source),
            labels=Path(request.labels) if request.labels else None,
            ratios=request.split,
            group_by=request.group_by,
            reading=Reading(columns=Columns(request.filename_column, request.label_column)),
            progress=context.progress,
        )
        version = imported.version
        report = {name: getattr(imported, name) for name in ("accepted", "rejected", "ignored", "total")}
    else:
        version = get_version(context.store, str(request.dataset), request.version)
    context.store.runs.update(context.run_id, dataset=version.name, version=version.number)
    return DatasetAnswer(
        name=version.name,
        version=version.number,
        images=version.images,
        classes=list(version.classes),
        fingerprint=version.fingerprint,
        imported=report,
    )


def dataset_inputs(context: RunContext, step: Step) -> dict[str, Any] | None:
    """Return the inputs of an import: the source's present state, and the store's versions of it."""
    from workflows.data.catalog import list_datasets
    from workflows.data.columns import Columns
    from workflows.data.sources import Reading, listing_of

    request = context.request
    if request.source is None:
        return None  # looking up a version costs nothing
    source = Path(request.source).expanduser().resolve()
    reading = Reading(columns=Columns(request.filename_column, request.label_column))
    listing = listing_of(source, Path(request.labels) if request.labels else None, reading)
    known = [[v.name, v.number, v.fingerprint] for v in list_datasets(context.store) if v.source == str(source)]
    settings = request.model_dump(mode="json", include={"labels", "split", "group_by"})
    return {"source": str(source), "listing": listing, "known": known, "asked": settings}


def audit_photos(context: RunContext, step: Step) -> AuditAnswer:
    """Audit the data set; errors stop the training, unless they are allowed by key."""
    from workflows.data.audit.gate import noted, refuse_errors, settled_by_splitting
    from workflows.data.audit.run import audit

    report, given = audit(context.store, context.version, context.progress), context.request.workflow
    settled = settled_by_splitting(Workflow.model_validate(given) if given else None)
    refuse_errors(report, [*context.request.allow, *settled])
    for finding in (*report.errors, *report.warnings):
        context.progress("audit", 1, 1, f"{finding.severity}: {finding.title} ({finding.key})")
    return AuditAnswer(findings=noted(report))


def proposed_workflow(
    store: Store, request: TrainRequest, version: DatasetVersion, progress: Progress = silent
) -> Workflow:
    """Return the workflow of a request for a version of a data set, recommended or given, with an estimate of its cost.

    Raises:
        DatasetError: the version has no training images or a single class.
        DeviceError: the device does not exist.
    """
    from workflows.recommend.advice import recommend_for, with_estimate

    if request.workflow is not None:
        given = with_overrides(Workflow.model_validate(request.workflow), request, version)
        return with_estimate(store, version, given)
    advised = recommend_for(
        store,
        version,
        request.goal,
        image_size=request.size,
        epochs=request.epochs,
        seed=request.seed or 0,
        weights=request.weights or "auto",
        device=request.device or "auto",
        minutes=request.minutes,
        progress=progress,
    )
    named = advised.for_dataset(version.name, version.number)
    return named.model_copy(update={"estimate": advised.estimate})


def prepare_workflow(context: RunContext, step: Step) -> WorkflowAnswer:
    """Recommend a graph, or use the given one, and apply the requested overrides."""
    from workflows.recommend.estimate import begun
    from workflows.training.devices import choose_device

    request, started = context.request, time.perf_counter()
    choose_device(request.device or "auto")  # a missing GPU is reported before anything else
    workflow = proposed_workflow(context.store, request, context.version, context.progress)
    if workflow.estimate:
        spent = (
            time.perf_counter()
            - started
            + sum(context.need(kind).seconds or 0.0 for kind in (DatasetAnswer, AuditAnswer))
        )
        workflow = workflow.model_copy(update={"estimate": begun(workflow.estimate, spent)})
    for node in workflow.nodes:
        NODE_KINDS[node.kind].check(context, node.settings)
    write_atomic(context.folder.workflow, dumps(workflow).encode())
    device = choose_device(workflow.training.device)
    document = workflow.model_dump(mode="json")
    context.store.runs.update(context.run_id, workflow=document, goal=workflow.goal, device=device)
    return WorkflowAnswer(name=workflow.name, goal=workflow.goal, device=device, estimate=document["estimate"])


def with_overrides(workflow: Workflow, request: TrainRequest, version: DatasetVersion) -> Workflow:
    """Return `workflow` for a version of a data set, with the request's overrides."""
    workflow = workflow.for_dataset(version.name, version.number)
    training = {"epochs": request.epochs, "seed": request.seed, "device": request.device}
    model = {"image_size": request.size, "weights": request.weights}
    for kind, changes in (("training", training), ("model", model)):
        overrides = {field: value for field, value in changes.items() if value is not None}
        if overrides:
            workflow = workflow.with_settings(kind, **overrides)
    return workflow


OPENING = tuple(
    Step(stage.key, stage)
    for stage in (
        Stage("dataset", "import photos", prepare_dataset, words="photos", retries=1, cache_inputs=dataset_inputs),
        Stage("audit", "audit photos", audit_photos),
        Stage("workflow", "recommend workflow", prepare_workflow),
    )
)
"""The steps before the graph is known."""
