"""The report's end: how near the limit, what was flagged, on what machine, how to do it again."""

from __future__ import annotations

from collections.abc import Mapping

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.analysis.spent import limits_of
from ptdq.report.markdown import block, bullets, code, facts, paragraphs, prose, table
from ptdq.report.sections.page import Page, cell_name
from ptdq.store.rows import CellRow, ComparisonRow
from ptdq.text import plain

_FLAGS_SHOWN = ("avx", "amx", "fma", "f16c", "sse4", "asimd", "neon", "sve", "i8mm", "bf16", "dot")


_UNITS = {"int8": "GOP/s"}


def limits(page: Page) -> str:
    """Share of what the core can do, for calls whose tokens fill the maximum length."""
    run = page.run
    peaks = limits_of(run)
    if not peaks:
        return ""
    found = tables.limits(run)
    told = any(row["share"] for row in found)  # earlier versions did not ask the runtimes
    rows = [
        [
            code(row["variant"]),
            str(row["max_length"]),
            str(row["calls"]),
            numbers.ms(row["median_ms"]),
            f"{row['gops']:.0f}",
            *(_shares(row) if told else map(numbers.percent, (row["float32_share"], row["int8_share"]))),
        ]
        for row in found
    ]
    said = [f"{name} {peak:.0f} {_UNITS.get(name, 'GFLOP/s')}" for name, peak in peaks.items()]
    fastest = max(peaks, key=lambda name: peaks[name])
    before = run.get("limits", "measured_before")
    measured = "in this run" if before is None else f"by an earlier run at {prose(str(before))}"
    headings = ["variant", "max length", "calls", "median ms", "GOP/s"]
    headings += (
        [f"of {fastest} limit", "products in", "of its own limit"]
        if told
        else ["of float32 limit", "of int8 limit"]
    )
    products = " Products in: the number format of most of them, as the runtime says." if told else ""
    return paragraphs(
        "## Share of the core's limit",
        f"Peak of matrix products on one core, measured {measured}: {', '.join(said)}. Calls whose "
        f"documents fill the maximum length; two operations a multiply-add.{products}",
        table(headings, rows, left=(0, 6) if told else (0,))
        if rows
        else "No document filled a maximum length.",
        _own_shapes(page),
    )


def _shares(row: tables.LimitRow) -> list[str]:
    own = prose(row["numbers"] or numbers.MISSING)
    return [numbers.percent(row["fastest_share"]), own, numbers.percent(row["share"])]


def _own_shapes(page: Page) -> str:
    """Peaks at the shapes of the model's largest linear layers."""
    found = page.run.record.limits
    shapes: dict[tuple[int, ...], dict[str, str]] = {}
    for rate in found.rates if found is not None else ():
        text = f"{rate.gops:.0f} ({rate.library})"
        shapes.setdefault(tuple(rate.shape), {})[rate.numbers] = plain(text)
    if len(shapes) < 2:
        return ""
    formats = list(dict.fromkeys(name for rates in shapes.values() for name in rates))
    rows = [
        ["×".join(map(str, shape)), *(prose(rates.get(name, numbers.MISSING)) for name in formats)]
        for shape, rates in shapes.items()
    ]
    return paragraphs(
        "The same at the largest shape and at those of the model's largest layers, in GOP/s:",
        table(["rows × inner × columns", *map(prose, formats)], rows),
    )


def flags(page: Page) -> str:
    """What was out of line while cells ran, and what that means for the verdict."""
    run = page.run
    flagged = [(cell, lines) for cell in run.finished if (lines := _flags(cell))]
    confounded = [row for row in run.rows(ComparisonRow) if row["confounded"]]
    parts = [
        bullets(f"{cell_name(cell)}: {'; '.join(lines)}" for cell, lines in flagged)
        if flagged
        else "Nothing was out of line in any cell.",
        f"{len(flagged)} of {len(run.finished)} cells were flagged. They stay in the figures: leaving "
        "out what looks wrong would bias the comparison. What they cost is in the width of the "
        "intervals, since a round that was disturbed differs from the others."
        if flagged
        else "",
        bullets(
            f"{code(row['variant'])} against {code(row['baseline'])}, length {row['max_length']}: "
            f"no verdict can rest on these timings: {prose(row['confounded'])}"
            for row in confounded
        ),
        bullets(prose(note) for note in run.get("notes", default=[])),
        page.plot("course", "Latency over the course of each cell, token count taken out"),
    ]
    return paragraphs("## What was flagged", *parts) if run.finished else ""


