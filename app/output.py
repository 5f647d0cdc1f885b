"""A command's output: its result on stdout, everything else on stderr.

Libraries print at will, some from C. So that `--json` gives exactly one document, a command first takes
stdout away from everything else (file descriptor 1 becomes stderr, for child processes too) and keeps the real one for
its result alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from workflows.errors import ColumnsError
from workflows.words import SHOWN

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from workflows.errors import FieldguideError

PIPE_WIDTH = 10_000
"""Width without a terminal, so that nothing is folded."""


class Output:
    """The two channels of a command: `answer` for its result, `note` for everything else."""

    current: Output | None = None

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.answered = False
        self._stdout = _take_stdout()
        self._consoles: dict[TextIO, Console] = {}
        Output.current = self

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console  # a tenth of a second that `--json` does not need

        if stream not in self._consoles:
            width = None if stream.isatty() else PIPE_WIDTH
            self._consoles[stream] = Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty())
        return self._consoles[stream]

    @property
    def notes(self) -> Console:
        """The console on stderr, for progress bars and remarks."""
        return self._console(sys.stderr)

    def answer(self, document: Any, *human: RenderableType) -> None:
        """Print the command's result: `document` as JSON with `--json`, else the `human` texts and tables."""
        self.answered = True
        if self.as_json:
            from workflows.store.files import to_plain

            self._stdout.write(
                json.dumps(to_plain(document_of(document)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            )
        else:
            for part in human:
                self._console(self._stdout).print(part, markup=False)
        self._stdout.flush()

    def text(self, text: str) -> None:
        """Print raw text (a YAML document, a graph) as the result, without wrapping or colours."""
        self.answered = True
        self._stdout.write(text if text.endswith("\n") else text + "\n")
        self._stdout.flush()

    def note(self, text: str) -> None:
        """Print a remark on stderr."""
        self.notes.print(text, markup=False)

    def discard(self) -> None:
        """Drop unwritten output: nobody reads it any more."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stdout.fileno())
        os.close(nowhere)

    def fail(self, error: FieldguideError) -> None:
        """Print what went wrong and what to do about it; with `--json` stdout gets it as a document, too."""
        from rich.text import Text

        self.notes.print(Text.assemble(("Error: ", "bold red"), error.message))
        if len(error.problems) > SHOWN:
            self.note(f"All {len(error.problems):,}: {self.whole_list(error.problems, '`problems` of the answer')}")
        hint = _advice(error)
        if hint:
            self.notes.print(Text.assemble(("What to do: ", "bold"), hint))
        if self.as_json and not self.answered:
            self.answer({**error.document(), "hint": hint})

    def whole_list(self, lines: Iterable[str], in_answer: str) -> str:
        """Return where the whole of a shortened list is: in the answer as JSON, else in a file written now.

        Args:
            lines: all of the list.
            in_answer: where it is with `--json`.
        """
        if self.as_json:
            return in_answer
        from workflows.errors import StorageError
        from workflows.store.reports import keep_list

        try:
            return str(keep_list(lines))
        except StorageError:  # the message is still useful without the file
            return f"{in_answer}, with --json"


def _advice(error: FieldguideError) -> str:
    """Return the hint, with the options that name columns."""
    missing = error.missing if isinstance(error, ColumnsError) else ()
    options = " ".join(f"--{name}-column NAME" for name in missing)
    return f"{error.hint} Options: {options}" if options else error.hint


def _take_stdout() -> TextIO:
    """Return the real stdout; from now on everything else that writes to it goes to stderr."""
    if Output.current is not None:
        return Output.current._stdout
    sys.stdout.flush()
    try:
        descriptor = os.dup(1)
    except OSError:  # the caller closed it
        return Path(os.devnull).open("w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")


def document_of(value: Any) -> Any:
    """Make `value` plain data for JSON: records become objects, tables lists of rows."""
    if isinstance(value, Mapping):
        return {key: document_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [document_of(item) for item in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: document_of(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return document_of(value.to_dict("records"))
    return value
