"""All runs of a results directory: one Parquet data set, read as it lies, also from elsewhere.

``results/*/cells.parquet`` (or any other table) is what pandas, DuckDB and Spark take; every row has
its ``run_id``, and all files of a table have the same columns::

    pandas.read_parquet(list(Path("results").glob("*/cells.parquet")))
    select * from 'results/*/cells.parquet'                         -- DuckDB
    spark.read.parquet("results/*/cells.parquet")

``ptdq history`` and ``ptdq compare`` also take an fsspec URL (``s3://bucket/results``): the files that
they need are copied to a temporary directory first. Writing is another matter: runs, reports,
baselines and pruning need a local path, since an object store has no atomic rename; with the parameter
``publish_to`` a finished run is copied to a URL (:mod:`ptdq.store.published`).
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ptdq.errors import RunFailed, UserError, disk_full, line_of
from ptdq.store.layout import RunFiles, ShardFiles, open_run
from ptdq.store.run import Run, load
from ptdq.text import plain

SUMMARIES = ("cells", "classes", "variants", "comparisons", "buckets", "interference")
"""Tables that are kept when a run is pruned; all small."""

DETAILS = ("predictions", "documents")
"""Tables with a row for each document."""


def is_url(results: str | Path) -> bool:
    """Whether it names a file system other than the local one."""
    return "://" in str(results)


def local(results: str | Path) -> Path:
    """The path of a results directory that will be written to.

    Raises:
        UserError: it is a URL.
    """
    if is_url(results):
        raise UserError(
            f"results_dir {results}: only history and compare read a URL; this needs a local path"
        )
    return Path(results)


@contextlib.contextmanager
def readable(results: str | Path, detailed: Sequence[str] = ()) -> Iterator[Path]:
    """The results directory itself, or a temporary copy of what is needed from a URL.

    Args:
        results: a path, or an fsspec URL.
        detailed: ids of runs of which the rows of the documents are needed as well.

    Raises:
        UserError: there is no such directory, or no driver for the URL.
    """
    if not is_url(results):
        if not Path(results).is_dir():
            raise UserError(f"results_dir {results}: no such directory")
        yield Path(results)
        return
    scratch = tempfile.mkdtemp(prefix="ptdq-results-")
    try:
        _copy(str(results), Path(scratch), detailed)
        yield Path(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy(url: str, target: Path, detailed: Sequence[str]) -> None:
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(url)
        # Listings of object stores are cached, and runs come in all the time.
        system.invalidate_cache()
        entries = [entry for entry in system.ls(root, detail=True) if entry["type"] == "directory"]
        names = {entry["name"].rstrip("/").rpartition("/")[2]: entry["name"] for entry in entries}
        for name in names:
            tables = [*SUMMARIES, *(DETAILS if name in detailed else ())]
            wanted = ["run.json", *(f"{table}.parquet" for table in tables)]
            present = {
                listed.rpartition("/")[2]: listed for listed in system.ls(names[name], detail=False)
            }
            if "run.json" not in present:
                continue
            (target / name).mkdir()
            for file in wanted:
                if file in present:
                    system.get_file(present[file], str(target / name / file))
    except ImportError as error:
        raise UserError(f"results_dir {url}: {error}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"results_dir {url}: {error or type(error).__name__}") from error


def open_runs(
    results: str | Path, names: Sequence[str]
) -> contextlib.AbstractContextManager[list[RunFiles]]:
    """Runs with the rows of their documents, by id in ``results`` or (on this machine) by directory.

    The summaries of the other runs lie beside them.
    """
    return _open_runs(results, names)


@contextlib.contextmanager
def _open_runs(results: str | Path, names: Sequence[str]) -> Iterator[list[RunFiles]]:
    if not is_url(results):
        yield [open_run(name, Path(results)) for name in names]
        return
    with readable(results, detailed=names) as copy:
        for name in names:
            if not (copy / name / "run.json").is_file():
                raise UserError(f"run '{name}': no run.json in {str(results).rstrip('/')}/{name}")
        yield [open_run(copy / name) for name in names]


@contextlib.contextmanager
def as_data(*runs: RunFiles | ShardFiles) -> Iterator[None]:
    """In the block runs are read, which may be anybody's: whatever is wrong with one is one line.

    Types and checksums are checked where files are read; this is for what they leave, as values that
    contradict each other.

    Raises:
        UserError: a run is not what ptdq writes; names it.
    """
    try:
        yield
    except (UserError, RunFailed):
        raise
    except Exception as error:
        if isinstance(error, OSError) and disk_full(error) is not None:
            raise
        names = " or ".join(f"'{run.run_id}'" for run in runs)
        raise UserError(
            f"run {names}: damaged, or not written by ptdq ({plain(line_of(error), 200)})"
        ) from error


def all_runs(results: Path) -> tuple[list[Run], list[str]]:
    """Runs with figures, oldest first, and why others were left out; the small tables are read."""
    runs: list[Run] = []
    left_out: list[str] = []
    for directory in sorted(path.parent for path in results.glob("*/run.json")):
        files = RunFiles(directory)
        try:
            with as_data(files):
                run = load(files)
                if run.files.table("cells").exists():
                    run.check_figures()
                    runs.append(run)
                    continue
        except UserError as error:
            left_out.append(str(error))
            continue
        status = run.record.status or "no status"
        left_out.append(f"{directory.name}: it has not come to its figures ({status})")
    return sorted(runs, key=started), left_out


def started(run: Run) -> str:
    """When a run started, ISO 8601; sorts by time."""
    return run.record.started_at or ""
