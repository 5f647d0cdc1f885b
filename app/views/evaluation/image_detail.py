"""One image in detail: its prediction, how that developed during training, and actions on it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import EvaluationPoint, Subject
from app.components.charts import history_chart
from app.components.gallery import Tile, gallery
from app.components.heatmaps import Panel, ask_for_maps, heatmap_panels, map_panels
from app.components.page import guarded, percent, plain
from workflows.data.version import HELD_OUT
from workflows.errors import FieldguideError
from workflows.explanation.methods import DEFAULT_METHODS
from workflows.targets.judged import IMAGES

NEAREST = 6
POLL_SECONDS = 1.5


def image_detail(subject: Subject, point: EvaluationPoint, row: pd.Series, classes: Sequence[str]) -> None:
    """Show an image, its prediction in an evaluation and over the epochs, and the actions on it."""
    image_id = str(row["image_id"])
    _verdict(subject, row)
    _actions(subject, row, classes)  # above the pictures: buttons that a picture pushes away while it loads are missed
    if row["correct"] or not subject.finals or not _class_maps(subject, point, row):
        _pictures(subject, image_id)
    st.caption(plain(str(client().evaluation.records(subject.run_id).at[image_id, "path"])))
    if isinstance(point, int):
        history = client().evaluation.history(subject.run_id, image_id)
        if len(history) > 1:
            st.altair_chart(history_chart(history, point), theme=None, key="history-chart")
    else:
        _best(subject, image_id)
    _nearest(subject, image_id)


def _verdict(subject: Subject, row: pd.Series) -> None:
    verdict = "right"
    if not row["correct"]:
        verdict = f"the label is **{plain(row['label'])}** ({percent(float(row['label_confidence']))})"
    review = ", to review" if client().models.threshold(subject.run_id).to_review(float(row["confidence"])) else ""
    st.markdown(f"Predicted **{plain(row['predicted'])}** with {percent(float(row['confidence']))}{review}: {verdict}")


def _class_maps(subject: Subject, point: EvaluationPoint, row: pd.Series) -> bool:
    """Show what spoke for the predicted class and what for the true one, beside Eigen-CAM; return whether that was possible."""
    targets = (str(row["predicted"]), str(row["label"]))
    sha256 = client().evaluation.sha256(subject.run_id, str(row["image_id"]))
    try:
        threshold = client().models.threshold(subject.run_id).value
        answer = ask_for_maps(subject.run_id, sha256, targets, None, DEFAULT_METHODS, threshold)
    except FieldguideError as error:
        st.caption(f"The maps of the classes are missing: {plain(error.message)}")
        return False
    panels = [Panel("What the network saw"), *map_panels(answer.maps, answer, targets[1])]
    heatmap_panels(answer.input_png, answer.side, panels, key="detail-maps")
    if isinstance(point, int):
        said = f"{plain(answer.label)} with {percent(answer.confidence)}"
        st.caption(f"The maps are of the weights that the run ended with, which say {said}.")
    return True


def _pictures(subject: Subject, image_id: str) -> None:
    photo = client().evaluation.photo(subject.run_id, image_id)
    found = client().heatmaps.ask(subject.run_id, [image_id]) if subject.finals else None
    picture = found.pictures.get(image_id) if found else None
    if picture is None:
        st.image(str(photo), width="stretch")
        return
    left, right = st.columns(2, vertical_alignment="center")
    left.image(str(photo), caption="Photo", width="stretch")
    right.image(picture, caption="Eigen-CAM on what the network saw", width="stretch")


def _best(subject: Subject, image_id: str) -> None:
    best = client().evaluation.best_answers(subject.run_id, image_id)
    table = pd.DataFrame({"class": [name for name, _ in best], "probability": [100 * share for _, share in best]})
    st.dataframe(
        table,
        hide_index=True,
        height=38 + 35 * len(table),
        column_config={
            "class": "Most probable",
            "probability": st.column_config.ProgressColumn(" ", min_value=0, max_value=100, format="%.1f %%"),
        },
    )


def _actions(subject: Subject, row: pd.Series, classes: Sequence[str]) -> None:
    """Relabel, by hand or as predicted, or put on the review list."""
    image_id, predicted = str(row["image_id"]), str(row["predicted"])
    label = client().datasets.label_of(subject.dataset, image_id) or str(row["label"])
    options = list(dict.fromkeys([*classes, label]))
    wanted = st.selectbox("Label", options, index=options.index(label), key=f"relabel-to-{image_id}-{label}")
    with st.container(horizontal=True):
        if st.button("Relabel", key="relabel", icon=":material/label:", disabled=wanted == label):
            _relabel(subject, image_id, str(wanted))
        if predicted != label and st.button(
            f"Accept the prediction: {plain(predicted)}", key="accept-prediction", icon=":material/smart_toy:"
        ):
            _relabel(subject, image_id, predicted)
        if st.button("Add to review list", key="review", icon=":material/playlist_add:"):
            with guarded():
                note = f"{row['label']} predicted as {row['predicted']}" if not row["correct"] else "to be reviewed"
                client().datasets.add_to_review(subject.dataset, [image_id], note)
                st.toast("On the review list.", icon=":material/playlist_add_check:")

    if predicted != label:
        _accepting_flatters(client().evaluation.split_of(subject.run_id, image_id))


def _relabel(subject: Subject, image_id: str, label: str) -> None:
    with guarded():
        version = client().datasets.relabel(
            subject.dataset, {image_id: label}, reason=f"seen in the evaluation of {subject.run_id}"
        )
        st.toast(
            f"{plain(version.name)} v{version.number}: now labelled {plain(label)}. "
            "This run keeps the labels that it was trained with.",
            icon=":material/check:",
        )
        st.rerun()


def _accepting_flatters(split: str) -> None:
    """Warn where labels taken from predictions would judge the model by its own opinion."""
    if split in HELD_OUT:
        st.caption(
            f":material/warning: One of the {IMAGES[split]}, which judge the models. Accept the prediction only if the "
            "photo shows it: else the score gets better, not the model."
        )


def _nearest(subject: Subject, image_id: str) -> None:
    """Show the training images that the network finds most alike: where a mistake comes from."""
    if not subject.finals or not st.toggle("Nearest training images", key="nearest"):
        return
    with guarded():
        evaluation = client().evaluation
        sha256 = evaluation.sha256(subject.run_id, image_id)
        answer = client().inference.nearest_stored(subject.run_id, sha256, NEAREST)
        if answer.state != "ready":
            st.fragment(_wait_for_nearest, run_every=POLL_SECONDS)(subject.run_id, sha256)
            return
        thumbs = evaluation.thumbnails(subject.run_id, [image.image_id for image in answer.images])
        tiles = [
            Tile(image.image_id, thumbs.get(image.image_id), image.label, f"similarity {image.similarity:.2f}")
            for image in answer.images
        ]
        gallery(tiles, key="nearest-gallery", columns=3, select="none")


def _wait_for_nearest(run_id: str, sha256: str) -> None:
    """Show how far the server has indexed the training images; rerun the page once it is done."""
    with guarded():
        answer = client().inference.nearest_stored(run_id, sha256, NEAREST)
        if answer.state == "ready":
            st.rerun()
        st.progress(
            answer.done / max(answer.total, 1), f"Indexing {answer.total:,} training images, once for this run …"
        )
