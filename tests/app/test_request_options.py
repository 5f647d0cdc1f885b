"""Options of commands come from the fields of requests: nothing is stated twice, and a new field is an option at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import typer
import typer.main
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from app.cli import app
from app.request_options import Options, fields_of, flag, options_from, request_of
from workflows.errors import UsageError
from workflows.requests import PromotionRules, RetrainSettings, ScheduleRequest, TrainRequest, TuneRequest

NO_OPTION: dict[str, tuple[tuple[type[BaseModel], ...], set[str]]] = {
    "train": ((TrainRequest,), {"dataset", "version", "source"}),
    "tune": ((TuneRequest,), {"dataset", "version"}),
    "schedule add": ((ScheduleRequest, RetrainSettings), set()),
    "schedule edit": ((ScheduleRequest,), set()),
    "models retrain": ((RetrainSettings,), set()),
    "workflow recommend": (
        (TrainRequest,),
        {"dataset", "version", "source", "workflow", "allow", "trust"}
        | {"labels", "filename_column", "label_column", "split", "group_by"},
    ),
}
"""The requests of each command, and their fields that it has no option for: it has an argument instead, or no use."""
OWN = {
    "train": {"source", "dry_run", "as_json"},
    "tune": {"dataset", "resume", "worker", "show", "list_", "as_json"},
    "schedule add": {"model", "as_json"},
    "schedule edit": {"schedule", "as_json"},
    "models retrain": {"model", "as_json"},
    "workflow recommend": {"name", "output", "as_json"},
}
OWN_DEFAULTS = {
    ("schedule edit", "overlap"): None,
    ("schedule edit", "missed"): None,
    ("tune", "device"): "auto",
    ("models retrain", "device"): "auto",
    **{("workflow recommend", name): value for name, value in {"weights": "auto", "device": "auto", "seed": 0}.items()},
}
TYPED_DEFAULTS = {"split": "70/15/15"}
TEXTS = {"budget_seconds", "every_seconds"}
"""Durations, typed as 90s or 20m."""


def parameters(verb: str) -> dict[str, Any]:
    command: Any = typer.main.get_command(app)
    for name in verb.split():
        command = command.commands[name]
    return {parameter.name: parameter for parameter in command.params}


@pytest.mark.parametrize("verb", NO_OPTION)
def test_the_options_of_a_command_are_the_fields_of_its_requests(verb: str) -> None:
    models, without = NO_OPTION[verb]
    fields = {name: info for model in models for name, info in fields_of(model)}
    found = parameters(verb)
    assert set(found) - {"help"} == (set(fields) - without) | OWN[verb]
    for name in set(fields) - without:
        option, info = found[name], fields[name]
        assert option.opts == [flag(name)]
        assert option.help.startswith((info.description or "?").rstrip("."))
        default = () if option.multiple and option.default is None else option.default
        expected = TYPED_DEFAULTS.get(name, info.default) if (verb, name) not in OWN_DEFAULTS else None
        assert default == (OWN_DEFAULTS.get((verb, name), expected))
        rules = {key: getattr(rule, key) for rule in info.metadata for key in ("ge", "le") if hasattr(rule, key)}
        if name not in TEXTS:
            assert (option.min, option.max) == (rules.get("ge"), rules.get("le"))


class Inner(BaseModel):
    """Fields within a field."""

    depth: float = Field(0.5, gt=0, lt=1, description="How deep.")


class Toy(BaseModel):
    """A request as somebody may add one."""

    name: str
    way: Literal["up", "down"] = Field("up", description="Where to.")
    times: int | None = Field(None, ge=1, le=64, multiple_of=8, description="How often.")
    keys: tuple[str, ...] = Field((), description="Which ones.")
    loud: bool = Field(False, description="Loudly.")
    inner: Inner = Inner()


def toy(*arguments: str, **defaults: Any) -> tuple[int, Any]:
    """Run a command made from the toy request; return its exit code, and the options or the output."""
    found: list[Options] = []
    tool = typer.Typer()

    @tool.command()
    @options_from(Toy, without=("name",), defaults=defaults)
    def command(
        subject: Annotated[str, typer.Argument()], options: Options, more: Annotated[int, typer.Option()] = 3
    ) -> None:
        found.append({**options, "subject": subject, "more": more})

    done = CliRunner().invoke(tool, list(arguments))
    return done.exit_code, found[0] if found else done.output


def test_only_options_that_were_given_are_passed_on() -> None:
    assert toy("x") == (0, {"subject": "x", "more": 3})
    given = toy(
        "x", "--way", "up", "--times", "8", "--keys", "a", "--keys", "b", "--loud", "--depth", "0.25", "--more", "4"
    )
    assert given[1] == {
        **{"subject": "x", "more": 4, "way": "up", "times": 8, "keys": ["a", "b"], "loud": True, "depth": 0.25}
    }
    assert toy("x", way="down") == (0, {"subject": "x", "more": 3, "way": "down"})


@pytest.mark.parametrize(
    "wrong", [("--way", "left"), ("--times", "0"), ("--times", "65"), ("--depth", "much"), ("--name", "x")]
)
def test_what_a_field_does_not_allow_is_bad_usage(wrong: tuple[str, ...]) -> None:
    assert toy("x", *wrong)[0] == 2


def test_the_help_has_descriptions_and_bounds() -> None:
    _, text = toy("--help")
    words = " ".join(text.replace("│", " ").split())
    for expected in (
        "Where to.",
        "How often.",
        "1<=x<=64",
        "Which ones; repeatable.",
        "How deep; above 0 and below 1.",
    ):
        assert expected in words


def test_options_become_a_request_with_fields_in_their_place() -> None:
    assert request_of(Toy, {"times": 16, "depth": 0.25}, name="a") == Toy(name="a", times=16, inner=Inner(depth=0.25))
    assert request_of(RetrainSettings, {}).model_fields_set == set()
    assert request_of(RetrainSettings, {"margin": 0.2}).rules == PromotionRules(margin=0.2)
    assert request_of(ScheduleRequest, {"every_seconds": "20m"}).every_seconds == 1200
    assert request_of(TrainRequest, {"split": "80/10/10"}).split == (0.8, 0.1, 0.1)


@pytest.mark.parametrize(
    ("model", "options", "flag_", "hint"),
    [
        (Toy, {"times": 20}, "--times", "16 and 24"),
        (Toy, {"times": 4}, "--times", "nearest is 8"),
        (RetrainSettings, {"level": 0.7}, "--level", "--help"),
        (ScheduleRequest, {"every_seconds": "5s"}, "--every", "--help"),
        (TuneRequest, {"budget_seconds": "soon", "dataset": "x"}, "duration", "20m"),
    ],
)
def test_an_invalid_option_is_named_by_its_flag(
    model: type[BaseModel], options: Options, flag_: str, hint: str
) -> None:
    fields = {"name": "a"} if model is Toy else {"dataset": "x"} if model is TuneRequest else {}
    with pytest.raises(UsageError) as error:
        request_of(model, options, **fields)
    assert flag_ in error.value.message
    assert hint in error.value.hint