def _flags(cell: CellRow) -> list[str]:
    lines = [prose(flag, 200) for flag in cell["flags"] or []]
    suggested, done = cell["warmup_suggested"], cell["warmup_documents"]
    if suggested is not None and done is not None and suggested > done:
        lines.append(f"the first {suggested} documents differ from the rest, {done} were warm-up")
    return lines


def environment(page: Page) -> str:
    """The machine, the versions, the load."""
    get = page.run.get
    machine = get("machine", default={})
    memory = machine.get("memory_bytes")
    flags = [str(flag) for flag in machine.get("flags") or []]
    shown = [flag for flag in flags if flag.startswith(_FLAGS_SHOWN)]
    stages = get("seconds", default={})
    rows = [
        ("CPU", code(machine.get("cpu") or "")),
        ("instruction sets", ", ".join(code(flag) for flag in shown)),
        ("cores", ", ".join(code(core) for core in machine.get("cores") or [])),
        ("memory", f"{memory / 1e9:.1f} GB" if memory else ""),
        ("system", code(machine.get("system") or "")),
        ("Python", code(machine.get("python") or "")),
        ("load before, after", _load(machine)),
        ("versions", ", ".join(code(f"{k} {v}") for k, v in get("versions", default={}).items())),
        ("resumed", ", ".join(code(when) for when in get("resumed_at", default=[]))),
        ("started, ended", " to ".join(code(get(k)) for k in ("started_at", "ended_at") if get(k))),
        ("seconds", ", ".join(f"{prose(k)} {numbers.seconds(v)}" for k, v in stages.items())),
    ]
    return paragraphs("## Environment", facts(rows))


def _load(machine: Mapping[str, object]) -> str:
    values = [machine.get("load_before"), machine.get("load_after")]
    return ", ".join(f"{value:.2f}" for value in values if isinstance(value, int | float))


def reproduce(page: Page) -> str:
    """The command line and the code that it belongs to."""
    command, commit = page.run.get("command"), page.run.get("git_commit")
    if not command and not commit:
        return ""
    dirty = str(commit or "").endswith("-dirty")
    lines = [f"git checkout {str(commit).removesuffix('-dirty')}"] if commit else []
    lines += [str(command)] if command else []
    return paragraphs(
        "## How to reproduce",
        block("\n".join(lines), "sh"),
        "The checkout had changes that were not committed." if dirty else "",
    )


def contents(page: Page) -> str:
    """The files of the run, those that there are."""
    files = page.run.files
    quality = ", quality" if page.run.quality else ""
    tables = {
        "documents": "the documents, with ids and labels",
        "predictions": "a row for each document and cell: tokens, logits, times",
        "control": "the same for the control, in which the other cores idle",
        "cells": f"a row for each cell: latency{quality}, what was read back in the worker, flags",
        "classes": f"a row for each cell and class{quality and ': precision, recall, F1'}",
        "measures": "quality at the task by each of its measures",
        "variants": "a row for each variant: sizes, what was converted",
        "comparisons": "a row for each pair of variants and length: differences and intervals",
        "buckets": "the speed-up by token count",
        "best": "which variants can't be told from the fastest, by each measure",
        "first_calls": "what the first call of an input length costs",
        "calibration": "share of right predictions by confidence",
        "interference": "latency with the neighbour idle and busy",
        "profiles": "a row for each variant that `ptdq why` was asked about",
        "operations": "a row for each operation of these: class, time, kernel",
    }
    paths = {files.table(name): text for name, text in tables.items()}
    paths[files.record] = "parameters, hashes, machine, design, verdict"
    paths[files.directory / "summary.json"] = "verdict and figures, small, for programs"
    lines = [f"{page.file(path)}: {text}" for path, text in paths.items() if path.is_file()]
    lines += [f"{page.file(path)}: plot" for path in page.plots.values()]
    return paragraphs("## Files", bullets(lines))
