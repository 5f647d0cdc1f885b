"""One image closely: the answer, how it came about, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import Moment, Subject
from app.components.charts import course_chart
from app.components.gallery import Tile, gallery
from app.components.page import guarded, percent, plain

NEAREST = 6
POLL_SECONDS = 1.5


def image_detail(subject: Subject, moment: Moment, row: pd.Series, classes: Sequence[str]) -> None:
    """Show an image, its answer at a moment, its course through the steps, and the actions on it."""
    image_id = str(row["image_id"])
    _pictures(subject, image_id)
    verdict = "right" if row["correct"] else f"truly **{plain(row['label'])}**"
    st.markdown(f"Predicted **{plain(row['predicted'])}** with {percent(float(row['confidence']))}: {verdict}")
    if not row["correct"]:
        st.caption(f"{percent(float(row['label_confidence']))} went to the true class.")
    st.caption(plain(str(client().evaluation.records(subject.run_id).at[image_id, "path"])))
    if isinstance(moment, int):
        course = client().evaluation.course(subject.run_id, image_id)
        if len(course) > 1:
            st.altair_chart(course_chart(course, moment), theme=None, key="course-chart")
    else:
        _best(subject, image_id)
    _actions(subject, row, classes)
    _nearest(subject, image_id)


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
    """Relabel, or put on the review list."""
    image_id = str(row["image_id"])
    options = list(classes)
    # a mistake is most often relabelled to what was predicted
    first = options.index(str(row["predicted"])) if str(row["predicted"]) in options else 0
    wanted = st.selectbox("Label", options, index=first, key=f"relabel-to-{image_id}")
    with st.container(horizontal=True):
        if st.button("Relabel", key="relabel", icon=":material/label:", disabled=wanted == row["label"]):
            with guarded():
                version = client().datasets.relabel(
                    subject.dataset, {image_id: str(wanted)}, reason=f"seen in the evaluation of {subject.run_id}"
                )
                st.session_state.setdefault("relabelled", {})[subject.dataset, image_id] = str(wanted)
                st.toast(
                    f"{plain(version.name)} v{version.number}: now labelled {plain(wanted)}. "
                    "This run keeps the labels that it was trained with.",
                    icon=":material/check:",
                )
                st.rerun()
        if st.button("Add to review list", key="review", icon=":material/playlist_add:"):
            with guarded():
                note = f"{row['label']} taken for {row['predicted']}" if not row["correct"] else "to be looked at"
                client().datasets.add_to_review(subject.dataset, [image_id], note)
                st.toast("On the review list.", icon=":material/playlist_add_check:")


def _nearest(subject: Subject, image_id: str) -> None:
    """Show the training images that the network finds most alike: where a mistake was learnt."""
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
            Tile(image.image_id, thumbs.get(image.image_id), image.label, f"alike {image.similarity:.2f}")
            for image in answer.images
        ]
        gallery(tiles, key="nearest-gallery", columns=3, select="none")


def _wait_for_nearest(run_id: str, sha256: str) -> None:
    """Show how far the server has looked through the training images; draw the page anew when it has."""
    with guarded():
        answer = client().inference.nearest_stored(run_id, sha256, NEAREST)
        if answer.state == "ready":
            st.rerun()
        st.progress(
            answer.done / max(answer.total, 1), f"Looking through {answer.total:,} training images, this once …"
        )
