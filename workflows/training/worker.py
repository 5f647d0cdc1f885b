"""One process of several that train together; `torchrun` starts it (see `group.py`)."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from torch import distributed

from workflows.errors import FieldguideError, StorageError
from workflows.training.group import join, keep_failure
from workflows.training.job import TrainingJob
from workflows.training.train import train_here


def main() -> None:
    """Train the job that the environment names, together with the other processes."""
    job = TrainingJob.from_environment()
    group = join()
    try:
        train_here(job, group=group)
        distributed.barrier()  # nobody leaves while another still reads from it
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends with it
        traceback.print_exc()
        if isinstance(error, FieldguideError):
            with suppress(StorageError):  # the output has the error, too
                keep_failure(job, error)
        _leave(1)  # then torchrun ends the others; to take the group down would be to wait for them
    distributed.destroy_process_group()
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End at once: native threads of the group now and then abort a process that takes them down in order."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
