"""The order to train: on which device, how long, how urgent; what stands in its way; and the button that is always in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.client import client
from app.client.readiness import Check, is_ready, smaller_size
from app.client.workflows import Advice
from app.components.page import go, guarded, plain, size_of
from app.components.verdict import way_out
from app.views.workflow.draft import START, Draft, keep_changed
from app.views.workflow.recommended import minutes, rough

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

PRIORITIES = {"low": -10, "normal": 0, "high": 10}
ICONS = {"warn": ":orange[:material/warning:]", "fail": ":red[:material/block:]"}
SHOWN = ("weights",)
"""What is said even if nothing is wrong with it: what `auto` will be is seen nowhere else."""


def start_training(draft: Draft, dataset: str, advice: Advice) -> None:
    """Draw the choices, what was checked, and the button that starts the training."""
    st.subheader("Train", anchor=False)
    with guarded():
        with st.container(border=True):
            workflow = draft.workflow
            device, priority = _choices(draft)
            advice = client().workflows.on_device(advice, device)
            allowed = _allowed(dataset)
            _expected(workflow, advice)
            checks = client().readiness.checks(advice, workflow, device, allowed)
            _checked(draft, checks, dataset)
        if _bar(workflow, advice, checks):
            request: dict[str, Any] = {
                "dataset": dataset,
                "version": workflow.dataset.version,
                "workflow": workflow.model_dump(mode="json"),
                "device": device,
                "allow": tuple(allowed),
            }
            if workflow.goal:
                request["goal"] = workflow.goal
            go("run", run=client().studio.start_training(request, PRIORITIES[priority]))


def _choices(draft: Draft) -> tuple[str, str]:
    """Draw the choices; return the device and the priority. The epochs are a setting of the workflow itself."""
    columns = st.columns([2, 2, 3], vertical_alignment="bottom")
    device = columns[0].selectbox(
        "Device",
        _devices(draft.workflow),
        key=_device_key(draft),
        accept_new_options=True,
        help="`auto`: the first GPU, else the CPU. Several GPUs: `0,1`.",
    )
    epochs = f"train-epochs-{draft.turn}"
    st.session_state[epochs] = draft.workflow.training.epochs  # the node's own form may have changed them
    columns[1].number_input(
        "Epochs",
        min_value=1,
        max_value=10_000,
        key=epochs,
        on_change=_set_epochs,
        args=(draft, epochs),
        help="Passes over the training photos; training stops earlier if nothing improves.",
    )
    priority = columns[2].segmented_control(
        "Priority",
        list(PRIORITIES),
        default="normal",
        key="train-priority",
        required=True,
        help="Among the trainings that wait for the same device.",
    )
    return device, str(priority)


def _set_epochs(draft: Draft, key: str) -> None:
    _apply(draft, "training", "epochs", int(st.session_state[key]))


def _device_key(draft: Draft) -> str:
    return f"train-device-{draft.turn}"


def _devices(workflow: Workflow) -> list[str]:
    found = client().studio.hardware()
    numbers = range(found["gpus"]) if "gpus" in found else found.get("devices", ())
    devices = ["auto", "cpu", *map(str, numbers)]
    wanted = workflow.training.device
    return [wanted, *(device for device in devices if device != wanted)]


def _allowed(dataset: str) -> list[str]:
    """Let each error of the audit be allowed by hand; return the keys of those that are."""
    report, newest = client().datasets.audit(dataset), client().datasets.version(dataset).number
    if report is None or report.version != newest:
        return []
    return [
        finding.key
        for finding in report.errors
        if st.checkbox(
            f"Train anyway: {plain(finding.title)}",
            key=f"allow-{dataset}-{newest}-{finding.key}",
            help=plain(finding.explanation),
        )
    ]


def _checked(draft: Draft, checks: list[Check], dataset: str) -> None:
    """Show what was checked: in a line where nothing is wrong, else with the ways out."""
    for check in checks:
        if check.state != "ok":
            with st.container(border=True, key=f"check-{check.subject}"):
                st.markdown(f"{ICONS[check.state]} {plain(check.text)}")
                with st.container(horizontal=True):
                    for way in {way.key: way for way in check.ways}.values():  # two findings may have the same way out
                        _way(draft, way.key, way.title, dataset, f"way-{check.subject}-{way.key}")
    fine = [check.text if check.subject in SHOWN else check.subject for check in checks if check.state == "ok"]
    if fine:
        st.caption(" · ".join(f":green[:material/check:] {plain(text.rstrip('.'))}" for text in fine))


def _way(draft: Draft, way: str, title: str, dataset: str, key: str) -> None:
    """Draw the button of a way out; for what is allowed by its checkbox above there is none."""
    changes = _changes(draft.workflow).get(way)
    if changes is not None:
        st.button(title, key=key, on_click=_apply, args=(draft, *changes))
    elif way == "device-auto":
        st.button(title, key=key, on_click=_set, args=(_device_key(draft), "auto"))
    elif way == "download-weights" and st.button(title, key=key, icon=":material/download:"):
        with guarded(), st.spinner("Downloading the official weights …", show_time=True):
            client().readiness.download_weights(draft.workflow)
            st.rerun()
    elif way == "set-aside":
        way_out(dataset, "train")
    elif way in ("audit", "fix") and st.button(title, key=key, icon=":material/build:"):
        go("data", dataset=dataset, view="audit")


def _changes(workflow: Workflow) -> dict[str, tuple[str, str, Any]]:
    """Return the settings that ways out change: node kind, field and value."""
    return {
        "random-weights": ("model", "weights", "none"),
        "official-weights": ("model", "weights", "auto"),
        "smaller-images": ("model", "image_size", smaller_size(workflow.model.image_size)),
        "smaller-batch": ("training", "batch", max(2, workflow.training.batch // 2)),
        "new-split": ("split", "source", "new"),
    }


def _apply(draft: Draft, kind: str, field: str, value: Any) -> None:
    """Change a setting of the draft, and of the form if it is shown."""
    changed = keep_changed(draft, draft.workflow.with_settings(kind, **{field: value}))
    _set(f"node-{changed.turn}-{changed.workflow.node(kind).id}-{field}", value)


def _set(key: str, value: Any) -> None:
    if key in st.session_state:
        st.session_state[key] = value


def _bar(workflow: Workflow, advice: Advice, checks: list[Check]) -> bool:
    """Draw the bar at the bottom of the window; return whether the training is to start."""
    stopping = [check.text for check in checks if check.state == "fail"]
    cost = client().workflows.cost(advice, workflow)
    with st.bottom, st.container(horizontal=True, vertical_alignment="center", key="train-bar"):
        pressed = st.button(
            "Start training", key=START, type="primary", icon=":material/play_arrow:", disabled=not is_ready(checks)
        )
        if stopping:
            st.markdown(f":small[:red[:material/block: {plain(stopping[0])}]]", width="content")
        else:
            expected = f"about {minutes(cost.seconds)}, {size_of(cost.memory_bytes)} of memory"
            st.markdown(f":small[{plain(expected)}]", width="content")
        return pressed


def _expected(workflow: Workflow, advice: Advice) -> None:
    cost = client().workflows.cost(advice, workflow)
    words = (
        f"About {minutes(cost.seconds)} ({minutes(cost.seconds_low)} to {minutes(cost.seconds_high)}), "
        f"{size_of(cost.memory_bytes)} of memory, a model of {size_of(cost.model_bytes)} that predicts "
        f"about {rough(cost.predicted_per_second)} images/s. {cost.basis[:1].upper()}{cost.basis[1:]}."
    )
    st.caption(plain(words))
