"""``summary.json``: the answer of a run for programs that know neither Parquet nor Prefect.

Its fields are declared here; ``python -m ptdq.report.summary`` writes them as JSON Schema (draft 2020-12)
to ``summary.schema.json`` beside this file. ``version`` changes when a field goes or changes its meaning;
new fields may come at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from ptdq.analysis import tables
from ptdq.parameters.json_schema import Untitled
from ptdq.store.disk import write_json, write_text
from ptdq.store.layout import RunFiles
from ptdq.store.rows import BestRow, ComparisonRow, FirstCallRow, MeasureRow, VariantRow
from ptdq.store.run import Run, load
from ptdq.store.schema import columns

VERSION: Literal[1] = 1
SCHEMA_FILE = Path(__file__).with_name("summary.schema.json")

Decision = Literal["ship", "don't ship", "can't tell"]


class Part(BaseModel):
    """An object of the summary; what it is made from may say more than it."""

    model_config = ConfigDict(extra="ignore")


def part_of(name: str, text: str, rows: type, leave_out: Iterable[str] = ()) -> type[Part]:
    """An object with the columns of a table, but for some."""
    fields: dict[str, Any] = {
        column: (kind, Field(description=meaning))
        for column, (kind, *_, meaning) in columns(rows).items()
        if column not in leave_out
    }
    return create_model(name, __base__=Part, __doc__=text, **fields)


class VerdictPart(Part):
    """the answer"""

    decision: Decision = Field(description="the answer")
    variant: str | None = Field(None, description="the variant that it is about")
    headline: str = Field(description="one sentence with the figures")
    reasons: list[str] = Field(description="why, one sentence each")
    conditions: str | None = Field(
        None, description="how calm the machine was: calm, disturbed or unusable"
    )


class GatePart(Part):
    """one gate"""

    name: str = Field(description="parameter that set it")
    variant: str = Field(description="variant it was applied to")
    threshold: float = Field(description="what was asked for")
    value: float | None = Field(None, description="what was measured, worst over the lengths")
    bound: float | None = Field(None, description="end of the 95 % interval that decides")
    passed: bool | None = Field(None, description="whether the bound meets the threshold")
    text: str | None = Field(None, description="in words")


class ModelPart(Part):
    """what was measured"""

    name: str | None = Field(None, description="as it was asked for")
    revision: str | None = Field(None, description="commit on the hub")
    digest: str | None = Field(None, description="SHA-256 of its content")
    architecture: str | None = Field(None, description="class of the model")
    parameters: int | None = Field(None, description="number of parameters")
    random_weights: bool | None = Field(None, description="then quality is not claimed")
    task: str | None = Field(None, description="what it was measured at")


class DataPart(Part):
    """what it was measured on"""

    path: str | None = Field(None, description="as it was asked for")
    digest: str | None = Field(None, description="SHA-256 of the documents and labels")
    documents: int | None = Field(None, description="documents in the run")
    pairs: bool | None = Field(None, description="whether each is a pair of texts")
    queries: int | None = Field(None, description="queries whose candidates they are")
    sampled_from: int | None = Field(
        None, description="documents in the file, where the run took a sample"
    )
    synthetic: bool | None = Field(None, description="whether the text was generated")


class MachinePart(Part):
    """where it was measured"""

    cpu: str | None = Field(None, description="model of the CPU")
    flags: list[str] | None = Field(None, description="its instruction sets")
    memory_bytes: int | None = Field(None, description="memory")
    system: str | None = Field(None, description="operating system")
    architecture: str | None = Field(None, description="such as x86_64")
    node: str | None = Field(None, description="host name")
    cores: int = Field(description="cores that the run could use")
    cores_used: int = Field(description="cores that it used")


VariantPart = part_of(
    "VariantPart", "one variant", VariantRow,
    ("run_id", "converted", "kept_float", "prepare_seconds", "cached", "details"),
)  # fmt: skip
FigurePart = part_of("FigurePart", "one variant at one length", tables.FigureRow)
ComparisonPart = part_of(
    "ComparisonPart", "one variant against the baseline variant at one length", ComparisonRow,
    ("run_id", "class_changes", "round_speedups"),
)  # fmt: skip

MeasurePart = part_of(
    "MeasurePart", "one variant at one length by one measure of the task", MeasureRow, ("run_id",)
)
BestPart = part_of(
    "BestPart", "a variant that can't be told from the best at a length", BestRow, ("run_id",)
)
FirstCallPart = part_of(
    "FirstCallPart", "what the first call of an input length costs", FirstCallRow, ("run_id",)
)


class ChangePart(Part):
    """one variant at one length"""

    variant: str = Field(description="name")
    max_length: int = Field(description="maximum length")
    how: str | None = Field(
        None,
        description="measured again: the old artifact ran within this run; between runs: by the "
        "speed-ups over the runs' own baseline variants; null: times are not compared",
    )
    speedup: float | None = Field(
        None,
        description="old over new time per document, or new over old speed-up; above 1 the new is faster",
    )
    speedup_low: float | None = Field(None, description="lower end of its 95 % interval")
    speedup_high: float | None = Field(None, description="upper end of its 95 % interval")
    latency_verdict: str | None = Field(
        None, description="faster, slower, the same or can't tell, of the time per document"
    )
    f1_difference: float | None = Field(
        None, description="weighted F1, new minus old, on the common documents"
    )
    mcnemar_p: float | None = Field(None, description="exact, Holm-corrected over the comparison")
    measure: str | None = Field(None, description="the main measure of the task, in words")
    main_difference: float | None = Field(None, description="of it, new minus old, likewise")
    main_difference_low: float | None = Field(None, description="lower end of its 95 % interval")
    main_difference_high: float | None = Field(None, description="upper end of its 95 % interval")
    main_p: float | None = Field(
        None, description="where documents have no class: by the paired bootstrap, corrected likewise"
    )
    quality_verdict: str | None = Field(
        None, description="better, worse, or no detectable difference, by mcnemar_p or main_p"
    )


class SincePart(Part):
    """change since an earlier run"""

    run_id: str | None = Field(None, description="the earlier run")
    error: str | None = Field(None, description="why it could not be compared")
    timings_refused: str | None = Field(None, description="why timings were not compared")
    regressions: list[str] = Field([], description="what became worse, one sentence each")
    changes: list[ChangePart] = Field([], description="what changed")


class ShiftPart(Part):
    """a change of level over the runs"""

    variant: str = Field(description="name of the variant")
    max_length: int = Field(description="largest number of tokens")
    measure: str = Field(
        description="time per document (its speed-up over the own baseline variant), or weighted F1"
    )
    run_id: str = Field(description="first run after the change")
    started_at: str = Field(description="when that run started, ISO 8601")
    before: float = Field(description="median in the runs before it")
    after: float = Field(description="median in the runs from there on")
    runs_before: int = Field(description="number of these runs before it")
    runs_after: int = Field(description="number of these runs from there on")
    p_value: float = Field(description="of no further change, by permutation")
    worse: bool = Field(description="whether the figure went down")


class HistoryPart(Part):
    """what the runs like this one say together"""

    runs: int = Field(description="how many there are, this one included")
    changes: list[ShiftPart] = Field(description="changes of level, oldest first")


class CellsPart(Part):
    """counts"""

    finished: int = Field(description="cells with figures")
    failed: int = Field(description="cells without")
    flagged: int = Field(description="finished cells in which something was out of line")


class Summary(Part):
    """results/<run_id>/summary.json. Version 1; fields may be added without a new version. Null: not
    known, or not claimed. Units are in the names."""

    format: Literal["ptdq-summary"] = Field("ptdq-summary", description="what this file is")
    version: Literal[1] = Field(VERSION, description="of its fields")
    run_id: str = Field(description="name of the run and of its directory")
    status: str | None = Field(
        description="completed, running, or broken off; of a run killed on another machine, running"
    )
    started_at: str | None = Field(description="ISO 8601, UTC")
    ended_at: str | None = Field(description="ISO 8601, UTC")
    command: str | None = Field(description="command line that asks for the same")
    git_commit: str | None = Field(description="commit of ptdq, with -dirty where files differed")
    verdict: VerdictPart | None = Field(description="the answer; null before the run has one")
    gates: list[GatePart] = Field(description="thresholds that were set")
    model: ModelPart = Field(description="what was measured")
    data: DataPart = Field(description="what it was measured on")
    machine: MachinePart = Field(description="where it was measured")
    isolation: str | None = Field(
        description="parallel: a cell on every core at a time; solo: one on the whole machine"
    )
    versions: dict[str, str] = Field(description="package to version")
    variants: list[VariantPart] = Field(  # type: ignore[valid-type]
        description="what was prepared, the baseline variant first"
    )
    figures: list[FigurePart] = Field(  # type: ignore[valid-type]
        description="latency, quality and size"
    )
    comparisons: list[ComparisonPart] = Field(  # type: ignore[valid-type]
        description="what the verdict rests on"
    )
    measures: list[MeasurePart] = Field(  # type: ignore[valid-type]
        description="quality at a task other than one class, by each of its measures"
    )
    best: list[BestPart] = Field(  # type: ignore[valid-type]
        description="variants that can't be told from the best, by each measure"
    )
    first_calls: list[FirstCallPart] = Field(  # type: ignore[valid-type]
        description="what first calls cost, which no other figure holds"
    )
    since: SincePart | None = Field(
        description="change since the run marked by `ptdq baseline`; null without one"
    )
    history: HistoryPart | None = Field(
        description="changes of level over the runs like this one; null where there are too few"
    )
    cells: CellsPart = Field(description="counts")
    notes: list[str] = Field(description="what else a reader should know")


def summary_path(files: RunFiles) -> Path:
    """Where the summary of a run lies."""
    return files.directory / "summary.json"


def summary_schema() -> dict[str, Any]:
    """The JSON schema of the summary."""
    made = Summary.model_json_schema(mode="serialization", schema_generator=Untitled)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ptdq:summary:{VERSION}",
        **made,
        "title": "Summary of a ptdq run",
    }


def write_summary(files: RunFiles) -> Path:
    """Write ``summary.json`` from the run's tables and record.

    Raises:
        UserError: there is no ``run.json``, or a file is of a newer schema version.
    """
    write_json(summary_path(files), summarize(load(files)))
    return summary_path(files)


def summarize(run: Run) -> dict[str, Any]:
    """The summary of a run; None where something is not known or not claimed."""
    machine = run.get("machine", default={})
    unclaimed = {} if run.quality else {"f1_weighted": None, "accuracy": None}
    since = run.get("baseline")
    summary = Summary.model_validate(
        {
            "run_id": run.files.run_id,
            **{
                name: run.get(name)
                for name in ("status", "started_at", "ended_at", "command", "git_commit")
            },
            "verdict": run.get("verdict") or None,
            "gates": run.get("gates", default=[]),
            "model": run.get("model", default={}),
            "data": run.get("data", default={}),
            "machine": {
                **machine,
                "cores": len(machine.get("cores_usable") or []),
                "cores_used": len(machine.get("cores") or []),
            },
            "isolation": run.get("design", "isolation"),
            "versions": run.get("versions", default={}),
            "variants": sorted(run.rows(VariantRow), key=lambda row: run.variants.index(row["variant"])),
            "figures": [{"main": None, **row, **unclaimed} for row in tables.figures(run)],
            "measures": run.rows(MeasureRow),
            "comparisons": tables.against_baseline(run),
            "best": run.rows(BestRow),
            "first_calls": run.rows(FirstCallRow),
            "since": _since(since) if since else None,
            "history": _history(run),
            "cells": {
                "finished": len(run.finished),
                "failed": len(run.failed),
                "flagged": sum(bool(cell["flags"]) for cell in run.finished),
            },
            "notes": run.get("notes", default=[]),
        }
    )
    return summary.model_dump(mode="json")


def _since(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """What changed since the run that is marked as the baseline."""
    return {
        **comparison,
        "run_id": comparison.get("old"),
        "regressions": comparison.get("regressions") or [],
        "changes": comparison.get("changes") or [],
    }


def _history(run: Run) -> dict[str, Any] | None:
    """Changes of level up to this run."""
    noted = run.record.history
    return None if noted is None else {"runs": noted.runs, "changes": noted.shifts}


if __name__ == "__main__":
    write_text(SCHEMA_FILE, json.dumps(summary_schema(), indent=2, ensure_ascii=False) + "\n")
