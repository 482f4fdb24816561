"""What the shell completes, beside names of commands and options: variants, values, files, runs.

By click's own mechanism (``_PTDQ_COMPLETE``), which asks ``ptdq`` itself at each press of the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from click import Context, Parameter
from click.shell_completion import CompletionItem

from ptdq.parameters import ALL
from ptdq.variant_names import names

Complete = Callable[[Context, Parameter, str], list[CompletionItem]]

FILES = ("model", "data", "label_map", "calibration_data")
DIRECTORIES = ("results_dir",)
DEFAULT_RESULTS = "results"


def completes(name: str, values: Iterable[str] = ()) -> Complete | None:
    """What completes the option of a parameter; None for click's own, which is nothing for text.

    Args:
        name: of the parameter.
        values: all that it takes, if they are few.
    """
    if name == "variant":
        return variants
    if name in FILES:
        return files
    if name in DIRECTORIES:
        return directories
    known = list(values)
    return (lambda context, parameter, begun: _those(known, begun)) if known else None


def variants(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Names of variants, and ``all``; those that stand there already are left out."""
    given: Any = context.params.get(parameter.name or "") or ()
    taken = {given} if isinstance(given, str) else set(given)
    return _those([name for name in (*names(), ALL) if name not in taken], begun)


def files(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Files and directories, by the shell."""
    return [CompletionItem(begun, type="file")]


def directories(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Directories, by the shell."""
    return [CompletionItem(begun, type="dir")]


def runs(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Runs of the results directory, the newest name first; or a path, by the shell."""
    if "/" in begun:
        return directories(context, parameter, begun)
    results = Path(context.params.get("results_dir") or DEFAULT_RESULTS)
    names = sorted((path.parent.name for path in results.glob("*/run.json")), reverse=True)
    return _those(names, begun)


def _those(values: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(value) for value in values if value.startswith(begun)]
