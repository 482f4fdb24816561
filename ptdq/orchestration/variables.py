"""Variables of Prefect: the baseline run of a model, by the name of a variable.

``baseline: variable:NAME`` (``ptdq run --baseline variable:NAME``) is the run that the variable names, by
its directory. ``ptdq baseline RUN --variable NAME`` sets it.
"""

from __future__ import annotations

import re
from typing import Any

from prefect.settings import PREFECT_API_URL
from prefect.variables import Variable

from ptdq.errors import UserError
from ptdq.store import baseline
from ptdq.store.layout import RunFiles

KIND = "variable"


def offer() -> None:
    """Have baselines that are named ``variable:NAME`` looked up here."""
    baseline.LOOK_UP[KIND] = read


def read(name: str) -> str:
    """The run that a variable names.

    Raises:
        UserError: there is no such variable, it names no run, or no server is set that keeps variables.
    """
    _check(name)
    get: Any = Variable.get
    value: object = get(name, _sync=True)
    if not isinstance(value, str) or not value:
        raise UserError(
            f"variable {name}: the server has none of that name, or it is no text; set it with "
            f"ptdq baseline RUN --variable {name}"
        )
    return value


def write(name: str, files: RunFiles) -> None:
    """Have a variable name a run, by its directory.

    Raises:
        UserError: as :func:`read`.
    """
    _check(name)
    Variable.set(name, str(files.directory.resolve()), overwrite=True, _sync=True)  # type: ignore[call-arg]


def _check(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise UserError(f"variable '{name}': use lower-case letters, digits and underscores")
    if not PREFECT_API_URL.value():
        raise UserError(f"variable {name}: variables are kept by a Prefect server; set PREFECT_API_URL")
