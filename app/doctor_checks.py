"""What works on this machine, what doesn't, and how to fix it: the checks behind `fieldguide doctor`."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import workflows.environment as environment
from app.words import size_of
from workflows import settings
from workflows.backbones.yolov8 import YOLOV8
from workflows.errors import FieldguideError
from workflows.progress import Progress, silent
from workflows.words import listed

if TYPE_CHECKING:
    from workflows.data.integrity import BadFile

State = Literal["ok", "warn", "fail"]

OLDEST_PYTHON = (3, 11)
LITTLE_SPACE_BYTES = 5e9
TOO_LITTLE_SPACE_BYTES = 5e8
PACKAGES = (
    "torch",
    "torchvision",
    "ultralytics",
    "albumentations",
    "prefect",
    "fastapi",
    "pandas",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "sqlalchemy",
    "streamlit",
)
# torchvision needs the torch it was built for, and cv2 may miss a system library: only importing shows it
IMPORTS = ("cv2", "torch", "torchvision", "ultralytics", "albumentations", "pytorch_grad_cam", "prefect")
ENTRIES = "`entries` of --json"
REINSTALL = "Run `make install` again; if that does not help, `make clean install`."


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what was checked.
        state: its status.
        text: what was found.
        hint: what to do about it.
        entries: the complete list, where the text has only its beginning.
    """

    check: str
    state: State
    text: str
    hint: str = ""
    entries: tuple[str, ...] = ()


def run_checks() -> list[Finding]:
    """Run every check and return one or more findings for each. Takes some 10-20 s: it starts a Prefect server."""
    findings: list[Finding] = []
    for check in CHECKS:
        findings.extend(check())
    return findings


def check_python() -> list[Finding]:
    """The interpreter's version and where it runs."""
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}"
    if sys.version_info < OLDEST_PYTHON:
        return [Finding("python", "fail", text, "Fieldguide needs Python 3.11 or newer: `make clean install`.")]
    return [Finding("python", "ok", text)]


