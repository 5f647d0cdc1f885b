"""The order to train: on which device, how long, how urgent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.client import client
from app.client.workflows import Advice
from app.components.page import go, guarded, plain, size_of
from app.components.recommended import minutes, rough
from app.components.workflow_draft import Draft

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

START = "train-start"
"""Key of the button: true in a session's state while a press is worked off."""
PRIORITIES = {"low": -10, "normal": 0, "high": 10}


def start_training(draft: Draft, dataset: str, advice: Advice) -> None:
    """Draw the choices and the button that starts the training."""
    st.subheader("Train", anchor=False)
    with st.container(border=True), guarded():
        columns = st.columns([2, 2, 3, 3], vertical_alignment="bottom")
        device = columns[0].selectbox(
            "Device",
            _devices(draft.workflow),
            key=f"train-device-{draft.turn}",
            accept_new_options=True,
            help="`auto`: the first GPU, else the processor. Several GPUs: `0,1`.",
        )
        epochs = columns[1].number_input(
            "Epochs",
            min_value=1,
            max_value=10_000,
            value=draft.workflow.training.epochs,
            key=f"train-epochs-{draft.turn}-{draft.workflow.training.epochs}",
            help="Passes over the training photos; it may stop earlier if nothing gets better.",
        )
        priority = columns[2].segmented_control(
            "Priority",
            list(PRIORITIES),
            default="normal",
            key="train-priority",
            required=True,
            help="Among the trainings that wait for the same device.",
        )
        allowed = _findings(dataset)
        workflow = _with_epochs(draft.workflow, int(epochs))
        _expected(workflow, advice)
        refused = allowed is None
        if columns[3].button(
            "Start training",
            key=START,
            type="primary",
            icon=":material/play_arrow:",
            disabled=refused,
            width="stretch",
        ):
            request: dict[str, Any] = {
                "dataset": dataset,
                "version": workflow.dataset.version,
                "workflow": workflow.model_dump(mode="json"),
                "device": device,
                "allow": tuple(allowed or ()),
            }
            if workflow.goal:
                request["goal"] = workflow.goal
            go("run", run=client().studio.start_training(request, PRIORITIES[str(priority)]))


def _devices(workflow: Workflow) -> list[str]:
    found = client().studio.hardware()
    devices = ["auto", "cpu", *(str(number) for number in found.get("devices", ()))]
    wanted = workflow.training.device
    return [wanted, *(device for device in devices if device != wanted)]


def _with_epochs(workflow: Workflow, epochs: int) -> Workflow:
    return workflow if workflow.training.epochs == epochs else workflow.with_settings("training", epochs=epochs)


def _expected(workflow: Workflow, advice: Advice) -> None:
    cost = client().workflows.cost(advice, workflow)
    words = (
        f"About {minutes(cost.seconds)} ({minutes(cost.seconds_low)} to {minutes(cost.seconds_high)}), "
        f"{size_of(cost.memory_bytes)} of memory, a model of {size_of(cost.model_bytes)} that predicts "
        f"about {rough(cost.predicted_per_second)} images/s. {cost.basis[:1].upper()}{cost.basis[1:]}."
    )
    st.caption(plain(words))
    if cost.memory_bytes > advice.hardware.memory_bytes:
        st.warning(
            f"That is more than the {size_of(advice.hardware.memory_bytes)} there are. A smaller batch, image size or "
            "model needs less.",
            icon=":material/memory:",
        )


def _findings(dataset: str) -> list[str] | None:
    """Show the audit's errors, each to be allowed by hand; return those allowed, None while one is not."""
    report = client().datasets.audit(dataset)
    newest = client().datasets.version(dataset).number
    if report is None or report.version != newest:
        st.caption("This version has not been audited yet; the training begins with that.")
        return []
    allowed = []
    for finding in report.errors:
        words = f"Train although: {plain(finding.title)}"
        if st.checkbox(words, key=f"allow-{dataset}-{newest}-{finding.key}", help=plain(finding.explanation)):
            allowed.append(finding.key)
    if len(allowed) < len(report.errors):
        st.warning(
            "The audit found what would make the results worth less than they seem. Mend it on the page Data, or allow it here.",
            icon=":material/flag:",
        )
        if st.button("Mend it", key="train-mend", icon=":material/build:"):
            go("data", dataset=dataset, view="audit")
        return None
    return allowed
