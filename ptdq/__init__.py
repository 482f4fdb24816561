"""Is the quantized text classifier faster, smaller and as good? Measured on CPU, with intervals.

The public interface::

    import ptdq

    run = ptdq.run(model="my-checkpoint", data="test.csv", variant=["fp32", "int8-dynamic"])
    run.verdict, run.comparisons, run.report
    run = ptdq.load("results/RUN")

Importing it is cheap: what needs pandas, torch or Prefect is imported when it is called.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from ptdq.errors import GateFailed, RunFailed, UserError

if TYPE_CHECKING:
    from ptdq.api import Run, analyse, extend, load, make_design, resume, run

    __version__: str

_OF_API = ("Run", "analyse", "extend", "load", "make_design", "resume", "run")

__all__ = [
    "GateFailed",
    "Run",
    "RunFailed",
    "UserError",
    "__version__",
    "analyse",
    "extend",
    "load",
    "make_design",
    "resume",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _OF_API:
        return getattr(importlib.import_module("ptdq.api"), name)
    if name == "__version__":
        return importlib.metadata.version("ptdq")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
