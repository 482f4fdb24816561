"""Tables as the schema declares them: made, written, read and checked.

A file may be damaged, or be another's work: pages have checksums, the metadata has one, and types are
those of the schema, or the file is refused in one line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ptdq.errors import UserError, line_of
from ptdq.store.disk import check_regular, replacing
from ptdq.store.schema import SCHEMA_VERSION, TABLES, schema
from ptdq.text import plain

PIECE = 20_000
"""Rows that are in memory at once where a table may have millions: those of a row group."""


def make_table(
    name: str, rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any] | None = None
) -> pa.Table:
    """Rows as a table of the declared schema; a key that the schema lacks is a mistake.

    Args:
        name: a table of :mod:`ptdq.store.schema`.
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
        name: a table of :mod:`ptdq.store.schema`.
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
            lists = pa.ListArray.from_arrays(offsets, value.ravel())
            # A cast that changes nothing would import all of pyarrow's functions.
            arrays.append(lists if lists.type == field.type else lists.cast(field.type))
        else:
            stored = isinstance(value, pa.Array | pa.ChunkedArray)
            arrays.append(value if stored else pa.array(value, field.type))
    return pa.Table.from_arrays(arrays, schema=declared)


def _is_column(value: Any) -> bool:
    return isinstance(value, np.ndarray | pa.Array | pa.ChunkedArray | list)


def _declared(name: str, given: set[str], metadata: Mapping[str, Any] | None) -> pa.Schema:
    declared = schema(name)
    unknown = given - set(declared.names)
    if unknown:
        raise ValueError(f"table {name}: undeclared columns {sorted(unknown)}")
    if metadata is None:
        return declared
    text = json.dumps(metadata, ensure_ascii=False)
    own = {"ptdq": text, "ptdq_digest": _digest(text.encode())}
    return declared.with_metadata({**(declared.metadata or {}), **own})


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def write_table(path: Path, table: pa.Table) -> None:
    """Write ``table`` as Parquet, atomically."""
    with replacing(path) as temporary:
        pq.write_table(
            table, temporary, compression="zstd", write_page_checksum=True, row_group_size=PIECE
        )


@contextlib.contextmanager
def writing(path: Path, name: str) -> Iterator[Callable[[pa.Table], None]]:
    """Write a table piece by piece, atomically; gives what takes the pieces.

    Args:
        path: of the file.
        name: a table of :mod:`ptdq.store.schema`.
    """
    declared = schema(name)
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, declared, compression="zstd", write_page_checksum=True) as writer,
    ):
        # What a piece has of its own as metadata stays where it came from.
        yield lambda piece: writer.write_table(piece.replace_schema_metadata(declared.metadata))


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table of this project.

    Raises:
        UserError: missing, damaged, not of this project, or of a newer schema version.
    """
    with opened(path) as file:
        # By this thread alone: what others needed on the way stays theirs.
        return file.read(columns=list(columns) if columns is not None else None, use_threads=False)


def read_pieces(
    path: Path, columns: Sequence[str] | None = None, rows: int = PIECE
) -> Iterator[pa.Table]:
    """The same table, so many rows at a time."""
    with opened(path) as file:
        wanted = list(columns) if columns is not None else None
        for batch in file.iter_batches(rows, columns=wanted, use_threads=False):
            yield pa.Table.from_batches([batch])


def arrays_of(pieces: Iterable[pa.Table], columns: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of numbers or flags as arrays [N], from pieces of a table; null is 0."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in columns}
    for piece in pieces:
        for name, found in parts.items():
            column = piece[name]
            none = False if pa.types.is_boolean(column.type) else 0
            found.append((column.fill_null(none) if column.null_count else column).to_numpy())
    # One column after the other is let go, so that no more than one is there twice.
    return {name: np.concatenate(parts.pop(name)) for name in columns}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A table of this project, to be read in the block.

    Raises:
        UserError: as :func:`read_table`, also for what is found in the block.
    """
    try:
        check_regular(path)
        # A single file: partition inference on the path would add columns.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_declared(path, file.schema_arrow)
            yield file
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; is this a run's directory?") from error
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({line_of(error)})") from error
    finally:
        # What was needed on the way, which Arrow would keep for later, is more than what was read.
        pa.default_memory_pool().release_unused()


def _check_declared(path: Path, actual: pa.Schema) -> None:
    """Raises UserError where a file's columns are not those of a table of this project."""
    metadata = actual.metadata or {}
    table = metadata.get(b"ptdq_table", b"").decode(errors="replace")
    version = metadata.get(b"ptdq_schema", b"")
    if table not in TABLES or not version.isdigit():
        raise UserError(f"{path}: not a table of ptdq")
    check_version(path, int(version))
    declared = schema(table)
    for field in actual:
        name = plain(field.name, 40)
        if field.name not in declared.names:
            raise UserError(f"{path}: damaged, or of another version of ptdq: unknown column {name}")
        wanted = declared.field(field.name).type
        if field.type != wanted:
            raise UserError(f"{path}: damaged: column {name} is of type {field.type}, not {wanted}")


def check_version(path: Path, version: int) -> None:
    """Raises UserError where ``version`` is newer than this code's schema version."""
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path}: schema version {version} is newer than this ptdq understands "
            f"({SCHEMA_VERSION}); upgrade ptdq to read it"
        )


def table_metadata(table: pa.Table) -> dict[str, Any]:
    """What :func:`make_table` was given as ``metadata``.

    Raises:
        ValueError: it is not what was written.
    """
    metadata = table.schema.metadata or {}
    raw, digest = metadata.get(b"ptdq"), metadata.get(b"ptdq_digest")
    if raw is None:
        return {}
    if digest is not None and digest.decode(errors="replace") != _digest(raw):
        raise ValueError("the metadata of the table is damaged")
    content = json.loads(raw)
    return content if isinstance(content, dict) else {}
