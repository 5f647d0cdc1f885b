"""On a bare GPU machine there is no Prefect, no web and no command line: the domain must do without them.

Only serving models needs a web server's library; nobody imports it but the server itself.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tiny import write_tiny

ABSENT = ("prefect", "streamlit", "fastapi", "uvicorn", "typer", "rich")

PROGRAM = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from pathlib import Path
import importlib, pkgutil, workflows
for module in pkgutil.walk_packages(workflows.__path__, "workflows."):
    if ".migrations" not in module.name and not module.name.startswith("workflows.serving."):
        importlib.import_module(module.name)
from workflows.pipeline import create_run, run_pipeline
from workflows.requests import TrainRequest
from workflows.store.store import Store
store = Store(Path({home!r}))
request = TrainRequest(source={source!r}, weights="none", size=32, epochs=1, device="cpu")
result = run_pipeline(store, create_run(store, request).run_id)
print(result.state, result.metrics_of("test")["support"])
"""


def test_the_domain_trains_and_evaluates_without_prefect_and_streamlit(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "tiny", per_class=20)
    program = PROGRAM.format(absent=set(ABSENT), home=str(tmp_path / "home"), source=str(source))
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["finished", "9"]
