"""Options of the commands: from the fields of a model of parameters, and those that several share."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import click
from pydantic import BaseModel

from ptdq.cli.completion import completes, directories, runs
from ptdq.parameters import Parameters, option_name

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), help="YAML or JSON file of parameters."
)
RUN = click.argument("run", metavar="RUN", shell_complete=runs)
RESULTS = click.option(
    "--results-dir",
    default="results",
    show_default=True,
    shell_complete=directories,
    help="Directory of the runs.",
)
RESULTS_OR_URL = click.option(
    "--results-dir",
    default="results",
    show_default=True,
    shell_complete=directories,
    help="Directory of the runs, or an fsspec URL such as s3://bucket/results.",
)

VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Show what is logged, in the place of the progress."
)


def takes(
    names: Iterable[str], kind: type[BaseModel] = Parameters
) -> Callable[[click.Command], click.Command]:
    """Add to a command the options of these parameters, but for those that it declares itself.

    Args:
        names: fields of ``kind``, which alone validates the values.
        kind: the model of the parameters.
    """

    def add(command: click.Command) -> click.Command:
        declared = {parameter.name for parameter in command.params}
        command.params += [_option(kind, name) for name in names if name not in declared]
        return command

    return add


def _option(kind: type[BaseModel], name: str) -> click.Option:
    field = kind.model_fields[name]
    text = field.description or ""
    default = field.default
    # By identity: 0 equals False, and is a default worth telling.
    if not field.is_required() and default is not None and default is not False and default != []:
        shown = ", ".join(map(str, default)) if isinstance(default, list) else default
        text += f"  [default: {shown}]"
    option = option_name(name)
    literal = typing.get_origin(field.annotation) is Literal
    few = typing.get_args(field.annotation) if literal else ()
    settings: dict[str, Any] = {
        "default": None,
        "help": text,
        "shell_complete": completes(name, few),
    }
    if field.annotation is bool:
        if name.startswith("no_"):
            settings["is_flag"] = True
        else:
            option = f"{option}/--no-{name.replace('_', '-')}"
    else:
        settings["metavar"] = _metavar(field.annotation)
        settings["multiple"] = typing.get_origin(field.annotation) is list
    return click.Option([option, name], **settings)


def _metavar(kind: Any) -> str:
    arguments = [a for a in typing.get_args(kind) if a is not type(None)]
    if typing.get_origin(kind) is Literal:
        return "|".join(map(str, arguments))
    if typing.get_origin(kind) in (list, types.UnionType, typing.Union, typing.Annotated):
        return _metavar(arguments[0])
    return {int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")


def given_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value is not None and value != ()
    }
