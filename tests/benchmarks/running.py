"""A run of the flow as a program makes one, for the benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ptdq
from ptdq.store.layout import RunFiles


def measured(**parameters: Any) -> RunFiles:
    """The files of a run of its own; that a cell failed is said, and what was measured counts.

    Raises:
        RunFailed: there is no report.
    """
    try:
        return RunFiles(ptdq.run(**parameters).directory)
    except ptdq.RunFailed as error:
        if error.directory is None:
            raise
        print(error, file=sys.stderr)
        return RunFiles(Path(error.directory))
