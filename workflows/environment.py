"""The single place where the environment of third-party libraries is configured.

Everything here must happen before ultralytics, prefect, albumentations or streamlit is imported,
so `workflows/__init__.py` calls :func:`prepare` and every other package imports `workflows` first.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from workflows import settings

# Switches that keep data on this machine. They are forced: no outer setting may override them.
PRIVATE = {
    # Ultralytics: no analytics, no version checks, no `pip install` in a running process, no cloud hooks
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "0",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
    # Ultralytics: a checkpoint is read with weights_only, so that it cannot run code
    "ULTRALYTICS_SAFE_LOAD": "1",
    # Albumentations checks an index for its newest version at import
    "NO_ALBUMENTATIONS_UPDATE": "1",
    # Prefect: server telemetry and client analytics
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # Streamlit: usage statistics and the e-mail prompt of a first start
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "STREAMLIT_SERVER_SHOW_EMAIL_PROMPT": "false",
}

# Defaults that the user may override.
DEFAULTS = {
    # Results must be readable without unpickling
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    # The embedded server needs 7-16 s to start on a small machine; the default limit is shorter
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_CLI_PROMPT": "false",
    "YOLO_VERBOSE": "false",
    "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
}

# Credentials that would make a library stream to its vendor's cloud.
REMOVED = ("ULTRALYTICS_API_KEY",)


def home() -> Path:
    """Return the folder that holds all state: the one set in the environment, else the platform's data folder."""
    chosen = settings.HOME.read()
    return Path(chosen).expanduser().resolve() if chosen else Path(platformdirs.user_data_dir("fieldguide"))


def prepare() -> None:
    """Set every switch in this process (and so in its children). Safe to call again."""
    os.environ.update(PRIVATE)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name in REMOVED:
        os.environ.pop(name, None)
    folder = home()
    os.environ.setdefault("YOLO_CONFIG_DIR", str(folder / "ultralytics"))
    os.environ.setdefault("PREFECT_HOME", str(folder / "prefect"))
