"""What has become of the labels of a run's images since: shown, taken back, and trained again with."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.evaluation import Subject
from app.components.next_steps import Lead
from app.components.page import guarded, plain
from workflows.errors import DatasetError, StorageError


def now_labelled(subject: Subject) -> dict[str, str]:
    """Return the labels in the data set's newest version of those of a run's images that have another one there."""
    try:
        newest = client().datasets.images(client().datasets.version(subject.dataset)).table["label"]
    except (DatasetError, StorageError):  # the data set is gone
        return {}
    trained = client().evaluation.records(subject.run_id)["label"]
    now = newest.reindex(trained.index)
    return {str(image): str(label) for image, label in now[now.notna() & (now != trained)].items()}


def relabelled_bar(subject: Subject) -> None:
    """Say how many labels differ from those of the training, with a button that takes the last change back."""
    number = len(now_labelled(subject))
    if not number:
        return
    version = client().datasets.version(subject.dataset)
    words = "1 label differs" if number == 1 else f"{number:,} labels differ"
    with st.container(horizontal=True, vertical_alignment="center", key="relabelled"):
        said = f"{words} in {subject.dataset} v{version.number} from those that this run was trained with."
        st.caption(plain(said), width="content")
        # only a change of labels is taken back from here: the page is not about anything else
        if version.action == "relabel" and st.button(
            "Undo", key="relabelled-undo", icon=":material/undo:", help=plain(f"Takes back: {version.reason}")
        ):
            with guarded():
                client().datasets.undo(subject.dataset)
                st.rerun()


def train_again(subject: Subject) -> Lead:
    """Lead to another training with this run's settings, on the labels as they are now."""
    number = len(now_labelled(subject))
    label = f"Train again with {number:,} corrected label{'s' if number != 1 else ''}"
    query = {"dataset": subject.dataset, "run": subject.run_id}
    return Lead(label if number else "Train again with changes", "workflow", "account_tree", query)