def check_packages() -> list[Finding]:
    """The packages' versions, and whether they can be imported together."""
    versions, missing, broken = [], [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    for module in IMPORTS:
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            broken.append(f"{module} ({error})")
    findings = [Finding("packages", "ok", ", ".join(versions))]
    if missing:
        findings.append(Finding("packages", "fail", f"not installed: {', '.join(missing)}", REINSTALL))
    if broken:
        findings.append(Finding("packages", "fail", f"can't be imported: {'; '.join(broken)}", REINSTALL))
    return findings


def check_devices() -> list[Finding]:
    """The devices for training."""
    from workflows.recommend.hardware import detect_hardware

    try:
        hardware = detect_hardware("auto")
    except FieldguideError as error:
        return [Finding("devices", "fail", error.message, error.hint)]
    memory = f"{size_of(hardware.memory_bytes)} memory"
    text = f"{hardware.name}, {memory}, {hardware.cores} CPU cores"
    if hardware.kind == "cpu":
        return [Finding("devices", "ok", f"{text}; no GPU that PyTorch can use: training runs on the CPU")]
    return [Finding("devices", "ok", text)]


def check_home() -> list[Finding]:
    """The folder that holds all state: can it be written, is there space?"""
    home = environment.home()
    place = f"{home} (set {settings.HOME.variable} for another)"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".doctor-{os.getpid()}"
        probe.write_bytes(b"ok")
        probe.unlink()
    except OSError as error:
        hint = f"Set {settings.HOME.variable} to a folder that you may write."
        return [Finding("home", "fail", f"{home} can't be written: {error.strerror}", hint)]
    free = shutil.disk_usage(home).free
    text = f"{place}, {size_of(free)} free"
    if free < TOO_LITTLE_SPACE_BYTES:
        return [Finding("home", "fail", text, "Free some space: a training needs room for its checkpoints.")]
    if free < LITTLE_SPACE_BYTES:
        return [Finding("home", "warn", text, "Large data sets need more: free some space, or move the folder.")]
    return [Finding("home", "ok", text)]


def check_store() -> list[Finding]:
    """The records: can they be opened, how many are there, was any run interrupted?"""
    from workflows.store.store import Store

    try:
        store = Store()
        died = store.runs.reconcile()
        runs = store.runs.list()
    except FieldguideError as error:
        return [Finding("records", "fail", error.message, error.hint)]
    text = f"{len(store.datasets.list())} data set(s), {len(runs)} run(s)"
    if died:
        hint = f"Resume it: fieldguide runs resume {died[0]}"
        return [Finding("records", "warn", f"{text}; interrupted: {', '.join(died)}", hint)]
    return [Finding("records", "ok", text)]


def check_files(progress: Progress = silent, repair: bool = False) -> list[Finding]:
    """Is every stored photo unchanged? Reads all of them, which takes a while."""
    from workflows.data.integrity import verify_store
    from workflows.store.store import Store

    try:
        found = verify_store(Store(), progress, repair)
    except FieldguideError as error:
        return [Finding("files", "fail", error.message, error.hint)]
    findings = [_bad_file(bad, repair) for bad in found.bad]
    for name, number, why in found.unreadable:
        hint = f"`fieldguide dataset undo {name}` goes back to the version before, if this is the newest."
        findings.append(Finding("files", "fail", f"version {number} of data set {name} can't be read: {why}", hint))
    if found.unreferenced:
        count, size = len(found.unreferenced), size_of(found.unreferenced_bytes)
        text = f"{count} photo(s), {size}, that no data set needs: left by an interrupted (or still running) import"
        hint = f"The same import, repeated, uses them: {listed(found.unreferenced, full=ENTRIES, most=1)}."
        findings.append(Finding("files", "warn", text, hint, tuple(found.unreferenced)))
    sound = found.files - sum(bad.state == "damaged" and not bad.restored for bad in found.bad)
    return [Finding("files", "ok", f"{sound} stored photo(s), {size_of(found.bytes)} read, are intact"), *findings]


def _bad_file(bad: BadFile, repair: bool) -> Finding:
    places = [f"{place.dataset}: {place.path}" for place in bad.needed_by]
    needed = f"needed by {listed(places, full=ENTRIES)}"
    text = f"{bad.sha256} is {bad.state}, {needed if places else 'needed by no data set'}"
    if bad.restored:
        return Finding("files", "ok", f"{text}: restored from {bad.needed_by[0].source}")
    if not places:
        return Finding("files", "warn", text, "Nothing needs it.")
    first = bad.needed_by[0]
    again = f"`fieldguide dataset add {first.dataset} {first.source} --discard-corrections` with the original in place restores it"
    hint = again if repair else f"`fieldguide doctor --verify --repair` restores it from {first.source}, or {again}"
    return Finding("files", "fail", text, f"{hint}; or remove the image: `fieldguide dataset remove`.", tuple(places))


def check_weights() -> list[Finding]:
    """Which pretrained weights are available locally."""
    named = settings.WEIGHTS.read()
    places = [environment.home() / "weights", *([Path(named).expanduser()] if named else [])]
    if named and not places[-1].exists():
        hint = "Correct or unset the variable."
        return [Finding("weights", "fail", f"{settings.WEIGHTS.variable} names {named}, which does not exist", hint)]
    found = [path for place in places for path in _weight_files(place)]
    if not found:
        hint = (
            f"`--weights auto` will download them once; without network access put {YOLOV8.weights_stem('n')}.pt into "
            f"{places[0]}, "
            "or pass --weights FILE, or --weights none."
        )
        return [Finding("weights", "warn", "no pretrained weights on this machine", hint)]
    return [Finding("weights", "ok", ", ".join(str(path) for path in found))]


def _weight_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(path for path in place.glob("*") if path.suffix in (".safetensors", ".pt"))


def check_server() -> list[Finding]:
    """Does Prefect's server answer: the configured one, or an embedded one started for this check?"""
    from flows.runtime import prefect_api

    began = time.monotonic()
    try:
        with prefect_api() as url:
            seconds = time.monotonic() - began
            kind = "the configured server" if os.environ.get("PREFECT_API_URL") == url else "an embedded server"
            return [Finding("server", "ok", f"{kind} answers at {url} (after {seconds:.1f} s)")]
    except FieldguideError as error:
        return [Finding("server", "fail", error.message, error.hint)]


def check_privacy() -> list[Finding]:
    """Are the switches set that stop libraries from sending data out?"""
    open_switches = [name for name, value in environment.PRIVATE.items() if os.environ.get(name) != value]
    open_switches += [name for name in environment.REMOVED if name in os.environ]
    if open_switches:
        hint = "Something changed them after Fieldguide had set them: restart it."
        return [Finding("privacy", "fail", f"changed: {', '.join(open_switches)}", hint)]
    count = len(environment.PRIVATE)
    return [Finding("privacy", "ok", f"{count} switches against telemetry, update checks and installs are set")]


def check_settings() -> list[Finding]:
    """Which environment variables of Fieldguide are set, and which only look like them."""
    chosen = [one for one in settings.SETTINGS if not one.inner and one.read() is not None]
    texts = [f"{one.variable}={'…' if one.secret else one.read()}" for one in chosen]
    findings = [Finding("settings", "ok", ", ".join(texts) or "no environment variable of Fieldguide's is set")]
    for name, meant in settings.unknown(os.environ).items():
        hint = f"Did you mean {meant}?" if meant else "docs/settings.md lists all variables."
        findings.append(Finding("settings", "warn", f"{name} is set, but Fieldguide has no such variable", hint))
    return findings


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    check_python,
    check_packages,
    check_devices,
    check_settings,
    check_home,
    check_store,
    check_weights,
    check_server,
    check_privacy,
)
