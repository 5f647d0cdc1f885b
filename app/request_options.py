"""Options of the command line, made from the fields of requests (:mod:`workflows.requests`).

A field's name becomes the flag, its description the help; its bounds, choices and default are the option's. A new field of
a request is an option of its commands at once.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from workflows.errors import UsageError, WeightsError

Options = dict[str, Any]
"""The options that were given on the command line, by the names of their fields."""
Command = Callable[..., Any]
Model = TypeVar("Model", bound=BaseModel)

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_shares(text: str) -> tuple[float, float, float]:
    """Read `70/15/15` as the shares of train, val and test (summing to 1). Raises UsageError."""
    parts = text.replace(",", "/").replace(":", "/").split("/")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    total = sum(numbers)
    if (
        len(numbers) != 3
        or min(numbers) < 0
        or numbers[0] == 0
        or not (abs(total - 100) < 1e-6 or abs(total - 1) < 1e-6)
    ):
        raise UsageError(
            f"--split is {text!r}, but must be three shares that add up to 100.",
            "For example: --split 70/15/15 (train/val/test).",
        )
    train, val, test = (number / total for number in numbers)
    return train, val, test


def seconds_of(text: str) -> float:
    """Read `90s`, `20m` or `1.5h` as seconds. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", text.strip().lower())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"{text!r} is not a duration.", "For example: 90s, 20m, 2h")
    return float(found[1]) * _UNITS[found[2]]


def _workflow(file: str) -> dict[str, Any]:
    from workflows.graph.workflow import load_workflow

    return load_workflow(Path(file)).model_dump(mode="json")


def _weights(choice: str) -> str:
    """Make the path of a weights file absolute, so that a run can be resumed from anywhere."""
    if choice in ("auto", "none"):
        return choice
    path = Path(choice).expanduser().resolve()
    if not path.is_file():
        raise WeightsError(
            f"The weights file {path} does not exist.", "Use --weights auto, --weights none or another file."
        )
    return str(path)


class _Text(NamedTuple):
    """How a field is typed on the command line, if it is not a plain value."""

    parse: Callable[[str], Any]
    metavar: str
    flag: str = ""
    """If it is not the field's name."""
    default: str | None = None
    examples: str = ""


_TEXTS: dict[str, _Text] = {
    "workflow": _Text(_workflow, "FILE"),
    "weights": _Text(_weights, "auto|none|FILE"),
    "labels": _Text(lambda file: str(Path(file).resolve()), "FILE"),
    "split": _Text(parse_shares, "TRAIN/VAL/TEST", default="70/15/15"),
    "budget_seconds": _Text(seconds_of, "TIME", "--budget", examples="90s, 20m or 2h"),
    "every_seconds": _Text(lambda text: round(seconds_of(text)), "TIME", "--every", examples="90s, 20m, 6h or 7d"),
}
_METAVARS = {
    "device": "auto|cpu|0|0,1",
    "group_by": "REGEX|COLUMN",
    "filename_column": "COLUMN",
    "label_column": "COLUMN",
    "allow": "FINDING",
    "cron": "LINE",
    "timezone": "ZONE",
}


