"""Retention: the rows of documents of old runs go, their summaries stay.

Kept: ``run.json``, ``summary.json``, the report with its plots, the tables of cells, classes, variants,
comparisons, buckets and interference, requests and logs. Dropped: predictions, control, documents, and
the cells' own files. ``ptdq show``, ``report``, ``history`` and ``compare`` go on working; what needs
the rows of documents is missing from them, and compare says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.baseline import marked
from tasks.errors import UserError
from tasks.report.run import Run, load
from tasks.store import RunFiles, read_json, write_json

_TABLES = ("predictions", "control", "documents")


@dataclass(frozen=True)
class Pruned:
    """What became of one run.

    Attributes:
        run_id: the run.
        freed: bytes that were freed, or would be.
        kept: why nothing was dropped; None where something was.
    """

    run_id: str
    freed: int
    kept: str | None = None


def prune(
    results: Path, older_than: timedelta, *, dry_run: bool = False, now: datetime | None = None
) -> list[Pruned]:
    """Drop the rows of documents of runs that ended longer ago than that.

    Each file is there or not, and the record says that the run was pruned before the first one goes;
    pruning that was broken off is finished by the next.

    Args:
        results: results directory.
        older_than: age from which rows are dropped.
        dry_run: only say what would be.
        now: the present.

    Returns:
        The runs that have something to drop, oldest first.

    Raises:
        UserError: no such directory; or the baseline cannot be read, which would put it at risk.
    """
    if not results.is_dir():
        raise UserError(f"results_dir {results}: no such directory")
    before = (now or datetime.now(UTC)) - older_than
    baseline = marked(results)
    found = []
    for directory in sorted(path.parent for path in results.glob("*/run.json")):
        files = RunFiles(directory)
        droppable = list(_droppable(files))
        if not droppable:
            continue
        size = sum(_size(path) for path in droppable)
        try:
            reason = _keep(load(files), baseline, before)
        except UserError as error:
            reason = str(error)
        if reason is None and not dry_run:
            _drop(files, droppable, size)
        found.append(Pruned(files.run_id, 0 if reason else size, reason))
    return found


def _keep(run: Run, baseline: str | None, before: datetime) -> str | None:
    """Why a run keeps its rows; None where it does not."""
    if run.files.run_id == baseline:
        return "it is the baseline"
    if run.get("status") != "completed" and not run.get("pruned"):
        return f"it is not complete (status: {run.get('status')}): its cells are all that it has"
    ended = run.get("ended_at", default="")
    try:
        moment = datetime.fromisoformat(ended)
    except ValueError:
        return f"when it ended is not known ('{ended}')"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return None if moment < before else "it is younger"


def _droppable(files: RunFiles) -> Iterator[Path]:
    for name in _TABLES:
        if files.table(name).is_file():
            yield files.table(name)
    # The second is what a pruning that was broken off has left.
    for directory in (files.cells, _condemned(files)):
        if directory.is_dir():
            yield directory


def _condemned(files: RunFiles) -> Path:
    return files.directory / ".cells-pruned"


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())


def _drop(files: RunFiles, droppable: list[Path], size: int) -> None:
    record = read_json(files.record)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    earlier = (record.get("pruned") or {}).get("freed_bytes", 0)
    record["pruned"] = {"at": moment, "freed_bytes": earlier + size}
    note = "the rows of its documents were pruned: a report built since lacks what needs them"
    record["notes"] = list(dict.fromkeys([*(record.get("notes") or []), note]))
    write_json(files.record, record)
    for path in droppable:
        if path == files.cells:
            # Out of sight in one step, whatever happens while its files go one by one.
            shutil.rmtree(_condemned(files), ignore_errors=True)
            path = path.rename(_condemned(files))
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
