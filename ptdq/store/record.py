"""The record of a run, ``run.json``: read here, and changed by these functions only.

A run is begun, or resumed when it was broken off; facts are added while it goes on; then it is broken
off, or concluded and completed. What a record holds is in :mod:`ptdq.store.record_model`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptdq.errors import UserError
from ptdq.parameters import Purpose, names
from ptdq.store.disk import read_json
from ptdq.store.in_use import has_ended
from ptdq.store.layout import RunFiles
from ptdq.store.record_file import now, read_record, with_pruning, write_record
from ptdq.store.record_model import (
    BaselineChange,
    DataFacts,
    DesignPlan,
    FailedCell,
    GateRecord,
    Limits,
    MachineFacts,
    ModelFacts,
    ProcessFacts,
    RunRecord,
    Status,
    VerdictRecord,
)
from ptdq.store.schema import SCHEMA_VERSION

_TEMPORARY = re.compile(r"\..+\.(json|parquet|md|html|png)\.[a-z0-9_]{8}")


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What is known of a run before its first cell; fields as in :class:`RunRecord`."""

    parameters: Mapping[str, Any]
    command: str
    flow_run_id: str | None
    model: ModelFacts
    data: DataFacts
    calibration: str
    machine: MachineFacts
    versions: Mapping[str, str]
    git_commit: str | None
    design: DesignPlan
    skipped: Mapping[str, str]
    since: str | None = None
    not_again: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What follows from the figures of a run; fields as in :class:`RunRecord`.

    Attributes:
        notes: added to those that are there.
    """

    verdict: VerdictRecord
    gates: Sequence[GateRecord]
    failures: Sequence[FailedCell]
    notes: Sequence[str]
    baseline: BaselineChange | None


def read(files: RunFiles) -> RunRecord:
    """The record of a run.

    One that says that it is running, and whose process has ended, is read as broken off.

    Raises:
        UserError: there is none, it is of a newer version, or damaged.
    """
    record = read_record(RunRecord, files.record)
    process = record.process
    if record.status != "running" or process is None or not has_ended(files.directory, process):
        return record
    reason = f"its process (pid {process.pid} on {process.node}) ended and left no message"
    return record.model_copy(update={"status": "broken off", "broken_off": reason})


def begin(files: RunFiles, beginning: Beginning) -> RunRecord:
    """Write the record before the first cell starts.

    Raises:
        UserError: another run has taken the directory meanwhile.
    """
    check_unused(files.directory)
    files.cells.mkdir(parents=True, exist_ok=True)
    remove_temporary(files)
    record = RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id=files.run_id,
        status="running",
        started_at=now(),
        **vars(beginning),
    )
    write_record(files.record, record)
    return record


def resume(files: RunFiles, beginning: Beginning) -> RunRecord:
    """Go on with a run that was broken off, or with more rounds, and record the moment.

    Raises:
        UserError: model, data or design are not those of the run: results would be mixed.
    """
    record = read(files)
    for what, same in (
        ("model", record.model.digest == beginning.model.digest),
        ("data", record.data.digest == beginning.data.digest),
        ("design", beginning.design.begins_with(record.design)),
    ):
        if not same:
            raise UserError(
                f"resume '{files.run_id}': the {what} is no longer that of the run; start a new one"
            )
    remove_temporary(files)
    asked = {name: beginning.parameters[name] for name in names(Purpose.EXTENDS)}
    changed = any(record.parameters.get(name, asked[name]) != asked[name] for name in asked)
    return _change(
        files,
        status="running",
        process=None,
        broken_off=None,
        ended_at=None,
        resumed_at=[*record.resumed_at, now()],
        design=beginning.design,
        parameters={**record.parameters, **asked},
        command=beginning.command if changed else record.command,
    )


def grow(files: RunFiles, design: DesignPlan) -> RunRecord:
    """The run goes on with more rounds.

    Raises:
        ValueError: the design is another.
    """
    if not design.begins_with(read(files).design):
        raise ValueError("a run goes on with its own cells, and more of them")
    return _change(files, design=design)


def amend(
    files: RunFiles,
    *,
    process: ProcessFacts | None = None,
    limits: Limits | None = None,
    load_after: float | None = None,
    seconds: Mapping[str, float] | None = None,
    note: str | None = None,
    width: str | None = None,
) -> RunRecord:
    """Add facts that were measured on the way; None leaves what is there.

    Args:
        process: that works on the run.
        limits: peak rates of a core.
        load_after: load average after the last cell.
        seconds: time that each stage took, of those that have ended.
        note: a sentence for the report.
        width: why no more rounds were added.
    """
    record = read(files)
    changes: dict[str, Any] = {}
    if process is not None:
        changes["process"] = process
    if limits is not None:
        changes["limits"] = limits
    if load_after is not None:
        changes["machine"] = record.machine.model_copy(update={"load_after": load_after})
    if seconds is not None:
        changes["seconds"] = dict(seconds)
    if note is not None:
        changes["notes"] = [*record.notes, note]
    if width is not None:
        changes["width"] = width
    return _change(files, **changes)


def conclude(files: RunFiles, conclusion: Conclusion) -> RunRecord:
    """Record what follows from the figures."""
    return _change(
        files,
        verdict=conclusion.verdict,
        gates=list(conclusion.gates),
        failures=list(conclusion.failures),
        notes=list(dict.fromkeys([*read(files).notes, *conclusion.notes])),
        baseline=conclusion.baseline,
    )


def end(files: RunFiles, seconds: Mapping[str, float], broken: Exception | None = None) -> RunRecord:
    """The run has come to its report: completed, or broken off for a reason.

    Called again, it moves the end.

    Args:
        files: of the run.
        seconds: time that each stage took.
        broken: why not all of its cells were measured; None where they were.
    """
    return complete(files, seconds) if broken is None else break_off(files, str(broken), seconds)


def complete(files: RunFiles, seconds: Mapping[str, float]) -> RunRecord:
    """The run has come to its end."""
    return _end(files, "completed", None, seconds)


def break_off(files: RunFiles, reason: str, seconds: Mapping[str, float] | None = None) -> RunRecord:
    """The run has ended early, for a reason in one line."""
    return _end(files, "broken off", reason, seconds)


def mark_pruned(files: RunFiles, freed_bytes: int, note: str) -> None:
    """The rows of the documents are dropped now; they took so many bytes."""
    write_record(files.record, with_pruning(read(files), freed_bytes, note))


def _end(
    files: RunFiles, status: Status, reason: str | None, seconds: Mapping[str, float] | None
) -> RunRecord:
    taken = {} if seconds is None else {"seconds": dict(seconds)}
    return _change(files, status=status, broken_off=reason, ended_at=now(), **taken)


def _change(files: RunFiles, **fields: Any) -> RunRecord:
    """The record with other values of some fields, written."""
    record = read(files).model_copy(update=fields)
    write_record(files.record, record)
    return record


def check_target(files: RunFiles, flow_run_id: str | None, resuming: bool) -> bool:
    """Whether a run that is in the directory already is resumed; nothing is written.

    A retry of the same flow run resumes by itself, another run only when asked to.

    Raises:
        UserError: the id is used, there is nothing to resume, or the directory cannot be written.
    """
    results = files.directory.parent
    if files.record.is_file():
        if resuming or (flow_run_id is not None and read(files).flow_run_id == flow_run_id):
            return True
        raise UserError(
            f"run_id '{files.run_id}': {files.directory} exists already; take another id, "
            "or go on with it (ptdq run --resume)"
        )
    if resuming:
        raise UserError(f"resume '{files.run_id}': no run.json in {files.directory}")
    check_unused(files.directory)
    probe = results / f".ptdq-{files.run_id}"
    try:
        results.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"results_dir {results}: not writable ({error.strerror}); choose another with --results-dir"
        ) from error
    return False


def check_unused(directory: Path) -> None:
    """That a new run may have a directory: it does not exist, or its run was killed at once.

    Raises:
        UserError: it holds anything.
    """
    for path in directory.rglob("*") if directory.exists() else ():
        if path != directory / "cells" and not _TEMPORARY.fullmatch(path.name):
            raise UserError(f"run_id '{directory.name}': {directory} exists already; take another id")


def check_same(
    files: RunFiles,
    asked: Mapping[str, Any],
    defaults: Mapping[str, Any],
    machine: Mapping[str, Any],
    versions: Mapping[str, str | None],
) -> None:
    """That a run which was broken off would be resumed as it began: cells of two kinds do not compare.

    Args:
        files: of the run.
        asked: parameters that decide results.
        defaults: of parameters that the run's version did not have.
        machine: fields of :class:`MachineFacts` that must be the same.
        versions: of the packages that measure; None for one that is not installed.

    Raises:
        UserError: parameters, machine or versions are others; names them.
    """
    record = read(files)
    before = record.machine.model_dump()
    parameters = {**defaults, **record.parameters}
    changes = [
        *((name, parameters.get(name), value) for name, value in asked.items()),
        *((name, before[name], value) for name, value in machine.items()),
        *((name, record.versions.get(name), value) for name, value in versions.items()),
    ]
    texts = [f"{name} was {old}, is {new}" for name, old, new in changes if old != new]
    if texts:
        raise UserError(
            f"resume '{files.run_id}': {'; '.join(texts)}; its finished cells are kept: go on as it "
            "began, or start a new run"
        )


def failed_gates(gates: Sequence[GateRecord]) -> list[str]:
    """Texts of the gates that fail the run: none where some variant passes all of its own."""
    by_variant: dict[str, list[GateRecord]] = {}
    for gate in gates:
        by_variant.setdefault(gate.variant, []).append(gate)
    if any(all(gate.passed for gate in of_variant) for of_variant in by_variant.values()):
        return []
    return [f"gate {gate.name} failed: {gate.text}" for gate in gates if not gate.passed]


def remove_temporary(files: RunFiles) -> None:
    """Remove what :func:`ptdq.store.disk.replacing` had begun to write when the run was killed."""
    for path in files.directory.rglob(".*"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink()


def baseline_of(path: Path) -> str | None:
    """The baseline that the parameters of a run name, also where its record is of a newer version.

    Raises:
        UserError: the file is no JSON object.
    """
    parameters = read_json(path).get("parameters")
    name = parameters.get("baseline") if isinstance(parameters, dict) else None
    return name if isinstance(name, str) else None
