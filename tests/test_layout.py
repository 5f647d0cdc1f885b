"""The house: what is shipped, who may import whom, no name that hijacks a library, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import get_args

import pytest

from workflows.graph.settings import Monitor
from workflows.nodes import BUILT_IN
from workflows.targets.metrics import METRICS
from workflows.targets.registry import target_named

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


def test_no_property_has_the_same_number_of_examples_in_every_profile() -> None:
    tests = [path for path in (ROOT / "tests").rglob("*.py") if re.search(r"max_examples=\d", path.read_text())]
    assert not [path.name for path in tests]


LONG_TESTS = (
    "tests/app/test_annotate_page.py",
    "tests/app/test_login.py",
    "tests/app/test_run_page.py",
    "tests/benchmarks/studio_records.py",
    "tests/data/fuzz/archives.py",
    "tests/data/test_importing.py",
    "tests/data/test_layouts.py",
    "tests/data/test_refused_archives.py",
    "tests/data/test_sources.py",
    "tests/flows/test_scheduling.py",
    "tests/graph/test_problems.py",
    "tests/recommend/test_rules.py",
)
"""Files of tests with more than 300 lines, to be divided when they are changed; no other may grow so long."""


@pytest.mark.skipif(not is_git_checkout(), reason="not a git checkout: tracked files are unknown")
def test_files_stay_small() -> None:
    files = [path for path in tracked_files() if path.name not in ("requirements.lock", "LICENSE")]
    assert not [path for path in files if path.stat().st_size > 500_000]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files if path.suffix == ".py"}
    assert not {name: n for name, n in lines.items() if n > 400 and name.split("/")[0] in PACKAGES}
    assert {name for name, n in lines.items() if n > 300 and name.startswith("tests/")} == set(LONG_TESTS)


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


def test_the_kinds_of_nodes_are_known_without_pytorch_and_pandas() -> None:
    """Forms and drawings are made in the web process; `workflow check` should answer at once."""
    loaded = python(
        "import sys\nfrom workflows.graph.workflow import load_template\nload_template('fast-photos')\n"
        "print([m for m in ('torch', 'ultralytics', 'cv2', 'pandas') if m in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_every_module_of_a_node_is_in_the_registry() -> None:
    modules = {path.stem for path in (ROOT / "workflows" / "nodes").glob("[!_]*.py")}
    assert modules == {kind.name for kind in BUILT_IN}


def test_the_page_about_the_code_names_what_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([a-z_/]+(?:\.[a-z]+|/))`", page))
    bases = [ROOT, ROOT / "workflows", ROOT / "workflows" / "data", ROOT / "workflows" / "nodes"]
    elsewhere = {
        "fieldguide.db",
        "images.parquet",
        "blobs/",
        "fieldguide.nodes",
        "fieldguide.targets",
        "fieldguide.backbones",
    }  # in a home, and of Python
    absent = {name for name in named - elsewhere if not any((base / name).exists() for base in bases)}
    assert len(named) > 30
    assert not absent


ABOUT_LABELS = {"softmax", "log_softmax", "sigmoid", "cross_entropy", "nll_loss", "argmax", "CrossEntropyLoss"}
"""What only a target may do: turn logits into probabilities, losses and answers."""
ABOUT_SOMETHING_ELSE = {
    "app/client/live.py": "the highest point of a stretch of a curve, for drawing",
    "workflows/data/audit/shortcut.py": "the class that a shortcut gives away most",
    "workflows/data/measures.py": "the first row of an image that is not even",
    "workflows/recommend/hardware.py": "any loss will do to time a step of a network",
}


def test_what_a_label_is_stays_with_the_targets() -> None:
    """Another target must not need a change where probabilities, losses and answers are made elsewhere."""
    found = {}
    for path in [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]:
        if "targets" not in path.relative_to(ROOT).parts[:2]:
            tree = ast.walk(ast.parse(path.read_text()))
            names = {getattr(node, "attr", getattr(node, "id", "")) for node in tree} & ABOUT_LABELS
            found |= {str(path.relative_to(ROOT)): names} if names else {}
    assert not {path: names for path, names in found.items() if path not in ABOUT_SOMETHING_ELSE}
    assert set(ABOUT_SOMETHING_ELSE) == set(found), "what is listed as something else, but is not there any more"


def test_targets_are_known_without_pytorch_and_their_metrics_without_pandas() -> None:
    for module, heavy in (
        ("workflows.targets.registry\nworkflows.targets.registry.target_named()", ("torch", "ultralytics", "sklearn")),
        ("workflows.targets.metrics", ("torch", "pandas", "numpy")),
    ):
        loaded = python(f"import sys, {module}\nprint([m for m in {heavy!r} if m in sys.modules])")
        assert loaded.strip() == "[]", module


def test_what_a_workflow_may_monitor_is_what_its_target_measures() -> None:
    target = target_named()
    assert set(get_args(Monitor)) <= {metric.name for metric in target.metrics}
    assert set(target.compared) | {target.headline} <= set(target.metrics)
    assert set(target.metrics) <= set(METRICS.values())
