"""The house: what is shipped, who may import whom, no name that hijacks a library, nothing of one machine."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from workflows.pipeline import STAGE_KEYS
from workflows.stages import STAGES

ROOT = Path(__file__).parents[1]
PACKAGES = ("workflows", "flows", "app")
SCRIPT_FOLDERS = ("flows", "app")
"""Streamlit and Prefect put a script's own folder first on the path: its neighbours win over every library."""


def tracked_files() -> list[Path]:
    """Files that git knows, and new ones it doesn't ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def python(code: str, *flags: str) -> str:
    """Run Python in a fresh process and return what it printed."""
    done = subprocess.run([sys.executable, *flags, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_git_checkout() -> bool:
    return (ROOT / ".git").exists()


def test_layers_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """The names in the wheel and in the source archive."""
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
        in_wheel = set(wheel.namelist())
    with tarfile.open(next(place.glob("*.tar.gz"))) as archive:
        in_archive = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    return in_wheel, in_archive


def test_the_wheel_holds_the_three_packages_with_their_data(built: tuple[set[str], set[str]]) -> None:
    wheel, _ = built
    top = {name.split("/")[0] for name in wheel if ".dist-info/" not in name}
    data = next(name for name in top if name.endswith(".data"))  # what goes beside the packages: the cards
    assert top - {data} == set(PACKAGES)
    assert any(name.startswith(f"{data}/data/share/fieldguide/datasets/") for name in wheel)
    needed = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    needed = [str(path.relative_to(ROOT)) for path in needed if "__pycache__" not in path.parts]
    assert not set(needed) - wheel
    for suffix in (".yaml", ".html"):
        assert any(name.endswith(suffix) for name in wheel), f"no {suffix} in the wheel"
    assert any("/migrations/versions/" in name for name in wheel)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_the_source_archive_holds_what_tests_need(built: tuple[set[str], set[str]]) -> None:
    _, archive = built
    assert {"pyproject.toml", "LICENSE", "README.md", "app/cli.py", "tests/test_layout.py"} <= archive
    assert not any(name.startswith((".ci", ".git/", ".venv")) for name in archive)


def test_no_module_hijacks_a_library() -> None:
    taken = set(packages_distributions()) | set(sys.stdlib_module_names)
    own = set(PACKAGES)
    for folder in SCRIPT_FOLDERS:
        names = {path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or path.is_dir()}
        names -= {"__init__", "__pycache__"}
        assert not names & (taken - own), f"{folder}/ hides libraries"
        assert not names & own, f"{folder}/ hides our own packages"


def test_datasets_holds_no_python() -> None:
    """As a package it would overwrite another project's `datasets` in site-packages."""
    assert not list((ROOT / "datasets").rglob("*.py"))


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("*.py")}
    assert not [
        folder for folder in folders if not (folder / "__init__.py").exists() and "migrations" not in folder.parts
    ]


def test_the_command_line_imports_neither_pytorch_nor_prefect() -> None:
    heavy = ("torch", "ultralytics", "prefect", "streamlit", "pandas", "sqlalchemy", "cv2")
    loaded = python(f"import sys, app.cli; print([m for m in {heavy!r} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_every_module_can_be_imported() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
    ]
    python(
        "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)".replace(
            "sys.argv[1:]", repr(modules)
        )
    )


def test_the_domain_works_without_prefect_streamlit_typer_and_rich() -> None:
    """As on a bare GPU machine."""
    python(
        "import importlib, pkgutil, sys\n"
        "for name in ('prefect', 'streamlit', 'typer', 'rich'): sys.modules[name] = None\n"
        "import workflows\n"
        "for module in pkgutil.walk_packages(workflows.__path__, 'workflows.'):\n"
        "    if '.migrations' not in module.name: importlib.import_module(module.name)\n"
    )


@pytest.mark.skipif(not is_git_checkout(), reason="not a git checkout: tracked files are unknown")
def test_no_registry_host_and_no_path_of_one_machine_is_named() -> None:
    hosts = "|".join([r"pypi\.o" + "rg", "pythonho" + "sted", r"registry\.npm" + r"js", r"deb\.deb" + r"ian\.org"])
    places = "|".join(["/wo" + "rk/", "/ro" + "ot/", "/tmp/bash" + "_jobs", r"/home/[a-z]+/"])
    wrong = []
    for path in tracked_files():
        if path.suffix in (".png", ".lock") and path.name != "requirements.lock":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        pattern = hosts if path.name == "requirements.lock" else f"{hosts}|{places}"
        wrong += [f"{path.relative_to(ROOT)}: {match.group()}" for match in re.finditer(pattern, text)]
    assert not wrong


@pytest.mark.skipif(not is_git_checkout(), reason="not a git checkout: tracked files are unknown")
def test_files_stay_small() -> None:
    files = [path for path in tracked_files() if path.name not in ("requirements.lock", "LICENSE")]
    assert not [path for path in files if path.stat().st_size > 500_000]
    code = [path for path in files if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES]
    long = {path.name: n for path in code if (n := len(path.read_text().splitlines())) > 400}
    assert not long


def test_the_licence_is_the_one_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert declared == "AGPL-3.0-or-later"
    text = (ROOT / "LICENSE").read_text()
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in text
    assert "Remote Network Interaction" in text
    assert len(text.splitlines()) > 600


def test_the_changelog_knows_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_everything_in_the_lock_has_a_checksum_and_everything_needed_is_locked() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9][a-z0-9.-]*)==[^\n]*\n(.*)", lock, flags=re.M)
    assert len(pinned) > 100
    assert all("--hash=sha256:" in following for _, following in pinned)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    names = {re.split(r"[ <>=!\[;]", need)[0].lower().replace("_", "-") for need in asked}
    assert not names - {name for name, _ in pinned}


def test_make_explains_itself() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "demo", "test", "test-all", "lock", "clean"):
        assert f"make {target} " in shown


def test_the_walk_does_every_stage_in_its_order() -> None:
    assert tuple(stage.key for stage in STAGES) == STAGE_KEYS
