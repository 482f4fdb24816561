"""The record of a sharded evaluation, ``evaluation.json``: read here, and changed here only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptdq.errors import UserError
from ptdq.store.layout import ShardFiles
from ptdq.store.record import check_unused
from ptdq.store.record_file import now, read_record, with_pruning, write_record
from ptdq.store.record_model import EvaluationRecord
from ptdq.store.schema import SCHEMA_VERSION


def read(files: ShardFiles) -> EvaluationRecord:
    """The record of an evaluation.

    Raises:
        UserError: there is none, it is of a newer version, or damaged.
    """
    return read_record(EvaluationRecord, files.record)


def begin(files: ShardFiles, asked: Mapping[str, Any]) -> None:
    """Write the record; one that asks for the same is resumed.

    Args:
        files: of the evaluation.
        asked: parameters that decide the result, and the content hash of the model.

    Raises:
        UserError: the directory is used by something else.
    """
    if files.record.is_file():
        check_same(read(files).asked, asked, files.run_id)
        return
    check_unused(files.directory)
    record = EvaluationRecord(
        schema_version=SCHEMA_VERSION, run_id=files.run_id, asked=dict(asked), started_at=now()
    )
    write_record(files.record, record)


def know_documents(files: ShardFiles, digest: str) -> None:
    """The documents are in shards, in a file of this SHA-256."""
    write_record(files.record, read(files).model_copy(update={"documents_digest": digest}))


def complete(files: ShardFiles, **figures: Any) -> EvaluationRecord:
    """All shards are scored: record what they add up to, fields of :class:`EvaluationRecord`."""
    values = read(files).model_dump() | {"ended_at": now()} | figures
    record = EvaluationRecord.model_validate(values)
    write_record(files.record, record)
    return record


def mark_pruned(files: ShardFiles, freed_bytes: int, note: str) -> None:
    """The rows of the documents are dropped now; they took so many bytes."""
    write_record(files.record, with_pruning(read(files), freed_bytes, note))


def check_same(before: Mapping[str, Any], asked: Mapping[str, Any], run_id: str) -> None:
    """Raises UserError where something would be resumed with another question than it began with."""
    others = [name for name, value in asked.items() if before.get(name) != value]
    if others:
        raise UserError(
            f"run_id '{run_id}': its {', '.join(others)} was another; take another id or ask for the same"
        )
