"""One photo after another, labelled by keys: every label is on disk before the next photo is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import DatasetVersion
from app.components.next_steps import next_for_dataset
from app.components.page import count, go, guarded, plain, show_error
from workflows.errors import FieldguideError, ImageError

HIGHEST, WIDEST = 440, 720
AHEAD = 4
HOT = 9
FAULT, SAID = "annotate-fault", "annotate-said"


@dataclass
class Session:
    """Where a person is in a queue.

    Attributes:
        queue: what the queue is made of.
        ids: the images, in their order.
        place: index of the current image.
        given: image, label before, label after; in the order of labelling.
        skipped: images that were passed over.
    """

    dataset: str
    queue: str
    ids: list[str]
    place: int = 0
    given: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)

    def after(self, image: str) -> None:
        """Move on to the image after this one."""
        self.place = self.ids.index(image) + 1

    def at(self, image: str) -> None:
        """Go back to an image."""
        self.place = self.ids.index(image)


def hot_classes(version: DatasetVersion, classes: Sequence[str], key: str) -> list[str]:
    """Return the classes that have a key, in the order of the keys 1 to 9; ask if there are more classes than keys."""
    if len(classes) <= HOT:
        return list(classes)
    counts = client().datasets.images(version).counts["all"]
    usual = sorted(classes, key=lambda name: -int(counts.get(name, 0)))[:HOT]
    with st.popover("Keys", icon=":material/keyboard:"):
        chosen = st.multiselect(
            "Classes on the keys 1 to 9",
            classes,
            default=[name for name in classes if name in usual],
            max_selections=HOT,
            key=f"{key}-hot",
            help="Choose or type any other class beside the photo.",
        )
    return list(chosen)


@st.fragment
def labeller(session: Session, hot: Sequence[str]) -> None:
    """Draw one photo with its keys; a key draws only this part again.

    Args:
        hot: of :func:`hot_classes`.
    """
    fault: FieldguideError | None = st.session_state.pop(FAULT, None)
    if fault is not None:
        show_error(fault)
    said = st.session_state.pop(SAID, None)
    if said:
        st.toast(plain(said), icon=":material/check:")
    with guarded():
        version = client().datasets.version(session.dataset)
        table = client().datasets.images(version).table
        pending = client().annotation.pending(session.dataset)
        _skip_removed(session, table)
        head = st.container()
        if session.place >= len(session.ids):
            _through(session)
            with head:
                _progress(session, len(pending))
            if not pending:
                next_for_dataset(session.dataset, "annotate")
            return
        classes = client().annotation.classes(version)
        image = session.ids[session.place]
        row = table.loc[[image]].iloc[0]
        now = pending.get(image, row["label"] if isinstance(row["label"], str) else None)
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _photo(version, row)
            _ways(session, image)
            st.caption(plain(row["path"]))
        with right:
            _keys(session, image, now, classes if len(classes) <= HOT else hot, classes)
        with head:  # last: once it moves, the next key can be pressed
            _progress(session, len(pending))
        coming = session.ids[session.place + 1 : session.place + 1 + AHEAD]
        client().datasets.prepare_photos(version, table["sha256"].reindex(coming).dropna().tolist())


def _skip_removed(session: Session, table: pd.DataFrame) -> None:
    while session.place < len(session.ids) and session.ids[session.place] not in table.index:
        session.place += 1


def _photo(version: DatasetVersion, row: pd.Series) -> None:
    try:
        photo = client().datasets.photo(version, row["sha256"])
    except ImageError as error:
        st.warning(plain(error.message))
        return
    width = min(WIDEST, round(HIGHEST * row["width"] / row["height"]))
    with st.container(height=HIGHEST + 12, border=False, vertical_alignment="center"):  # so that nothing below moves
        st.image(str(photo), width=max(120, width), alt=str(row["path"]))


def _keys(session: Session, image: str, now: str | None, hot: Sequence[str], classes: Sequence[str]) -> None:
    """Draw the classes; each button knows its photo, however fast the keys come."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"Label: **{plain(now)}**" if now else "No label yet")
        if now is not None:
            text, given = "Remove the label", (session, image, now, None)
            st.button(text, key=f"bare-{image}", shortcut="0", type="tertiary", on_click=_give, args=given)
    note = client().datasets.reviews(session.dataset).get(image)
    if note is not None:
        st.caption(f":material/playlist_add_check: On the review list{f': {plain(note)}' if note else ''}")
    if not classes:
        st.info("Add classes first, with New classes above.", icon=":material/label:")
    with st.container(gap="xsmall"):
        for place, label in enumerate(hot, start=1):
            st.button(
                plain(label),
                key=f"hot-{image}-{place}",
                shortcut=str(place),
                width="stretch",
                type="primary" if label == now else "secondary",
                on_click=_give,
                args=(session, image, now, label),
            )
    other = f"other-{image}"
    st.selectbox(
        "Another class",
        [name for name in classes if name not in hot],
        index=None,
        accept_new_options=True,
        key=other,
        placeholder="Another class: choose, or type a new one",
        label_visibility="collapsed",
        on_change=lambda: _give(session, image, now, st.session_state[other]),
    )


