"""The run that later ones are compared with: ``baseline.json`` in the results directory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ptdq.errors import UserError
from ptdq.store import record
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles, open_run
from ptdq.store.schema import SCHEMA_VERSION
from ptdq.store.tables import check_version

NONE = "none"
"""As parameter: no comparison, whatever is marked."""


def _path(results: Path) -> Path:
    return results / "baseline.json"


def mark(results: Path, run: str) -> RunFiles:
    """Make a run of this directory the baseline of those to come.

    Raises:
        UserError: no such run, it lies elsewhere, is not complete, or was pruned.
    """
    files = open_run(run, results)
    if files.directory.resolve().parent != results.resolve():
        raise UserError(f"run '{run}': {files.directory} is not in {results}; give its --results-dir")
    status = record.read(files).status
    if status != "completed":
        raise UserError(f"run '{files.run_id}' is not complete (status: {status}); mark one that is")
    if not files.table("predictions").is_file():
        raise UserError(f"run '{files.run_id}' was pruned; mark one that has its predictions")
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    value = {"schema_version": SCHEMA_VERSION, "run_id": files.run_id, "marked_at": moment}
    write_json(_path(results), value)
    return files


def marked(results: Path) -> str | None:
    """Id of the run that is marked; None without one.

    Raises:
        UserError: the file cannot be read.
    """
    path = _path(results)
    if not path.is_file():
        return None
    content = read_json(path)
    version, run_id = content.get("schema_version", 0), content.get("run_id")
    if isinstance(version, int):
        check_version(path, version)
    if not isinstance(version, int) or not isinstance(run_id, str):
        raise UserError(f"{path}: names no run; mark one again (ptdq baseline RUN)")
    return run_id


def choose(results: Path, wanted: str | None) -> RunFiles | None:
    """The run to compare with.

    Args:
        results: results directory.
        wanted: id or directory of a run, ``none``, or None for the one that is marked.

    Raises:
        UserError: there is no such run.
    """
    if wanted == NONE:
        return None
    name = wanted or marked(results)
    if name is None:
        return None
    try:
        return open_run(name, results)
    except UserError as error:
        if wanted is not None:
            raise UserError(f"baseline: {error}") from error
        raise UserError(
            f"baseline: {error}; mark another (ptdq baseline RUN), or remove {_path(results)}"
        ) from error
