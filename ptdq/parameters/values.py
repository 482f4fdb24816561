"""From values that a user gives, by options or a file, to validated parameters, and back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ptdq.errors import UserError
from ptdq.parameters.model import Parameters

M = TypeVar("M", bound=BaseModel)


def default_values() -> dict[str, Any]:
    """The default of each parameter that has one."""
    fields = Parameters.model_fields.items()
    return {name: field.default for name, field in fields if not field.is_required()}


def option_name(name: str) -> str:
    """A parameter's option on the command line."""
    return f"--{name.replace('_', '-')}"


def command_line(parameters: Parameters) -> str:
    """The command that asks for the same: what differs from the defaults."""
    words = ["ptdq", "run"]
    defaults = default_values()
    for name, value in parameters.model_dump().items():
        if (name in defaults and value == defaults[name]) or name == "run_id":
            continue
        if isinstance(value, list):
            words += [word for item in value for word in (option_name(name), str(item))]
        elif value is True:
            words.append(option_name(name))
        else:
            words += [option_name(name), str(value)]
    return shlex.join(words)


def make_parameters(values: Mapping[str, Any]) -> Parameters:
    """Validated parameters of the benchmark.

    Raises:
        UserError: a value is missing, unknown or wrong; names each such parameter.
    """
    return validated(Parameters, values)


def validated(kind: type[M], values: Mapping[str, Any]) -> M:
    """Validated parameters of any flow.

    Raises:
        UserError: a value is missing, unknown or wrong; names each such parameter.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]) or "parameters"
            name = re.sub(r"\.(\d+)$", r"[\1]", name)
            text = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "missing":
                text = f"is required ({option_name(name)}, or `{name}:` in the config file)"
            elif problem["type"] == "extra_forbidden":
                text = f"no such parameter; there are {', '.join(kind.model_fields)}"
            problems.append(f"{name}: {text}")
        raise UserError("; ".join(problems)) from error


def read_config(path: Path) -> dict[str, Any]:
    """Parameters from a YAML or JSON file.

    Raises:
        UserError: the file is missing, unreadable or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config file {path}: {error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"config file {path}: not valid YAML ({error})".replace("\n", " ")) from error
    if not isinstance(values, dict):
        raise UserError(f"config file {path}: expected a mapping of parameters to values")
    return {str(key).replace("-", "_"): value for key, value in values.items()}