def _ways(session: Session, image: str) -> None:
    """Draw the actions other than labelling."""
    first, nothing = session.place == 0, not session.given
    back, skip, undo, later = st.columns(4)
    for place, text, key, disabled, do, given in (
        (back, "Back", "Left", first, _step, (session, image, -1)),
        (skip, "Skip", "Right", False, _step, (session, image, 1)),
        (undo, "Undo", "Z", nothing, _undo, (session,)),
        (later, "Review later", "L", False, _review, (session, image)),
    ):
        place.button(
            text,
            # the button that undoes the last label is the same one beside every photo, so that no press is lost
            key="annotate-undo" if do is _undo else f"{text}-{image}",
            shortcut=key,
            width="stretch",
            disabled=disabled,
            on_click=do,
            args=given,
        )


def _give(session: Session, image: str, before: str | None, label: str | None) -> None:
    """Save a label, and show the next photo."""
    try:
        if label != before:
            client().annotation.give(session.dataset, image, label)
        if label != before or session.queue == "review":  # there, a label that stays is an answer, too
            session.given.append((image, before, label))
        if session.queue == "review":
            client().datasets.reviewed(session.dataset, [image])
        session.skipped.discard(image)
        session.after(image)
    except FieldguideError as error:
        st.session_state[FAULT] = error


def _undo(session: Session) -> None:
    """Undo the last label, and show its photo again."""
    if not session.given:
        return
    image, before, label = session.given[-1]
    try:
        if label != before:
            client().annotation.take_back(session.dataset, image, label, before)
        if session.queue == "review":
            client().datasets.review_again(session.dataset, [image])
        session.given.pop()
        session.at(image)
    except FieldguideError as error:
        st.session_state[FAULT] = error


def _step(session: Session, image: str, by: int) -> None:
    if by > 0:
        session.skipped.add(image)
    session.at(image)
    session.place = max(0, session.place + by)


def _review(session: Session, image: str) -> None:
    try:
        client().datasets.add_to_review(session.dataset, [image], "postponed while labelling")
        session.after(image)
    except FieldguideError as error:
        st.session_state[FAULT] = error


def _progress(session: Session, pending: int) -> None:
    done = min(session.place, len(session.ids))
    labelled = len({image for image, _, _ in session.given})
    words = [f"{count(done)} of {count(len(session.ids))}", f"{count(labelled)} labelled"]
    words += [f"{count(len(session.skipped))} skipped"] if session.skipped else []
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(done / len(session.ids), " · ".join(words))
        if pending:
            st.caption(
                f":material/save: {count(pending)} saved, not yet in a version",
                help="Labels are saved at once. They become a version when you finish, after a pause of a minute and "
                "a half, or after 200 labels.",
                width="content",
            )
        st.button(
            "Finish",
            key="annotate-finish",
            icon=":material/check:",
            type="primary" if pending and done == len(session.ids) else "secondary",
            disabled=not pending,
            on_click=_finish,
            args=(session,),
            help="Save all new labels as one version.",
        )


def _finish(session: Session) -> None:
    try:
        version = client().annotation.record(session.dataset)
        if version is not None:
            st.session_state[SAID] = f"Version {version.number}: {version.reason}."
    except FieldguideError as error:
        st.session_state[FAULT] = error


def _through(session: Session) -> None:
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(":material/check_circle: **This queue is done.**")
        with st.container(horizontal=True, horizontal_alignment="center"):
            if session.skipped and st.button(
                f"Go through the {count(len(session.skipped))} skipped", key="annotate-skipped"
            ):
                session.ids = [image for image in session.ids if image in session.skipped]
                session.place, session.skipped = 0, set()
                st.rerun(scope="fragment")
            st.button(
                "Undo", key="annotate-undo", shortcut="Z", disabled=not session.given, on_click=_undo, args=(session,)
            )
            if st.button("Open the data set", key="annotate-data", icon=":material/photo_library:"):
                go("data", dataset=session.dataset)
