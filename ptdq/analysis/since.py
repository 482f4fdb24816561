"""What changed since the baseline run."""

from __future__ import annotations

from typing import Any

from ptdq.analysis.compare_runs import compare_runs
from ptdq.errors import UserError
from ptdq.store import record
from ptdq.store.layout import RunFiles, open_run
from ptdq.store.results import all_runs, as_data
from ptdq.store.run import load


def change_since(files: RunFiles) -> dict[str, Any] | None:
    """What changed since the run that the record names, for ``run.json``; None where it names none.

    A run that took hours is not failed for a baseline that has gone meanwhile: the reason is in
    ``error``.
    """
    since = record.read(files).since
    if since is None:
        return None
    try:
        old = load(open_run(since, files.directory.parent))
        history, _ = all_runs(old.files.directory.parent)
        with as_data(old.files):
            return compare_runs(old, load(files), history).as_json()
    except (UserError, OSError, ValueError) as error:
        return {"old": since, "error": f"baseline: {error}; mark another (ptdq baseline RUN)"}
