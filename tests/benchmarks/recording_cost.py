"""What does recording every step (metrics, predictions, dynamics, batches, checkpoints) cost of an epoch?

Times the recorder's and the checkpoint's calls inside a real training and prints their share of the epochs.

    .venv/bin/python -m tests.benchmarks.recording_cost ../shared/data/flowers
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workflows.pipeline import RunContext, create_run, do_step, walk
from workflows.requests import TrainRequest
from workflows.store.store import Store


class Stopwatch:
    """Adds up the seconds spent in functions, without counting one inside another twice."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = False

    def watch(self, owner: Any, name: str) -> None:
        """Time every call of `owner.name` from now on."""
        original: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return original(*arguments, **named)
            self._inside, started = True, time.perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                self._inside = False
                self.seconds += time.perf_counter() - started

        setattr(owner, name, timed)


def main() -> None:
    """Print the share of recording in each of three trainings, and the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    from workflows.training import trainer as module

    watch = Stopwatch()
    for name in ("step", "dynamics", "batch", "flush"):
        watch.watch(module.Recorder, name)
    for name in ("step_table", "dynamics_table", "classification_metrics", "save_checkpoint"):
        watch.watch(module, name)
    shares = []
    with tempfile.TemporaryDirectory() as home:
        store = Store(Path(home))
        for seed in range(3):
            request = TrainRequest(
                source=str(options.data),
                weights="none",
                size=options.size,
                epochs=options.epochs,
                seed=seed,
                device="cpu",
            )
            context = RunContext(store, create_run(store, request).run_id)
            for step in walk(context):
                do_step(context, step)
                if step.key == "training":
                    break
            epochs = store.runs.steps(context.run_id).query("name == 'seconds'")["value"].sum()
            shares.append(watch.seconds / epochs)
            print(
                f"training {seed + 1}: {watch.seconds:.2f} s of {epochs:.1f} s in epochs: {shares[-1]:.2%}", flush=True
            )
            watch.seconds = 0.0
    print(
        f"median {statistics.median(shares):.2%}, from {min(shares):.2%} to {max(shares):.2%}; "
        f"{platform.machine()}, {os.cpu_count()} cores, {options.size} px"
    )


if __name__ == "__main__":
    main()
