"""Login to the studio: the password, its rate limit, sessions, OpenID Connect; limits of uploads."""

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
from app.login_rate_limiter import (
    FREE_ATTEMPTS,
    FREE_ATTEMPTS_ALL,
    MAX_WAIT_ALL_SECONDS,
    MAX_WAIT_SECONDS,
    LoginRateLimiter,
)
from app.password import set_password
from app.password_login import LOGIN, LOGOUT, PasswordLogin
from app.sessions import SECONDS, Sessions
from app.studio import ListenAddress, check_access
from app.supervisor import HEALTH
from app.upload_caps import MEGABYTE, PATH, UploadCaps
from app.web_server import settings
from workflows.errors import UsageError
from workflows.settings import MAX_UPLOADS_MB

PASSWORD = "three plain words"
SECRET = "what tokens are signed with"
BROWSER = {"accept": "text/html"}


async def _inside(request: object) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def browser(home: Path, limiter: LoginRateLimiter | None = None, **client: object) -> TestClient:
    """A browser that opens a small application behind the login."""
    routes = [
        Route("/{rest:path}", _inside, methods=["GET", "PUT", "POST"]),
        WebSocketRoute("/_stcore/stream", _socket),
    ]
    login = Middleware(PasswordLogin, home, Sessions(home, SECRET, 8501), limiter or LoginRateLimiter())
    return TestClient(Starlette(routes=routes, middleware=[login]), follow_redirects=False, **client)  # type: ignore[arg-type]


@pytest.fixture
def with_password(tmp_path: Path) -> Path:
    """A state folder with a password."""
    set_password(tmp_path, PASSWORD)
    return tmp_path


def log_in(client: TestClient, password: str, to: str = "/run?run=a", **headers: str) -> tuple[int, str]:
    """Fill in the form; return the status and where it leads, or what it says."""
    answer = client.post(LOGIN, data={"password": password, "to": to}, headers=headers)
    return answer.status_code, answer.headers.get("location") or answer.text


# --------------------------------------------------------------- the password


def test_without_a_password_there_is_no_login(tmp_path: Path) -> None:
    assert browser(tmp_path).get("/", headers=BROWSER).text == "inside"


@pytest.mark.parametrize(
    "path", ["/", "/static/index.js", "/media/x.png", "/fieldguide/upload/ticket", "/_stcore/../x"]
)
def test_nothing_behind_is_reached_without_the_password(with_password: Path, path: str) -> None:
    client = browser(with_password)
    for method in ("GET", "PUT", "POST"):
        answer = client.request(method, path)
        assert (answer.status_code, "inside" in answer.text) == (401, False)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass
    assert client.get(HEALTH).text == "inside"  # the supervisor asks for it


def test_the_session_of_a_login_outlasts_a_reload_and_ends_with_the_logout(with_password: Path) -> None:
    client = browser(with_password)
    asked = client.get("/run?run=<b>", headers=BROWSER)
    assert asked.status_code == 401
    assert 'type="password"' in asked.text
    assert "<b>" not in asked.text
    assert log_in(client, "something else")[0] == 401
    assert log_in(client, PASSWORD) == (303, "/run?run=a")
    assert client.get("/run?run=a", headers=BROWSER).text == "inside"
    with client.websocket_connect("/_stcore/stream"):
        pass
    assert client.get(LOGOUT).status_code == 303
    assert client.get("/", headers=BROWSER).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(with_password: Path) -> None:
    plain = browser(with_password).post(LOGIN, data={"password": PASSWORD})
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} < set(plain.headers["set-cookie"].split("; "))
    secure = browser(with_password, base_url="https://studio.example").post(LOGIN, data={"password": PASSWORD})
    assert "Secure" in secure.headers["set-cookie"].split("; ")


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/\tevil", "javascript:1", ""]
)
def test_the_form_leads_nowhere_else(with_password: Path, to: str) -> None:
    assert log_in(browser(with_password), PASSWORD, to) == (303, "/")


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_no_other_page_can_send_the_form(with_password: Path, headers: dict[str, str]) -> None:
    assert log_in(browser(with_password), PASSWORD, **headers)[0] == 403


def test_a_link_from_elsewhere_finds_the_session(with_password: Path) -> None:
    """A strict cookie stays away at first: the answer makes the browser ask once more, from here."""
    answer = browser(with_password).get("/run?run=a", headers={**BROWSER, "sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh" content="0; url=/run?run=a"' in answer.text


def test_too_much_is_no_password(with_password: Path) -> None:
    assert log_in(browser(with_password), "x" * 100_000)[0] == 413


def test_wrong_passwords_are_rate_limited_and_logged(with_password: Path) -> None:
    client = browser(with_password, client=("192.0.2.7", 1))
    codes = [log_in(client, "something else")[0] for _ in range(FREE_ATTEMPTS + 1)]
    assert codes == [401] * FREE_ATTEMPTS + [429]
    assert log_in(client, PASSWORD)[0] == 429  # the right one does not jump the queue
    log = with_password / "logs" / "login.log"
    assert log.read_text().count("192.0.2.7: wrong password") == FREE_ATTEMPTS
    assert PASSWORD not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) & 0o077 == 0


# ------------------------------------------------------------- the rate limit


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(min_value=1, max_value=40))
def test_each_wrong_password_doubles_the_wait(number: int) -> None:
    clock = Clock()
    limiter, waits = LoginRateLimiter(clock), []
    for _ in range(number):
        waits.append(wait := limiter.begin("192.0.2.7"))
        clock.now += wait
        if wait:
            assert limiter.begin("192.0.2.7") == 0.0
    assert waits[:FREE_ATTEMPTS] == [0.0] * min(number, FREE_ATTEMPTS)
    own = [min(MAX_WAIT_SECONDS, 2.0**power) for power in range(max(0, number - FREE_ATTEMPTS))]
    assert waits[FREE_ATTEMPTS:] == own
    limiter.succeeded("192.0.2.7")
    assert limiter.failures("192.0.2.7") == 0


