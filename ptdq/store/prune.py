"""Retention: the rows of documents of old runs go, their summaries stay.

Kept: ``run.json``, ``summary.json``, the report with its plots, the tables of cells, classes, variants,
comparisons, buckets and interference, requests and logs. Dropped: predictions, control, documents, and
the cells' own files; of a sharded evaluation, documents and shards. ``ptdq show``, ``report``,
``history`` and ``compare`` go on working; what needs the rows of documents is missing from them, and
compare says so. The runs of a matrix are runs like others.

A run that was broken off has nothing but its cells: they go once nothing was written in it for as long,
and for a day at least, since it may still run on another machine that sees the directory.

The cache is another matter (:func:`drop_unused`): what no run has used for as long is made anew when one
needs it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ptdq.errors import UserError
from ptdq.store import evaluation_record, record
from ptdq.store.baseline import NONE, marked
from ptdq.store.cache import CONTENT, cache_root
from ptdq.store.layout import MatrixFiles, RunFiles, ShardFiles
from ptdq.store.record_model import EvaluationRecord, RunRecord
from ptdq.store.results import as_data

_TABLES = ("predictions", "control", "documents")
_LEAST = timedelta(days=1)
"""Age at which a run that has not ended is taken to be broken off, and the cache to be unused."""


@dataclass(frozen=True)
class Pruned:
    """What became of one run, or of one entry of the cache.

    Attributes:
        run_id: the run, by its path in the results directory; or the entry, by its path in the cache.
        freed: bytes that were freed, or would be.
        kept: why nothing was dropped; None where something was.
    """

    run_id: str
    freed: int
    kept: str | None = None


def prune(
    results: Path, older_than: timedelta, *, dry_run: bool = False, now: datetime | None = None
) -> list[Pruned]:
    """Drop the rows of documents of runs and evaluations that ended longer ago than that.

    Each file is there or not, and the record says that the run was pruned before the first one goes;
    pruning that was broken off is finished by the next. Runs that are a baseline keep their rows: the one
    that is marked, and those that the parameters of any run name.

    Args:
        results: results directory.
        older_than: age from which rows are dropped.
        dry_run: only say what would be.
        now: the present.

    Returns:
        The runs that have something to drop, in the order of their names; then the evaluations.

    Raises:
        UserError: no such directory; or the baseline cannot be read, which would put it at risk.
    """
    if not results.is_dir():
        raise UserError(f"results_dir {results}: no such directory")
    now = now or datetime.now(UTC)
    matrices = [MatrixFiles(path.parent).runs for path in sorted(results.glob("*/matrix.json"))]
    places = [results, *(path for path in matrices if not _through_link(path, results))]
    baselines = {directory: why for place in places for directory, why in _baselines(place).items()}
    runs = [RunFiles(path.parent) for place in places for path in sorted(place.glob("*/run.json"))]
    evaluations = [ShardFiles(path.parent) for path in sorted(results.glob("*/evaluation.json"))]
    all_files: list[RunFiles | ShardFiles] = [*runs, *evaluations]
    removals = []
    for files in all_files:
        name = str(files.directory.relative_to(results))
        try:
            droppable = list(_droppable(files))
            if not droppable:
                continue
            size = sum(_size(path) for path in droppable)
            links = [path for path in droppable if _through_link(path, results)]
            reason = f"{links[0].relative_to(results)} is a link, or in one" if links else None
            reason = reason or baselines.get(files.directory.resolve())
            with as_data(files):
                reason = reason or _keep(_read(files), files.directory, older_than, now)
                if reason is None and not dry_run:
                    _drop(files, droppable, size)
        except (UserError, OSError) as error:
            size, reason = 0, str(error)
        removals.append(Pruned(name, 0 if reason else size, reason))
    return removals


def _through_link(path: Path, results: Path) -> bool:
    """Whether a file of a run is reached through a link: what it leads to is not for pruning."""
    parts = path.relative_to(results).parts
    return any(results.joinpath(*parts[: end + 1]).is_symlink() for end in range(len(parts)))


def drop_unused(
    older_than: timedelta, *, dry_run: bool = False, now: datetime | None = None
) -> list[Pruned]:
    """Drop what no run has used for so long, and for a day at least, from the cache.

    Call it where no run can be using one: :func:`ptdq.host.cleaning.prune_cache` does.
    """
    before = (now or datetime.now(UTC)) - max(older_than, _LEAST)
    dropped = []
    for path in sorted(path for kind in CONTENT for path in (cache_root() / kind).glob("*")):
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
            dropped.append(Pruned(str(path.relative_to(cache_root())), _size(path)))
            if not dry_run:
                _remove(path)
    return dropped


def _baselines(results: Path) -> dict[Path, str]:
    """Directories of the runs that others are compared with, and why each is kept."""
    marks = {}
    for path in results.glob("*/run.json"):
        try:
            name = record.baseline_of(path)
        except UserError:
            continue  # it says so itself
        if name is not None and name != NONE:
            for directory in (results / name, Path(name)):
                marks[directory.resolve()] = f"it is the baseline of {path.parent.name}"
    name = marked(results)
    return marks if name is None else marks | {(results / name).resolve(): "it is the baseline"}


def _read(files: RunFiles | ShardFiles) -> RunRecord | EvaluationRecord:
    return evaluation_record.read(files) if isinstance(files, ShardFiles) else record.read(files)


def _keep(
    record: RunRecord | EvaluationRecord, directory: Path, older_than: timedelta, now: datetime
) -> str | None:
    """Why a run keeps its rows; None where it does not."""
    ended = record.ended_at or ""
    status = record.status if isinstance(record, RunRecord) else None
    status = status or ("completed" if ended else "running")  # an evaluation has none
    if status != "completed":
        written = (path.stat().st_mtime for path in directory.rglob("*") if path.is_file())
        last = max(written, default=now.timestamp())
        if datetime.fromtimestamp(last, UTC) < now - max(older_than, _LEAST):
            return None
        return f"it is not complete (status: {status}), and was written to since"
    try:
        moment = datetime.fromisoformat(ended)
    except ValueError:
        return f"when it ended is not known ('{ended}')"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return None if moment < now - older_than else "it is younger"


def _droppable(files: RunFiles | ShardFiles) -> Iterator[Path]:
    if isinstance(files, ShardFiles):
        paths: Iterable[Path] = (files.documents, files.shards)
    else:
        paths = (*map(files.table, _TABLES), files.cells)
    for path in paths:
        # The second is what a pruning that was broken off has left.
        yield from (candidate for candidate in (path, _condemned(path)) if candidate.exists())


def _condemned(path: Path) -> Path:
    return path.with_name(f".{path.name}-pruned")


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())


def _drop(files: RunFiles | ShardFiles, droppable: list[Path], size: int) -> None:
    if _read(files).ended_at:
        note = "the rows of its documents were pruned: a report built since lacks what needs them"
    else:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        note = f"it was broken off, and the cells that it had finished were pruned on {today}"
    if isinstance(files, ShardFiles):
        evaluation_record.mark_pruned(files, size, note)
    else:
        record.mark_pruned(files, size, note)
    for path in droppable:
        _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, or a directory: out of sight in one step, whatever happens while its files go."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
    elif path.name.endswith("-pruned"):
        shutil.rmtree(path)
    else:
        shutil.rmtree(_condemned(path), ignore_errors=True)
        shutil.rmtree(path.rename(_condemned(path)))
