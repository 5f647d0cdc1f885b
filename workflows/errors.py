"""Every error that a person can cause or mend.

::

    FieldguideError                 message + what to do; the CLI prints both and exits with `exit_code`
    ├── UsageError                  the call itself is wrong (exit code 2)
    ├── SourceError                 a folder, archive or CSV of labelled images can't be taken in
    ├── DatasetError                a data set or version is missing or unfit for the job
    ├── WorkflowError               a graph is wrong; `problems` lists every bad node and field
    ├── WeightsError                pretrained weights are missing, unknown or don't fit
    ├── DeviceError                 the device asked for is absent or too small
    ├── ModelError                  a model or a version of it is unknown or can't be used so
    ├── RunError                    a run is unknown or in the wrong state
    │   └── RunCancelled            somebody asked for the run to stop
    ├── TrainingError               training can't go on (loss not finite, out of memory)
    ├── ImageError                  one image can't be read
    ├── DownloadError               a file can't be had from the network, or is another one than expected
    └── StorageError                the disk is full, read-only or damaged

Anything else that escapes is a bug in Fieldguide, and is shown with its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class FieldguideError(Exception):
    """An error with words for the person: what is wrong, and what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(FieldguideError):
    """The call itself is wrong."""

    exit_code = 2


class SourceError(FieldguideError):
    """A source of labelled images can't be taken in."""


class DatasetError(FieldguideError):
    """A data set or version is missing or unfit for the job."""


class WorkflowError(FieldguideError):
    """A workflow graph is wrong. `problems` holds one line for each bad node or field."""

    def __init__(self, message: str, problems: Sequence[str] = (), hint: str = "") -> None:
        self.problems = list(problems)
        super().__init__("\n".join([message, *(f"  - {problem}" for problem in self.problems)]), hint)


class WeightsError(FieldguideError):
    """Pretrained weights are missing, unknown or don't fit."""


class DeviceError(FieldguideError):
    """The device asked for is absent or too small."""


class ModelError(FieldguideError):
    """A model or a version of it is unknown or can't be used so."""


class RunError(FieldguideError):
    """A run is unknown or in the wrong state."""


class RunCancelled(RunError):  # noqa: N818 - an interruption, named as Python names them
    """Somebody asked for the run to stop."""


class TrainingError(FieldguideError):
    """Training can't go on."""


class ImageError(FieldguideError):
    """One image can't be read."""


class DownloadError(FieldguideError):
    """A file can't be had from the network, or is another one than expected."""


class StorageError(FieldguideError):
    """The disk is full, read-only or damaged."""
