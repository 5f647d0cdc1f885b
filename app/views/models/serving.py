"""Using a model from a program: serving it over HTTP, what to type, and trying it."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.client import client
from app.client.serving import PredictAnswer, Served, ServedState
from app.components.page import BadgeColour, ago, count, guarded, percent, plain

POLL_SECONDS = 2.0
STATES: dict[str, tuple[BadgeColour, str]] = {
    "running": ("green", "check"),
    "starting": ("blue", "hourglass_top"),
    "restarting": ("red", "restart_alt"),
    "stopped": ("gray", "stop"),
}
REACH = {"machine": "Programs on this machine", "network": "Other machines in this network, too"}
REACH_WORDS = {
    "machine": "Other machines can't reach it.",
    "network": "Whoever has the token can use it. Photos and token travel unencrypted: choose this only in a network that "
    "you trust. In any other, let it serve this machine, and have a web server with HTTPS pass requests on to it.",
}
PHOTOS = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff")


def serving_panel(name: str) -> None:
    """Let a model be served to programs of this machine; show how it is reached and how it does."""
    state = client().serving.state(name)
    if state is None:
        _offer(name)
        return
    served = state.served
    st.fragment(_status, run_every=POLL_SECONDS)(name)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Stop serving", key="serve-stop", icon=":material/stop:", help="This also revokes the token."):
            with guarded():
                client().serving.stop(name)
                st.rerun()
        st.link_button("API documentation", f"{served.address}/docs", icon=":material/description:")
        st.link_button("OpenAPI document", f"{served.address}/openapi.json", icon=":material/data_object:")
        by = f"Started {ago(datetime.fromisoformat(served.since))} by {served.author}. Restarts with the studio."
        st.caption(plain(by), width="content")
    with guarded():
        _how_to_use(served, client().serving.token(served))
    _try_it(served)


def _offer(name: str) -> None:
    st.markdown(
        "The studio can serve this model over HTTP: your own programs send photos and get predictions. "
        "The champion answers; when it changes, the new one takes over without a pause."
    )
    who = st.radio("Who may use it", list(REACH), format_func=REACH.__getitem__, key="serve-reach", horizontal=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        port = st.number_input(
            "Port", 1024, 65535, value=None, key="serve-port", placeholder="first free one from 8000", width=240
        )
        if st.button("Start serving", key="serve-start", type="primary", icon=":material/play_arrow:"):
            with guarded():
                client().serving.start(name, port, network=who == "network")
                st.rerun()
    st.caption(
        f"{REACH_WORDS[who]} Every request needs a token, which is shown here. It is started again with the studio."
    )


def _status(name: str) -> None:
    """Show the state, and what the server counts; runs by itself."""
    state = client().serving.state(name)
    if state is None:
        st.rerun()
    health = client().serving.health(state.served) if state.is_running else None
    with st.container(border=True, key="serve-status"):
        with st.container(horizontal=True, vertical_alignment="center"):
            colour, icon = STATES.get(state.state, ("gray", "help"))
            st.badge(state.state, color=colour, icon=f":material/{icon}:")
            st.markdown(f"`{state.served.address}`", width="content")
            if others := state.served.addresses:
                st.markdown(f"from other machines {' or '.join(f'`{each}`' for each in others)}", width="content")
        _trouble(state)
        if health is None:
            if state.is_running:
                st.caption("It does not answer at the moment; its log in the studio's folder says why.")
            return
        columns = st.columns(4)
        columns[0].metric("Requests", count(health.requests))
        columns[1].metric("Errors", count(health.errors))
        p95 = "-" if health.p95_seconds is None else f"{1000 * health.p95_seconds:.0f} ms"
        columns[2].metric("95 % within", p95, help="The latency that 95 % of the last 1,000 requests stayed within.")
        columns[3].metric("Photos", count(health.images))
        st.caption(f"Counted by the server since it started, {ago(datetime.fromisoformat(health.started_at))}.")


def _trouble(state: ServedState) -> None:
    if state.state == "stopped":
        st.info("The studio is not running: it serves this model as soon as it is.", icon=":material/info:")
    elif state.state == "restarting":
        st.error(f"It ended and is being started again. {plain(state.trouble)}", icon=":material/error:")


def _how_to_use(served: Served, token: str) -> None:
    st.markdown("**Token**, which every request must carry")
    st.code(token, language=None)
    found = snippets((served.addresses or [served.address])[0], token)
    for tab, (language, code) in zip(st.tabs(list(found)), found.items(), strict=True):
        with tab:
            st.code(code, language={"curl": "bash"}.get(language, language.lower()), wrap_lines=True)


def snippets(address: str, token: str) -> dict[str, str]:
    """Return code that sends `photo.jpg` to a served model and prints the prediction, by language."""
    curl = f'curl -H "Authorization: Bearer {token}" -F files=@photo.jpg {address}/predict'
    python = f"""# pip install httpx
import httpx

with open("photo.jpg", "rb") as photo:
    response = httpx.post(
        "{address}/predict",
        headers={{"Authorization": "Bearer {token}"}},
        files={{"files": photo}},
    )
response.raise_for_status()
result = response.json()["results"][0]
print(result["label"], result["confidence"], "to review" if result["to_review"] else "accepted")"""
    javascript = f"""// Node.js 18 or newer; save as predict.mjs. Pages of other sites may not call the server.
import {{ readFile }} from "node:fs/promises";

const form = new FormData();
form.append("files", new Blob([await readFile("photo.jpg")]), "photo.jpg");
const response = await fetch("{address}/predict", {{
  method: "POST",
  headers: {{ Authorization: "Bearer {token}" }},
  body: form,
}});
if (!response.ok) throw new Error(await response.text());
const [result] = (await response.json()).results;
console.log(result.label, result.confidence, result.to_review ? "to review" : "accepted");"""
    return {"curl": curl, "Python": python, "JavaScript": javascript}


def _try_it(served: Served) -> None:
    """Let a photo be sent, as a program would, and show the response."""
    st.markdown("**Try it**")
    photo = st.file_uploader("A photo", type=PHOTOS, key=f"serve-try-{served.model}", width=420)
    if photo is None:
        return
    with guarded(), st.spinner("Waiting for the response …"):
        answer = client().serving.predict(served, photo.name, photo.getvalue())
        _answered(answer)


def _answered(answer: PredictAnswer) -> None:
    result = answer.results[0]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(result.label)}** with {percent(result.confidence)}", width="content")
        if result.to_review:
            st.badge(f"to review: below {percent(answer.review.threshold)}", color="orange", icon=":material/flag:")
    st.json(answer.model_dump(mode="json", exclude_none=True), expanded=1)
