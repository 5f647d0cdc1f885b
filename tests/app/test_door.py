"""Who may come in to the studio: the password's gate, guesses, sessions, a login by OpenID Connect, caps of uploads."""

from __future__ import annotations

import stat
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import oidc
from app.gate import HEALTH, LOGIN, LOGOUT, Gate
from app.guesses import FREE, FREE_IN_ALL, LONGEST_IN_ALL_SECONDS, LONGEST_SECONDS, Guesses
from app.password import set_password
from app.sessions import SECONDS, Sessions
from app.studio import Door, check_door
from app.upload_caps import MEGABYTE, PATH, TOTAL_VARIABLE, UploadCaps
from app.web_server import settings
from workflows.errors import UsageError

PASSWORD = "three plain words"
SECRET = "what tokens are signed with"
BROWSER = {"accept": "text/html"}


async def _inside(request: object) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def gated(home: Path, guesses: Guesses | None = None, **client: object) -> TestClient:
    """A browser before the gate of a small application."""
    routes = [
        Route("/{rest:path}", _inside, methods=["GET", "PUT", "POST"]),
        WebSocketRoute("/_stcore/stream", _socket),
    ]
    gate = Middleware(Gate, home, Sessions(home, SECRET, 8501), guesses or Guesses())
    return TestClient(Starlette(routes=routes, middleware=[gate]), follow_redirects=False, **client)  # type: ignore[arg-type]


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A state folder with a password."""
    set_password(tmp_path, PASSWORD)
    return tmp_path


def give(client: TestClient, password: str, to: str = "/run?run=a", **headers: str) -> tuple[int, str]:
    """Fill in the form; return the status and where it leads, or what it says."""
    answer = client.post(LOGIN, data={"password": password, "to": to}, headers=headers)
    return answer.status_code, answer.headers.get("location") or answer.text


# ------------------------------------------------------------------- the gate


def test_without_a_password_there_is_no_gate(tmp_path: Path) -> None:
    assert gated(tmp_path).get("/", headers=BROWSER).text == "inside"


@pytest.mark.parametrize(
    "path", ["/", "/static/index.js", "/media/x.png", "/fieldguide/upload/ticket", "/_stcore/../x"]
)
def test_nothing_behind_is_reached_without_the_password(locked: Path, path: str) -> None:
    client = gated(locked)
    for method in ("GET", "PUT", "POST"):
        answer = client.request(method, path)
        assert (answer.status_code, "inside" in answer.text) == (401, False)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass
    assert client.get(HEALTH).text == "inside"  # the supervisor asks for it


def test_the_password_lets_in_and_a_reload_does_not_ask_again(locked: Path) -> None:
    client = gated(locked)
    asked = client.get("/run?run=<b>", headers=BROWSER)
    assert asked.status_code == 401
    assert 'type="password"' in asked.text
    assert "<b>" not in asked.text
    assert give(client, "something else")[0] == 401
    assert give(client, PASSWORD) == (303, "/run?run=a")
    assert client.get("/run?run=a", headers=BROWSER).text == "inside"
    with client.websocket_connect("/_stcore/stream"):
        pass
    assert client.get(LOGOUT).status_code == 303
    assert client.get("/", headers=BROWSER).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(locked: Path) -> None:
    plain = gated(locked).post(LOGIN, data={"password": PASSWORD})
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} < set(plain.headers["set-cookie"].split("; "))
    secure = gated(locked, base_url="https://studio.example").post(LOGIN, data={"password": PASSWORD})
    assert "Secure" in secure.headers["set-cookie"].split("; ")


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/\tevil", "javascript:1", ""]
)
def test_the_form_leads_nowhere_else(locked: Path, to: str) -> None:
    assert give(gated(locked), PASSWORD, to) == (303, "/")


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_no_other_page_can_send_the_form(locked: Path, headers: dict[str, str]) -> None:
    assert give(gated(locked), PASSWORD, **headers)[0] == 403


def test_a_link_from_elsewhere_finds_the_session(locked: Path) -> None:
    """A strict cookie stays away at first: the answer makes the browser ask once more, from here."""
    answer = gated(locked).get("/run?run=a", headers={**BROWSER, "sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh" content="0; url=/run?run=a"' in answer.text


def test_too_much_is_no_password(locked: Path) -> None:
    assert give(gated(locked), "x" * 100_000)[0] == 413


def test_guessing_is_slowed_down_and_written_down(locked: Path) -> None:
    client = gated(locked, client=("192.0.2.7", 1))
    codes = [give(client, "something else")[0] for _ in range(FREE + 1)]
    assert codes == [401] * FREE + [429]
    assert give(client, PASSWORD)[0] == 429  # the right one does not jump the queue
    log = locked / "logs" / "door.log"
    assert log.read_text().count("192.0.2.7: wrong password") == FREE
    assert PASSWORD not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) & 0o077 == 0


# ---------------------------------------------------------------- the guesses


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(min_value=1, max_value=40))
def test_each_wrong_guess_doubles_the_wait(number: int) -> None:
    clock = Clock()
    guesses, waits = Guesses(clock), []
    for _ in range(number):
        waits.append(wait := guesses.begin("192.0.2.7"))
        clock.now += wait
        if wait:
            assert guesses.begin("192.0.2.7") == 0.0
    assert waits[:FREE] == [0.0] * min(number, FREE)
    own = [min(LONGEST_SECONDS, 2.0**power) for power in range(max(0, number - FREE))]
    assert waits[FREE:] == own
    guesses.right("192.0.2.7")
    assert guesses.failures("192.0.2.7") == 0


def test_many_addresses_are_one_in_all_but_who_came_in_before_is_spared() -> None:
    guesses = Guesses(clock := Clock())
    guesses.begin("198.51.100.1")
    guesses.right("198.51.100.1")
    for number in range(FREE_IN_ALL):
        assert guesses.begin(f"192.0.2.{number}") == 0.0
    assert 0.0 < guesses.begin("192.0.2.200") <= LONGEST_IN_ALL_SECONDS
    assert guesses.begin("198.51.100.1") == 0.0
    clock.now += LONGEST_IN_ALL_SECONDS
    assert guesses.begin("192.0.2.200") == 0.0


def test_an_ipv6_network_is_one_address() -> None:
    guesses = Guesses(Clock())
    for number in range(FREE):
        guesses.begin(f"2001:db8::{number}")
    assert guesses.begin("2001:db8::ffff") > 0.0
    assert guesses.begin("2001:db8:0:1::1") == 0.0
    assert guesses.begin("::ffff:192.0.2.1") == 0.0


# --------------------------------------------------------------- the sessions


def test_a_session_ends_by_time_by_another_password_and_by_another_secret(
    locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(locked, SECRET, 8501)
    token = sessions.issue()
    assert sessions.knows(token)
    assert not Sessions(locked, "another", 8501).knows(token)
    until, nonce, signature = token.split(".")
    assert not sessions.knows(f"{int(until) + 1}.{nonce}.{signature}")
    late = time.time() + SECONDS + 1
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: late)
        assert not sessions.knows(token)
    set_password(locked, "quite another one")
    assert not sessions.knows(token)


@given(st.text())
def test_made_up_tokens_are_not_known(tmp_path_factory: pytest.TempPathFactory, token: str) -> None:
    home = tmp_path_factory.getbasetemp()
    (home / "password").write_text("anything")
    assert not Sessions(home, SECRET, 8501).knows(token)


# ------------------------------------------------------- OpenID Connect, caps

USABLE = {
    "redirect_uri": "https://studio.example/oauth2callback",
    "cookie_secret": "0123456789abcdef0123456789abcdef",
    "client_id": "studio",
    "client_secret": "secret",
    "server_metadata_url": "https://login.example/.well-known/openid-configuration",
}


def secrets_file(home: Path, more: str = "", **changed: str) -> None:
    fields = {name: value for name, value in {**USABLE, **changed}.items() if value}
    lines = "\n".join(f'{name} = "{value}"' for name, value in fields.items())
    (home / "secrets.toml").write_text(f"[auth]\n{lines}\n{more}")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"client_secret": "", "redirect_uri": ""}, "lacks redirect_uri, client_secret"),
        ({"redirect_uri": "https://studio.example/"}, "/oauth2callback"),
        ({"server_metadata_url": "http://login.example/"}, "https://"),
        ({"cookie_secret": "short"}, "32 characters"),
        ({"server_metadata_url": "https://accounts.google.com/.well-known/openid-configuration"}, "everybody"),
    ],
)
def test_a_login_that_can_not_work_is_refused(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    secrets_file(tmp_path, **changed)
    with pytest.raises(UsageError) as refused:
        check_door(tmp_path, Door("0.0.0.0", 0))
    assert said in str(refused.value)


def test_any_file_of_secrets_is_no_login(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").write_text('[other]\nkey = "value"\n')
    with pytest.raises(UsageError, match="everybody on the network"):
        check_door(tmp_path, Door("0.0.0.0", 0))
    check_door(tmp_path, Door("127.0.0.1", 0))
    (tmp_path / "secrets.toml").write_text("[auth\n")
    with pytest.raises(UsageError, match="can't be understood"):
        check_door(tmp_path, Door("0.0.0.0", 0))


def test_a_usable_login_needs_its_library(tmp_path: Path) -> None:
    secrets_file(tmp_path)
    if find_spec("authlib"):
        check_door(tmp_path, Door("0.0.0.0", 0))
    else:
        with pytest.raises(UsageError, match="Authlib"):
            check_door(tmp_path, Door("0.0.0.0", 0))


@pytest.mark.parametrize(
    ("claims", "comes_in"),
    [
        ({"email": "Anna@Example.org", "email_verified": True}, True),
        ({"email": "ben@lab.example"}, True),
        ({"email": "anna@example.org", "email_verified": False}, False),
        ({"email": "anna@example.org.evil.example"}, False),
        ({"email": "x@evil.example@lab.example"}, False),
        ({}, False),
    ],
)
def test_only_those_named_come_in(claims: dict[str, object], comes_in: bool) -> None:
    named = oidc.people({"fieldguide": {"people": ["anna@example.org", "@lab.example"]}})
    assert oidc.may_come_in(named, claims) is comes_in
    assert oidc.may_come_in((), claims)


def test_all_uploads_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOTAL_VARIABLE, "2")
    held = MEGABYTE
    caps = Middleware(UploadCaps, lambda: held)
    route = Route("/{rest:path}", _inside, methods=["PUT"])
    client = TestClient(Starlette(routes=[route], middleware=[caps]))
    assert client.put(f"{PATH}session/file", content=b"x" * MEGABYTE).text == "inside"
    refused = client.put(f"{PATH}session/file", content=b"x" * (MEGABYTE + 1))
    assert refused.status_code == 413
    assert TOTAL_VARIABLE in refused.text
    assert client.put(f"{PATH}session/file", content=iter([b"x"])).status_code == 411
    monkeypatch.setenv(TOTAL_VARIABLE, "much")
    with pytest.raises(UsageError, match=TOTAL_VARIABLE):
        settings(Path(), "127.0.0.1", 8501, (), "")
    assert client.put("/elsewhere", content=b"x" * 3 * MEGABYTE).text == "inside"
