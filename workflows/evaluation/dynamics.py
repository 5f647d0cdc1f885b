"""The tables of training dynamics: each training image in each epoch."""

from __future__ import annotations

import pandas as pd

from workflows.errors import RunError
from workflows.store.run_folder import StepFolder


def load_dynamics(folder: StepFolder) -> pd.DataFrame:
    """Read the dynamics tables of all epochs into one, with a column `step`.

    Raises:
        RunError: A table is damaged.
    """
    tables = []
    for step in folder.steps():
        path = folder.table(step)
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise RunError(f"The training dynamics in {path} can't be read: {error}") from error
        tables.append(table.assign(step=step))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