def test_many_addresses_share_a_limit_except_those_that_logged_in_before() -> None:
    limiter = LoginRateLimiter(clock := Clock())
    limiter.begin("198.51.100.1")
    limiter.succeeded("198.51.100.1")
    for number in range(FREE_ATTEMPTS_ALL):
        assert limiter.begin(f"192.0.2.{number}") == 0.0
    assert 0.0 < limiter.begin("192.0.2.200") <= MAX_WAIT_ALL_SECONDS
    assert limiter.begin("198.51.100.1") == 0.0
    clock.now += MAX_WAIT_ALL_SECONDS
    assert limiter.begin("192.0.2.200") == 0.0


def test_an_ipv6_network_is_one_address() -> None:
    limiter = LoginRateLimiter(Clock())
    for number in range(FREE_ATTEMPTS):
        limiter.begin(f"2001:db8::{number}")
    assert limiter.begin("2001:db8::ffff") > 0.0
    assert limiter.begin("2001:db8:0:1::1") == 0.0
    assert limiter.begin("::ffff:192.0.2.1") == 0.0


# --------------------------------------------------------------- the sessions


def test_a_session_ends_by_time_by_another_password_and_by_another_secret(
    with_password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(with_password, SECRET, 8501)
    token = sessions.issue()
    assert sessions.is_valid(token)
    assert not Sessions(with_password, "another", 8501).is_valid(token)
    until, nonce, signature = token.split(".")
    assert not sessions.is_valid(f"{int(until) + 1}.{nonce}.{signature}")
    late = time.time() + SECONDS + 1
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: late)
        assert not sessions.is_valid(token)
    set_password(with_password, "quite another one")
    assert not sessions.is_valid(token)


@given(st.text())
def test_made_up_tokens_are_not_known(tmp_path_factory: pytest.TempPathFactory, token: str) -> None:
    home = tmp_path_factory.getbasetemp()
    (home / "password").write_text("anything")
    assert not Sessions(home, SECRET, 8501).is_valid(token)


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
        check_access(tmp_path, ListenAddress("0.0.0.0", 0))
    assert said in str(refused.value)


def test_any_file_of_secrets_is_no_login(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").write_text('[other]\nkey = "value"\n')
    with pytest.raises(UsageError, match="--set-password"):
        check_access(tmp_path, ListenAddress("0.0.0.0", 0))
    check_access(tmp_path, ListenAddress("127.0.0.1", 0))
    (tmp_path / "secrets.toml").write_text("[auth\n")
    with pytest.raises(UsageError, match="can't be understood"):
        check_access(tmp_path, ListenAddress("0.0.0.0", 0))


def test_a_usable_login_needs_its_library(tmp_path: Path) -> None:
    secrets_file(tmp_path)
    if find_spec("authlib"):
        check_access(tmp_path, ListenAddress("0.0.0.0", 0))
    else:
        with pytest.raises(UsageError, match="Authlib"):
            check_access(tmp_path, ListenAddress("0.0.0.0", 0))


@pytest.mark.parametrize(
    ("claims", "allowed"),
    [
        ({"email": "Anna@Example.org", "email_verified": True}, True),
        ({"email": "ben@lab.example"}, True),
        ({"email": "anna@example.org", "email_verified": False}, False),
        ({"email": "anna@example.org.evil.example"}, False),
        ({"email": "x@evil.example@lab.example"}, False),
        ({}, False),
    ],
)
def test_only_named_accounts_are_allowed(claims: dict[str, object], allowed: bool) -> None:
    named = oidc.people({"fieldguide": {"people": ["anna@example.org", "@lab.example"]}})
    assert oidc.is_allowed(named, claims) is allowed
    assert oidc.is_allowed((), claims)


def test_all_uploads_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_UPLOADS_MB.variable, "2")
    held = MEGABYTE
    caps = Middleware(UploadCaps, lambda: held)
    route = Route("/{rest:path}", _inside, methods=["PUT"])
    client = TestClient(Starlette(routes=[route], middleware=[caps]))
    assert client.put(f"{PATH}session/file", content=b"x" * MEGABYTE).text == "inside"
    refused = client.put(f"{PATH}session/file", content=b"x" * (MEGABYTE + 1))
    assert refused.status_code == 413
    assert MAX_UPLOADS_MB.variable in refused.text
    assert client.put(f"{PATH}session/file", content=iter([b"x"])).status_code == 411
    monkeypatch.setenv(MAX_UPLOADS_MB.variable, "much")
    with pytest.raises(UsageError, match=MAX_UPLOADS_MB.variable):
        settings(Path(), "127.0.0.1", 8501, (), "")
    assert client.put("/elsewhere", content=b"x" * 3 * MEGABYTE).text == "inside"
