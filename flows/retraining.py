"""The flow `retrain`: a challenger is trained, compared with the champion, and promoted if it is better.

The decision is the domain's (:mod:`workflows.retraining`); here it is only made visible in Prefect: the
challenger's training is the flow `train`, and the decision can be read there. Deploy it as
`flows/retraining.py:retrain`.
"""

from __future__ import annotations

from typing import Any

from prefect import Flow, flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import CancelledRun
from prefect.runtime import flow_run

from flows.alerts import AlertEvent, alert
from flows.caller import caller
from flows.reporting import UNREACHABLE
from flows.training import train
from workflows.errors import RunCancelled
from workflows.progress import Progress
from workflows.requests import RetrainSettings, TrainRequest
from workflows.retraining.retrain import retrain as retrain_model
from workflows.store.models import DecisionRecord
from workflows.store.store import Store
from workflows.targets.metrics import METRICS


def _alert_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Send the alerts; Prefect calls this with these parameter names."""
    model = flow_run.parameters.get("model")
    text = f"The retraining of {model} failed: {state.message}"
    alert(caller.get().store or Store(), "failed", text, model=model)


@flow(
    name="retrain",
    flow_run_name=lambda: f"retrain {flow_run.parameters.get('model')}",
    persist_result=False,
    on_failure=[_alert_failure],
)
def retrain(
    model: str, trigger: str = "by hand", settings: RetrainSettings | None = None, decision_id: str | None = None
) -> dict[str, Any]:
    """Retrain a model, and return the decision's document.

    Args:
        model: the model's name.
        trigger: who or what requested it.
        settings: minimum changes, the challenger's training, the rules for promotion.
        decision_id: of an interrupted retraining, to resume it.
    """
    store = caller.get().store or Store()
    decision = retrain_model(
        store,
        model,
        trigger,
        settings,
        decision_id=decision_id,
        run_training=train_as_flow,
        progress=caller.get().progress,
    )
    show_decision(decision)
    _alert_decision(store, decision)
    return decision.document


def _alert_decision(store: Store, decision: DecisionRecord) -> None:
    if decision.outcome == "unchanged":
        return  # nothing was trained
    event: AlertEvent = "promoted" if decision.outcome == "promoted" else "not-promoted"
    named = ("model", "decision_id", "trigger", "outcome", "reason", "champion", "challenger", "challenger_run")
    text = f"{decision.model}: {decision.outcome}. {decision.reason}"
    alert(store, event, text, **{name: getattr(decision, name) for name in named})


def train_as_flow(store: Store, run_id: str, progress: Progress) -> None:
    """Run a recorded run as the flow `train`, unless it has finished. Raises RunCancelled if it was stopped."""
    record = store.runs.get(run_id)
    if record.final:
        return
    try:
        train(TrainRequest.model_validate(record.request), run_id)
    except CancelledRun as error:
        raise RunCancelled(f"Run {run_id} was cancelled.", "The next retraining resumes it.") from error


def show_decision(decision: DecisionRecord) -> None:
    """Store the decision as a text in Prefect's UI."""
    key = f"{decision.model}-decision"
    try:
        create_markdown_artifact(decision_text(decision), key=key, description=f"{decision.model}: {decision.outcome}")
    except UNREACHABLE:
        return


def decision_text(decision: DecisionRecord) -> str:
    """Return the decision and its reasons as Markdown."""
    document = decision.document
    lines = [f"# {decision.model}: {decision.outcome}", "", decision.reason, ""]
    lines += [f"- {note}" for note in document["notes"]]
    comparison = (document.get("decision") or {}).get("comparison")
    if comparison:
        lines += ["", "| metric | champion | challenger | difference | from | to |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {METRICS[row['metric']].title} | {row['a']:.4f} | {row['b']:.4f} | {row['difference']:+.4f} | {row['low']:+.4f} "
            f"| {row['high']:+.4f} |"
            for row in comparison["metrics"]
        ]
    return "\n".join(lines)
