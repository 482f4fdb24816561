"""The record of a matrix, ``matrix.json``: read here, and changed here only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptdq.store.layout import MatrixFiles
from ptdq.store.record_file import now, read_record, write_record
from ptdq.store.record_model import MatrixRecord
from ptdq.store.schema import SCHEMA_VERSION


def read(files: MatrixFiles) -> MatrixRecord:
    """The record of a matrix.

    Raises:
        UserError: there is none, it is of a newer version, or damaged.
    """
    return read_record(MatrixRecord, files.record)


def begin(files: MatrixFiles, parameters: Mapping[str, Any]) -> None:
    """The matrix is begun, or begun again; the end of an earlier time is kept until :func:`end`."""
    record = read(files) if files.record.is_file() else MatrixRecord()
    changes = {"schema_version": SCHEMA_VERSION, "parameters": dict(parameters), "started_at": now()}
    write_record(files.record, record.model_copy(update=changes))


def end(files: MatrixFiles) -> None:
    """All runs of the matrix have ended."""
    write_record(files.record, read(files).model_copy(update={"ended_at": now()}))
