"""Options of the command line from the fields of :class:`ptdq.parameters.Parameters`."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Literal

import click

from ptdq.parameters import Parameters


def parameter_options(function: Any) -> Any:
    """Add an option for each field. Values are validated by the model alone."""
    return options_of(Parameters.model_fields)(function)


def options_of(names: Iterable[str]) -> Callable[[Any], Any]:
    """Add an option for each of these fields."""

    def decorate(function: Any) -> Any:
        for name in reversed(list(names)):
            function = _option(name)(function)
        return function

    return decorate


def _option(name: str) -> Callable[[Any], Any]:
    field = Parameters.model_fields[name]
    kind = field.annotation
    text = field.description or ""
    default = field.default
    # By identity: 0 equals False, and is a default worth telling.
    if not field.is_required() and default is not None and default is not False and default != []:
        shown = ", ".join(map(str, default)) if isinstance(default, list) else default
        text += f"  [default: {shown}]"
    option = f"--{name.replace('_', '-')}"
    settings: dict[str, Any] = {"default": None, "help": text}
    if kind is bool:
        option = f"{option}/--no-{name.replace('_', '-')}"
        if name.startswith("no_"):
            option, settings["is_flag"] = f"--{name.replace('_', '-')}", True
    else:
        settings["metavar"] = _metavar(kind)
        settings["multiple"] = typing.get_origin(kind) is list
    return click.option(option, name, **settings)


def _metavar(kind: Any) -> str:
    arguments = [a for a in typing.get_args(kind) if a is not type(None)]
    if typing.get_origin(kind) is Literal:
        return "|".join(map(str, arguments))
    if typing.get_origin(kind) in (list, types.UnionType, typing.Annotated):
        return _metavar(arguments[0])
    return {int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")


def given_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value is not None and value != ()
    }
