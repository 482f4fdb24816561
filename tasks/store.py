"""Files of a run: names, atomic writing, typed reading. The one place that knows where things lie."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import UserError
from tasks.schema import SCHEMA_VERSION, schema


@dataclass(frozen=True)
class RunFiles:
    """Where the files of one run lie, ``results/<run_id>/``."""

    directory: Path

    @property
    def run_id(self) -> str:
        return self.directory.name

    @property
    def record(self) -> Path:
        """``run.json``: parameters, hashes, machine, design, verdict."""
        return self.directory / "run.json"

    @property
    def report(self) -> Path:
        return self.directory / "report.md"

    @property
    def cells(self) -> Path:
        """One file for each finished cell, durable as soon as it is there."""
        return self.directory / "cells"

    @property
    def requests(self) -> Path:
        """What each worker was asked to do; a cell can be run again by hand with it."""
        return self.directory / "requests"

    @property
    def logs(self) -> Path:
        """What the workers wrote on standard error."""
        return self.directory / "logs"

    def keep_documents(self, path: Path) -> None:
        """Copy the documents beside the results, so that the run can be read without the cache."""
        if not self.table("documents").is_file():
            with replacing(self.table("documents")) as temporary:
                shutil.copyfile(path, temporary)

    def table(self, name: str) -> Path:
        return self.directory / f"{name}.parquet"

    def cell(self, cell_id: str) -> Path:
        return self.cells / f"{cell_id}.parquet"

    def failure(self, cell_id: str) -> Path:
        """Record of a cell that failed."""
        return self.cells / f"{cell_id}.failed.json"

    def plot(self, name: str) -> Path:
        return self.directory / "plots" / f"{name}.png"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place if the block ends well.

    The file is whole or not there at all, also after a crash or on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes files private; results are for reading, as far as the umask allows.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` as indented JSON, atomically. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: the file is missing or not a JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object")
    return value


def make_table(
    name: str, rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any] | None = None
) -> pa.Table:
    """Rows as a table of the declared schema; a key that the schema lacks is a mistake.

    Args:
        name: a table of :mod:`tasks.schema`.
        rows: column to value; absent columns become null.
        metadata: JSON-serializable, kept in the file under the key ``ptdq``.
    """
    rows = list(rows)
    declared = _declared(name, {key for row in rows for key in row}, metadata)
    return pa.Table.from_pylist([dict(row) for row in rows], schema=declared)


def make_table_of_columns(
    name: str, columns: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> pa.Table:
    """The same from columns: for tables of many rows, which as Python objects fill the memory.

    Args:
        name: a table of :mod:`tasks.schema`.
        columns: column to its values (an array [N], or [N, M] for a column of lists), or to one
            value that all rows share; at least one has N values. Absent columns become null.
        metadata: as for :func:`make_table`.
    """
    declared = _declared(name, set(columns), metadata)
    lengths = {len(value) for value in columns.values() if _is_column(value)}
    if len(lengths) != 1:
        raise ValueError(f"table {name}: columns of {sorted(lengths)} rows")
    (rows,) = lengths
    arrays = []
    for field in declared:
        value = columns.get(field.name)
        if not _is_column(value):
            arrays.append(pa.repeat(pa.scalar(value, field.type), rows))
        elif isinstance(value, np.ndarray) and value.ndim == 2:
            offsets = np.arange(0, value.size + 1, value.shape[1], dtype=np.int32)
            arrays.append(pa.ListArray.from_arrays(offsets, value.ravel()).cast(field.type))
        else:
            arrays.append(value if isinstance(value, pa.Array) else pa.array(value, field.type))
    return pa.Table.from_arrays(arrays, schema=declared)


def _is_column(value: Any) -> bool:
    return isinstance(value, np.ndarray | pa.Array | list)


def _declared(name: str, given: set[str], metadata: Mapping[str, Any] | None) -> pa.Schema:
    declared = schema(name)
    unknown = given - set(declared.names)
    if unknown:
        raise ValueError(f"table {name}: undeclared columns {sorted(unknown)}")
    if metadata is None:
        return declared
    return declared.with_metadata(
        {**(declared.metadata or {}), "ptdq": json.dumps(metadata, ensure_ascii=False)}
    )


def write_table(path: Path, table: pa.Table) -> None:
    """Write ``table`` as Parquet, atomically."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table of this project.

    Raises:
        UserError: missing, not Parquet, not of this project, or of a newer schema version.
    """
    try:
        # A single file: partition inference on the path would add columns.
        table = pq.ParquetFile(path).read(columns=list(columns) if columns is not None else None)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; is this a run's directory?") from error
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error
    found = (table.schema.metadata or {}).get(b"ptdq_schema")
    if found is None:
        raise UserError(f"{path}: not a table of ptdq")
    check_version(path, int(found))
    return table


def check_version(path: Path, found: int) -> None:
    """Raises UserError where ``found`` is newer than this code's schema version."""
    if found > SCHEMA_VERSION:
        raise UserError(
            f"{path}: schema version {found} is newer than this ptdq understands "
            f"({SCHEMA_VERSION}); upgrade ptdq to read it"
        )


def table_metadata(table: pa.Table) -> dict[str, Any]:
    """What :func:`make_table` was given as ``metadata``."""
    raw = (table.schema.metadata or {}).get(b"ptdq")
    return json.loads(raw) if raw is not None else {}


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-serializable value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def open_run(run: str | Path, results: Path = Path("results")) -> RunFiles:
    """The files of a run that exists, named by its directory or by its id under ``results``.

    Raises:
        UserError: there is no such run, or it is of a newer schema version.
    """
    for directory in (Path(run), results / str(run)):
        if (directory / "run.json").is_file():
            files = RunFiles(directory)
            check_version(files.record, int(read_json(files.record).get("schema_version", 0)))
            return files
    raise UserError(f"run '{run}': no run.json in {run} or {results / str(run)}")
