"""Records read from their files and written to them; what stands in them is in ``record_model``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ptdq.errors import UserError
from ptdq.store.disk import read_json, write_json
from ptdq.store.record_model import EvaluationRecord, Pruning, Record, RunRecord
from ptdq.store.tables import check_version

R = TypeVar("R", bound=Record)
P = TypeVar("P", RunRecord, EvaluationRecord)


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_record(kind: type[R], path: Path) -> R:
    """The record in a file.

    Raises:
        UserError: there is no such file, it is of a newer schema version, or no record of this kind.
    """
    values = read_json(path)
    version = values.get("schema_version", 0)
    if isinstance(version, int):
        check_version(path, version)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{kind.what} '{path.parent.name}': {path} {_reason(error)}") from error


def write_record(path: Path, record: Record) -> None:
    """Write a record, atomically."""
    write_json(path, record.model_dump(mode="json"))


def with_pruning(record: P, freed_bytes: int, note: str) -> P:
    """The record of which the rows of the documents are dropped now; a note says so in the report."""
    earlier = 0 if record.pruned is None else record.pruned.freed_bytes
    pruned = Pruning(at=now(), freed_bytes=earlier + freed_bytes)
    notes = list(dict.fromkeys([*record.notes, note]))
    return record.model_copy(update={"pruned": pruned, "notes": notes})


def _reason(error: ValidationError) -> str:
    """The first thing that is wrong, in words."""
    problems = error.errors()
    unknown = [".".join(map(str, p["loc"])) for p in problems if p["type"] == "extra_forbidden"]
    if unknown:
        return f"was not written by this version of ptdq: it does not know '{unknown[0]}'"
    first = problems[0]
    return f"is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}"
