"""Why the model predicts what it predicts for one photo: scores, and heat-maps side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.client import client
from app.client.inference import ExplainAnswer, ModelDetail
from app.components.charts import styled
from app.components.gallery import Tile, gallery
from app.components.heatmaps import METHODS, Panel, ask_for_maps, heatmap_panels, map_panels
from app.components.page import colours, guarded, percent, plain
from app.views.explain.subject import Chosen
from app.words import SQUARES
from workflows.explanation.methods import CLASSLESS

MOST_CLASSES = 4
NEAREST = 6
POLL_SECONDS = 1.0


def explanation(run_id: str, chosen: Chosen) -> None:
    """Draw the answer for one photo with its explanation, and the controls of it.

    Raises:
        FieldguideError: the photo can't be read, or the inference server is not there.
    """
    model = describe(run_id)
    verdict = st.container()
    left, middle, right = st.columns([5, 5, 8])
    layer = _choose_layer(left, model)
    method = str(middle.selectbox("Method", list(METHODS), format_func=METHODS.__getitem__, key="explain-method"))
    threshold = client().models.threshold(run_id).value
    broad = ask_for_maps(run_id, chosen.image, (), layer, (CLASSLESS,), threshold)
    with verdict:
        _verdict(broad, chosen)
    classes = _choose_classes(right, model, broad, chosen)
    narrow = ask_for_maps(run_id, chosen.image, classes, layer, (method,), threshold)
    seen = f"{broad.side} × {broad.side} pixels, {SQUARES.get(model.square, model.square)}"
    maps = map_panels([*broad.maps, *narrow.maps], broad, chosen.truth)
    panels = [Panel("What the network saw", seen), *maps]
    heatmap_panels(broad.input_png, broad.side, panels, key="explain-maps")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.markdown("**Likeliest classes**")
        st.altair_chart(scores_chart(broad, chosen.truth), theme=None, key="explain-scores")
    with right:
        st.markdown("**Nearest training images**")
        nearest(run_id, chosen)


@st.cache_data(max_entries=64, ttl=60, show_spinner=False)
def describe(run_id: str) -> ModelDetail:
    """Return what a run's model offers; see `Inference.model`."""
    return client().inference.model(run_id)


def first_classes(answer: ExplainAnswer, truth: str | None, known: Sequence[str]) -> list[str]:
    """Return the classes to compare by default: the predicted one, and the true one if it is another."""
    names = [answer.label, *([truth] if truth in known else [])]
    return [name for name in dict.fromkeys(names) if name is not None]


def scores_chart(answer: ExplainAnswer, truth: str | None) -> Any:
    """Draw the likeliest classes as bars; the true one in the colour of what is right."""
    colour = colours()
    table = pd.DataFrame({"label": [s.label for s in answer.top], "confidence": [s.confidence for s in answer.top]})
    table["share"] = [percent(value) for value in table["confidence"]]
    table["tone"] = [
        colour.good if name == truth else colour.bad if truth and name == answer.label else colour.val
        for name in table["label"]
    ]
    y = alt.Y("label:N", sort=table["label"].tolist(), title=None, axis=alt.Axis(labelLimit=140, ticks=False))
    x = alt.X("confidence:Q", scale=alt.Scale(domain=[0, 1.12]), axis=None)
    base = alt.Chart(table).encode(y=y, x=x, tooltip=["label:N", alt.Tooltip("confidence:Q", format=".2%")])
    bars = base.mark_bar(cornerRadiusEnd=2, height=14).encode(color=alt.Color("tone:N", scale=None))
    texts = base.mark_text(align="left", dx=4, color=colour.ink).encode(text="share:N")
    return styled(alt.layer(bars, texts), 26 * len(table))


def _verdict(answer: ExplainAnswer, chosen: Chosen) -> None:
    said = f"**{plain(answer.label)}** with {percent(answer.confidence)}"
    if chosen.truth is None:
        st.markdown(f"The model says {said}.")
    elif chosen.truth == answer.label:
        st.markdown(f":material/check: The model says {said}, and that is its label.")
    else:
        st.markdown(f":material/close: The model says {said}, but its label is **{plain(chosen.truth)}**.")
    if answer.to_review:
        default = " (the default)" if answer.review.is_default else ""
        st.badge(
            f"to review: below {percent(answer.review.threshold)}{default}", color="orange", icon=":material/flag:"
        )
    seen = " · the network was trained on this image" if chosen.split == "train" else ""
    st.caption(f"{plain(chosen.name)}{seen}")


def _choose_layer(place: DeltaGenerator, model: ModelDetail) -> int:
    names = {each.layer: f"{each.name.capitalize()}, {each.cells} × {each.cells}" for each in model.layers}
    first = next((number for number, each in enumerate(model.layers) if each.default), 0)
    return place.selectbox(
        "Layer",
        list(names),
        index=first,
        format_func=names.__getitem__,
        key=f"explain-layer-{model.run_id}",
        help="Deeper layers encode what an object is, earlier ones where it is. "
        "The numbers are the cells of the layer's map.",
    )


def _choose_classes(
    place: DeltaGenerator, model: ModelDetail, answer: ExplainAnswer, chosen: Chosen
) -> tuple[str, ...]:
    wanted = place.multiselect(
        "Evidence for",
        model.classes,
        default=first_classes(answer, chosen.truth, model.classes),
        max_selections=MOST_CLASSES,
        key=f"explain-classes-{model.run_id}-{chosen.name}",
        help="One map per class, side by side: what made the model choose one over the other.",
    )
    return tuple(wanted) or (answer.label,)


def nearest(run_id: str, chosen: Chosen) -> None:
    """Show the training images that the network finds most alike; polls while they are being searched for."""
    waiting = st.session_state.get("explain-seeking") == run_id
    st.fragment(_nearest, run_every=POLL_SECONDS if waiting else None)(run_id, chosen, waiting)


def _nearest(run_id: str, chosen: Chosen, waiting: bool) -> None:
    with guarded():
        answer = client().inference.nearest(run_id, chosen.image, NEAREST)
        if answer.state == "building":
            st.session_state["explain-seeking"] = run_id
            share = answer.done / max(1, answer.total)
            st.progress(share, f"Indexing the training images: {answer.done:,} of {answer.total:,}")
            if not waiting:
                st.rerun()  # ends the polling
            return
        st.session_state.pop("explain-seeking", None)
        if waiting:
            st.rerun()
        thumbs = client().evaluation.thumbnails(run_id, [image.image_id for image in answer.images])
        tiles = [
            Tile(image.image_id, thumbs.get(image.image_id), image.label, f"similarity {image.similarity:.2f}")
            for image in answer.images
        ]
        gallery(tiles, key="explain-nearest", columns=3, select="none")
