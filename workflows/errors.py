"""Every error that a user can cause or fix.

::

    FieldguideError                 message + what to do; the CLI prints both and exits with `exit_code`
    ├── UsageError                  the call itself is wrong (exit code 2)
    ├── SourceError                 a folder, archive or CSV of labelled images can't be imported
    │   └── ColumnsError            a table lacks columns that it needs
    ├── DatasetError                a data set or version is missing or unsuitable
    ├── WorkflowError               a graph is wrong; `problems` lists every bad node and field
    ├── WeightsError                pretrained weights are missing, unknown or don't fit
    ├── DeviceError                 the requested device is absent or too small
    ├── ModelError                  a model or model version is unknown or can't be used this way
    ├── RunError                    a run is unknown or in the wrong state
    │   └── RunCancelled            the run was cancelled
    ├── TrainingError               training can't continue (loss not finite, out of memory)
    ├── ImageError                  one image can't be read
    ├── DownloadError               a file can't be downloaded, or is not the expected one
    └── StorageError                the disk is full, read-only or damaged

Anything else that escapes is a bug in Fieldguide, and is shown with its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workflows.words import first_lines


class FieldguideError(Exception):
    """An error with a message for the user: what is wrong, and what to do about it.

    Attributes:
        message: what is wrong, with the first of the problems.
        hint: what to do about it; may be empty.
        problems: where many things are wrong, one line for each of them; whatever shows the message must
            give access to all of them.
        details: further facts as plain data, e.g. what an import found of every file.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        problems: Sequence[str] = (),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.problems = list(problems)
        self.details = dict(details or {})
        self.message = "\n".join([message, *first_lines(self.problems)])
        self.hint = hint

    def document(self) -> dict[str, Any]:
        """Return the error as plain data: `error`, `hint`, `problems` if there are any, and the details."""
        problems = {"problems": self.problems} if self.problems else {}
        return {"error": self.message, "hint": self.hint, **problems, **self.details}

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def error_of(document: Mapping[str, Any]) -> FieldguideError:
    """Return the error from its :meth:`FieldguideError.document`, e.g. of another process."""
    error = FieldguideError(str(document["error"]), str(document.get("hint") or ""))
    error.problems = [str(problem) for problem in document.get("problems") or ()]
    error.details = {name: value for name, value in document.items() if name not in ("error", "hint", "problems")}
    return error


class UsageError(FieldguideError):
    """The call itself is wrong."""

    exit_code = 2


class SourceError(FieldguideError):
    """A source of labelled images can't be imported."""


class ColumnsError(SourceError):
    """A table lacks columns that it needs. `missing` lists those that the user could choose: `filename`, `label`."""

    def __init__(self, message: str, hint: str = "", missing: Sequence[str] = (), problems: Sequence[str] = ()) -> None:
        super().__init__(message, hint, problems=problems)
        self.missing = tuple(missing)


class DatasetError(FieldguideError):
    """A data set or version is missing or unsuitable."""


class WorkflowError(FieldguideError):
    """A workflow graph is wrong. `problems` holds one line for each bad node or field."""

    def __init__(self, message: str, problems: Sequence[str] = (), hint: str = "") -> None:
        super().__init__("\n".join([message, *(f"  - {problem}" for problem in problems)]), hint)
        self.problems = list(problems)  # a graph is small: its message lists them all


class WeightsError(FieldguideError):
    """Pretrained weights are missing, unknown or don't fit."""


class DeviceError(FieldguideError):
    """The requested device is absent or too small."""


class ModelError(FieldguideError):
    """A model or model version is unknown or can't be used this way."""


class RunError(FieldguideError):
    """A run is unknown or in the wrong state."""


class RunCancelled(RunError):  # noqa: N818 - an interruption, named as Python names them
    """The run was cancelled."""


class TrainingError(FieldguideError):
    """Training can't continue."""


class ImageError(FieldguideError):
    """One image can't be read."""


class DownloadError(FieldguideError):
    """A file can't be downloaded, or is not the expected one."""


class StorageError(FieldguideError):
    """The disk is full, read-only or damaged."""