def flag(name: str) -> str:
    """Return the flag of a field."""
    text = _TEXTS.get(name)
    return text.flag if text and text.flag else f"--{name.replace('_', '-')}"


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the fields of a request; those of a request within it stand for it."""
    for name, info in model.model_fields.items():
        inner = _inner(info)
        if inner is None:
            yield name, info
        else:
            yield from fields_of(inner)


def _inner(info: FieldInfo) -> type[BaseModel] | None:
    found = info.annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def option_of(model: type[BaseModel], name: str) -> Any:
    """Return the option of one field, for a parameter of a command: `Annotated[int, option_of(TrainRequest, "seed")]`."""
    return _option(name, model.model_fields[name])


def _option(name: str, info: FieldInfo) -> Any:
    text = _TEXTS.get(name)
    bounds = {} if text else _bounds(info)
    low, high = bounds.pop("ge", None), bounds.pop("le", None)
    metavar = text.metavar if text else _METAVARS.get(name)
    return typer.Option(flag(name), help=_help(name, info, bounds), metavar=metavar, min=low, max=high)


def _bounds(info: FieldInfo) -> dict[str, float]:
    names = ("ge", "le", "gt", "lt")
    return {name: getattr(rule, name) for rule in info.metadata for name in names if hasattr(rule, name)}


def _help(name: str, info: FieldInfo, open_bounds: Mapping[str, float]) -> str:
    words = (info.description or "").removesuffix(".")
    if open_bounds:  # click shows the others
        signs = {"gt": "above", "lt": "below"}
        words += f"; {' and '.join(f'{signs[sign]} {bound:g}' for sign, bound in open_bounds.items())}"
    if name in _TEXTS and _TEXTS[name].examples:
        words += f", e.g. {_TEXTS[name].examples}"
    return f"{words}; repeatable." if get_origin(info.annotation) is tuple and name not in _TEXTS else f"{words}."


def _parameter(name: str, info: FieldInfo, defaults: Mapping[str, Any], own: bool) -> inspect.Parameter:
    """Return the parameter of a command for a field."""
    kind: Any = _without_none(info.annotation)
    default = info.default
    if name in _TEXTS:
        kind, default = str, _TEXTS[name].default
    elif get_origin(kind) is tuple:
        kind, default = list[str], None
    default = defaults.get(name, default if own else None)
    kind = kind if default is not None else kind | None
    annotation: Any = Annotated[kind, _option(name, info)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return next(part for part in get_args(annotation) if part is not type(None))


def options_from(
    *models: type[BaseModel],
    only: Collection[str] = (),
    without: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
    show_defaults: bool = True,
) -> Callable[[Command], Command]:
    """Give a command an option for each field of some requests. It gets those that were given as `options`.

    Args:
        models: the requests.
        only: the fields that have an option; by default all.
        without: the fields that have none.
        defaults: of this command, instead of the fields'; these are always given.
        show_defaults: whether the help has the fields' defaults; a change of something that exists has none.
    """
    standing = dict(defaults or {})
    fields = {name: info for model in models for name, info in fields_of(model)}
    fields = {name: info for name, info in fields.items() if name not in without and (not only or name in only)}

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.values()
        made = [_parameter(name, info, standing, show_defaults) for name, info in fields.items()]
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        parts = [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in own if part.name != "options"]
        place = [part.name for part in own].index("options")

        @functools.wraps(command)
        def run(context: typer.Context, **values: Any) -> Any:
            typed = {name: values.pop(name) for name in fields}
            given = {name: value for name, value in typed.items() if name in standing or _is_given(context, name)}
            return command(options=given, **values)

        every = [context, *parts[:place], *made, *parts[place:]]
        run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        run.__annotations__ = {part.name: part.annotation for part in every}
        return run

    return decorate


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def request_of(model: type[Model], options: Options, **fields: Any) -> Model:
    """Return the request of a command: its options, and further fields.

    Raises:
        UsageError: an option is invalid; its flag is named.
        WeightsError, WorkflowError: a file that an option names can't be used.
    """
    try:
        return model.model_validate({**_values(model, options), **fields})
    except ValidationError as error:
        first = error.errors()[0]
        name = next((str(part) for part in reversed(first["loc"]) if isinstance(part, str)), "")
        raise UsageError(f"{flag(name)}: {first['msg']}.", _remedy(first)) from error


def _values(model: type[BaseModel], options: Options) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        inner = _inner(info)
        if inner is not None:
            values |= {name: found} if (found := _values(inner, options)) else {}
        elif name in options:
            values[name] = _TEXTS[name].parse(options[name]) if name in _TEXTS else options[name]
    return values


def _remedy(error: Any) -> str:
    step, given = (error.get("ctx") or {}).get("multiple_of"), error["input"]
    if not step or not isinstance(given, int):
        return "--help shows the allowed values."
    below = given // step * step
    return f"The nearest are {below} and {below + step}." if below else f"The nearest is {step}."
