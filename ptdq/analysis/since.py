"""What changed since the baseline run."""

from __future__ import annotations

from typing import Any

from ptdq.analysis.compare_runs import compare_runs
from ptdq.errors import UserError
from ptdq.store.baseline import choose
from ptdq.store.layout import RunFiles
from ptdq.store.results import as_data
from ptdq.store.run import load


def change_since(files: RunFiles, wanted: str | None) -> dict[str, Any] | None:
    """What changed since the baseline, for ``run.json``; None where there is nothing to compare with.

    A run that took hours is not failed for a baseline that has gone meanwhile: the reason is in
    ``error``.
    """
    old = None
    try:
        old = choose(files.directory.parent, wanted)
        if old is None or old.directory.resolve() == files.directory.resolve():
            return None
        with as_data(old):
            return compare_runs(load(old), load(files)).as_json()
    except (UserError, OSError, ValueError) as error:
        return {"old": old.run_id if old else str(wanted or "marked"), "error": str(error)}
