"""What the runs up to one say of changes of level, and of how much runs differ."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ptdq.analysis.history import Point, points
from ptdq.analysis.likeness import series
from ptdq.analysis.shifts import explained, trend
from ptdq.errors import UserError
from ptdq.statistics.change_points import LEAST
from ptdq.store.layout import RunFiles
from ptdq.store.results import as_data, started
from ptdq.store.run import load


def past(files: RunFiles) -> dict[str, Any] | None:
    """The history of a run for its record; None where fewer than six runs are like it, itself included.

    Runs that can't be read, are not complete or came later are left out.
    """
    run = load(files)
    mine, now = series(run), started(run)
    results = files.directory.parent
    found: list[Point] = []
    runs = 0
    for path in sorted(results.glob("*/run.json")):
        other = RunFiles(path.parent)
        try:
            with as_data(other):
                # Its tables are read only where its record says that it is like this one.
                seen = run if other.run_id == files.run_id else load(other)
                whole = seen.record.status == "completed" and started(seen) <= now
                if (seen is run or whole) and series(seen) == mine and other.table("cells").is_file():
                    seen.check_figures()
                    found += points([seen])
                    runs += 1
        except UserError:
            continue
    if runs < 2 * LEAST:
        return None
    together = trend(found)
    return {
        "runs": runs,
        "series": together.series,
        "shifts": [shift.as_json() for shift in explained(together.shifts, results)],
        "spreads": [asdict(spread) for spread in together.spreads],
    }
