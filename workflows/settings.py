"""All environment variables of Fieldguide: the purpose and default of each. Nothing else reads them.

docs/settings.md is generated from this table; see :func:`page`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

PREFIX = "FIELDGUIDE_"
TESTS_PREFIX = "FIELDGUIDE_TEST"


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    Attributes:
        variable: its name.
        default: the value if it is unset; for a number the number itself.
        help: its purpose.
        inner: whether Fieldguide sets it itself, for its child processes.
        secret: whether its value must not be shown.
    """

    variable: str
    default: str
    help: str
    inner: bool = False
    secret: bool = False

    def read(self) -> str | None:
        """Return its present value; None if it is unset."""
        return os.environ.get(self.variable)

    def set(self, value: str) -> None:
        """Set it for this process and its child processes."""
        os.environ[self.variable] = value


HOME = Setting(
    "FIELDGUIDE_HOME", "the platform's data folder", "The folder that holds all state: data sets, runs, models."
)
DATABASE_URL = Setting(
    "FIELDGUIDE_DATABASE_URL",
    "SQLite files in the state folder",
    "The database of all records and tunings, as SQLAlchemy writes it: `postgresql+psycopg://…`.",
    secret=True,
)
WEIGHTS = Setting("FIELDGUIDE_WEIGHTS", "none", "A file or a folder of pretrained weights on this machine.")
CARDS = Setting("FIELDGUIDE_CARDS", "none", "A folder with your own data set cards, for `fieldguide dataset fetch`.")
USER = Setting(
    "FIELDGUIDE_USER", "the operating system's user", "The author of data set versions, as shown in their history."
)
PASSWORD = Setting(
    "FIELDGUIDE_PASSWORD", "prompted for", "The studio's new password, for `fieldguide up --set-password`.", secret=True
)
HOSTS = Setting("FIELDGUIDE_HOSTS", "none", "Additional host names of the studio, separated by commas.")
MAX_UPLOAD_MB = Setting("FIELDGUIDE_MAX_UPLOAD_MB", "500", "Largest size in MB of one file dropped into a field.")
MAX_UPLOADS_MB = Setting(
    "FIELDGUIDE_MAX_UPLOADS_MB", "1500", "Largest total size in MB of memory of all files in such fields."
)
MAX_DROPPED_GB = Setting(
    "FIELDGUIDE_MAX_DROPPED_GB", "24", "Largest total size in GB of disk of all photos being dropped into data sets."
)
TRAINING_JOB = Setting(
    "FIELDGUIDE_TRAINING_JOB", "none", "Path of the job file of a training on several GPUs.", inner=True
)
TURNS = Setting("FIELDGUIDE_TURNS", "none", "Whether trainings on the CPU take turns, too.", inner=True)
WEB_OPTIONS = Setting("FIELDGUIDE_WEB_OPTIONS", "none", "Options of the studio's web process.", inner=True)

SETTINGS = tuple(one for one in list(globals().values()) if isinstance(one, Setting))


def unknown(names: Iterable[str]) -> dict[str, str | None]:
    """Return the names that look like ours but are unknown, each with the setting that may be meant."""
    known = [one.variable for one in SETTINGS if not one.inner]
    every = {one.variable for one in SETTINGS}
    odd = [name for name in names if name.upper().startswith(PREFIX) and name not in every]
    return {
        name: next(iter(get_close_matches(name.upper(), known, 1, 0.8)), None)
        for name in sorted(odd)
        if not name.startswith(TESTS_PREFIX)
    }


def page() -> str:
    """Return docs/settings.md. To write it: `python -c 'from workflows.settings import page; print(page(), end="")'`."""
    ours = [f"| `{one.variable}` | {one.default} | {one.help} |" for one in SETTINGS if not one.inner]
    inner = [f"| `{one.variable}` | {one.help} |" for one in SETTINGS if one.inner]
    lines = [
        "# Settings",
        "",
        "Environment variables apply to all commands. `fieldguide doctor` shows which are set, and warns of names that look",
        "like one of these but are unknown.",
        "",
        "| Variable | Default | Purpose |",
        "| --- | --- | --- |",
        *ours,
        "",
        "Fieldguide sets these itself, for its child processes:",
        "",
        "| Variable | Purpose |",
        "| --- | --- |",
        *inner,
    ]
    return "\n".join(lines) + "\n"
