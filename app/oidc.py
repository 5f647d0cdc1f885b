"""A login by OpenID Connect: is `[auth]` in `HOME/secrets.toml` valid, and who may use the studio?"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workflows.errors import StorageError, UsageError
from workflows.serving.listening import is_loopback

NAME = "secrets.toml"
REQUIRED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
CALLBACK = "/oauth2callback"
SHORTEST_SECRET = 32
FOR_EVERYBODY = (
    "https://accounts.google.com/",
    *(f"https://login.microsoftonline.com/{who}/" for who in ("common", "organizations", "consumers")),
)
"""Providers at which anybody in the world has an account, or can make one."""
EXAMPLE = """
[auth]
redirect_uri = "https://STUDIO/oauth2callback"
cookie_secret = "32 random characters or more"
client_id = "…"
client_secret = "…"
server_metadata_url = "https://PROVIDER/.well-known/openid-configuration"

[fieldguide]
people = ["anna@example.org", "@example.org"]   # who may sign in; leave it out for all accounts of the provider"""


def is_configured(home: Path) -> bool:
    """Return whether `secrets.toml` has an `[auth]` section, usable or not.

    Raises:
        UsageError: it is no TOML.
        StorageError: it can't be read.
    """
    return "auth" in _read(home)


def check(home: Path) -> None:
    """Refuse an `[auth]` section that could not work, or would admit everybody.

    Raises:
        UsageError: with what to write, or to install.
        StorageError: the file can't be read.
    """
    document = _read(home)
    auth = document["auth"] if isinstance(document.get("auth"), dict) else {}
    missing = [name for name in REQUIRED if not _text(auth, name)]
    if missing:
        raise UsageError(
            f"[auth] in {home / NAME} lacks {', '.join(missing)}: nobody could sign in.",
            f"Write it like this:\n{EXAMPLE}",
        )
    if wrong := _wrong(auth):
        raise UsageError(f"[auth] in {home / NAME}: {wrong}", f"Write it like this:\n{EXAMPLE}")
    if auth["server_metadata_url"].startswith(FOR_EVERYBODY) and not people(document):
        raise UsageError(
            f"At {urlsplit(auth['server_metadata_url']).netloc} everybody has an account: all could use the studio.",
            f'Name who may sign in, in {home / NAME}:\n\n[fieldguide]\npeople = ["anna@example.org", "@example.org"]',
        )
    if find_spec("authlib") is None:
        raise UsageError("Signing in by OpenID Connect needs Authlib.", "pip install 'Authlib>=1.3.2'")


def people(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return who may sign in: mail addresses, or `@` and a domain; empty for all whom the provider signs in.

    Raises:
        UsageError: `people` is no list of texts.
    """
    section = document.get("fieldguide", {})
    named = section.get("people", ()) if isinstance(section, Mapping) else ()
    if isinstance(named, str) or not all(isinstance(each, str) and "@" in each for each in named):
        raise UsageError(
            "[fieldguide] people must be a list of mail addresses, or of domains with @ before them.",
            'For example: people = ["anna@example.org", "@example.org"]',
        )
    return tuple(each.strip().lower() for each in named)


def is_allowed(allowed: tuple[str, ...], user: Mapping[str, Any]) -> bool:
    """Return whether a user who has signed in may use the studio.

    Args:
        allowed: what :func:`people` returned.
        user: the claims of the identity token; an address counts only if the provider does not call it unverified.
    """
    if not allowed:
        return True
    address = str(user.get("email") or "").lower()
    if user.get("email_verified") in (False, "false") or address.count("@") != 1:
        return False
    return address in allowed or f"@{address.partition('@')[2]}" in allowed


def _wrong(auth: Mapping[str, Any]) -> str:
    if not _is_web(auth["redirect_uri"], beyond=False) or not urlsplit(auth["redirect_uri"]).path.endswith(CALLBACK):
        return f"redirect_uri must be the studio's own address, ending with {CALLBACK}."
    if not _is_web(auth["server_metadata_url"], beyond=True):
        return "server_metadata_url must begin with https://."
    if len(auth["cookie_secret"]) < SHORTEST_SECRET:
        return f"cookie_secret needs {SHORTEST_SECRET} characters or more; whoever guesses it can sign in."
    return ""


def _is_web(address: str, beyond: bool) -> bool:
    """Return whether it is an address of a web server; `beyond`: encrypted, unless on this machine."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    return parts.scheme == "https" or not beyond or is_loopback(parts.hostname)


def _text(section: Mapping[str, Any], name: str) -> str:
    value = section.get(name)
    return value.strip() if isinstance(value, str) else ""


def _read(home: Path) -> dict[str, Any]:
    path = home / NAME
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be understood: {error}.", f"Write it like this:\n{EXAMPLE}") from error
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}.") from error
