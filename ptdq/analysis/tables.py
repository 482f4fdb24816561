"""The figures of a run as plain rows, for the report, the terminal and Prefect's table artifacts.

What is not known is None. Scores are absent, not None, where quality is not claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Annotated, TypedDict

from ptdq.analysis.spent import limits_of
from ptdq.problem.task import OF_CLASSES, main_measure
from ptdq.statistics.verdicts import MIN_EFFECT
from ptdq.store.layout import RunFiles
from ptdq.store.rows import (
    BestRow,
    CellRow,
    ComparisonRow,
    Float,
    InterferenceRow,
    MeasureRow,
    Place,
    VariantRow,
)
from ptdq.store.run import Run, cell_rows, load
from ptdq.store.schema import merge


class FigureRow(TypedDict, total=False):
    """One variant at one length, over its rounds; without scores where quality is not claimed."""

    variant: Annotated[str, "name"]
    max_length: Annotated[int, "documents were truncated to this many tokens"]
    rounds: Annotated[int, "rounds with figures"]
    forward_p50_ms: Annotated[Float, "median forward latency, the median over the rounds"]
    forward_p95_ms: Annotated[Float, "95th percentile of forward latency, the median over the rounds"]
    total_mean_ms: Annotated[Float, "mean latency with tokenization"]
    documents_per_second: Annotated[Float, "throughput of one core"]
    f1_weighted: Annotated[Float, "weighted F1"]
    accuracy: Annotated[Float, "accuracy"]
    main: Annotated[Float, "main measure of a task other than one class"]
    artifact_mb: Annotated[Float, "size of the artifact, MB of 1e6 bytes"]


class SideBySideRow(FigureRow, total=False):
    """The same with its ratios to others."""

    times_baseline: float | None
    times_fastest: float | None
    unbeaten: bool


class FastestRow(TypedDict):
    """A variant at a length, by its time per document."""

    variant: str
    max_length: int
    speedup: float | None
    low: float | None
    high: float | None
    best: bool
    shrunk: float | None


class SizeRow(TypedDict, total=False):
    """Sizes of one variant, also as a share of the baseline's."""

    variant: str
    artifact_mb: float | None
    artifact_share: float | None
    state_dict_mb: float | None
    state_dict_share: float | None
    engine: str | None
    prepare_seconds: float | None
    instruction_set: str | None


class NeighbourRow(Place, total=False):
    """Latency with the neighbour idle and busy, and the speed-up both ways."""

    documents: Annotated[int, "documents of the control"]
    solo_p50_ms: Annotated[float, "median forward latency, other cores idle"]
    parallel_p50_ms: Annotated[float, "the same, other cores busy"]
    slowdown: Annotated[float, "the second over the first"]
    speedup_solo: Annotated[Float, "over the baseline variant, other cores idle"]
    speedup_parallel: Annotated[Float, "the same, other cores busy"]


class LimitRow(TypedDict):
    """How near a variant at a length comes to the core's measured peaks."""

    variant: str
    max_length: int
    calls: int
    median_ms: float
    gops: float
    float32_share: float | None
    int8_share: float | None
    numbers: str | None
    share: float | None
    fastest_share: float | None


@dataclass(frozen=True)
class ReferenceRow:
    """A line of the reference experiment's table: mean ms and weighted F1 of each variant."""

    max_length: int
    repeat: int
    mean_ms: dict[str, float | None] = field(default_factory=dict)
    f1: dict[str, float | None] = field(default_factory=dict)


def figure_rows(files: RunFiles) -> list[FigureRow]:
    """One row a variant and maximum length; None where a figure is not known.

    Raises:
        UserError: see :func:`ptdq.store.run.load`.
    """
    return figures(load(files))


def figures(run: Run) -> list[FigureRow]:
    """Latency, throughput, quality and size: over the rounds of each variant and length."""
    sizes = {row["variant"]: row["artifact_bytes"] for row in run.rows(VariantRow)}
    measured = {
        (row["variant"], row["max_length"]): row["value"]
        for row in run.rows(MeasureRow)
        if row["measure"] == main_measure(run.task)
    }
    rows: list[FigureRow] = []
    for length in run.lengths:
        for variant in run.variants:
            cells = cell_rows(run.good, variant, length)
            row: FigureRow = {
                "variant": variant,
                "max_length": length,
                "rounds": len(cells),
                "forward_p50_ms": _over(median, [c["forward_p50_ms"] for c in cells]),
                "forward_p95_ms": _over(median, [c["forward_p95_ms"] for c in cells]),
                "total_mean_ms": _over(fmean, [c["total_mean_ms"] for c in cells]),
                "documents_per_second": _throughput(cells),
            }
            if run.quality:
                judged = cell_rows(run.judged, variant, length)
                row["f1_weighted"] = _over(fmean, [c["f1_weighted"] for c in judged])
                row["accuracy"] = _over(fmean, [c["accuracy"] for c in judged])
                if run.task not in OF_CLASSES:
                    row["main"] = measured.get((variant, length))
            row["artifact_mb"] = _mb(sizes.get(variant))
            rows.append(row)
    return rows


def comparisons(run: Run) -> list[ComparisonRow]:
    """Pairs of variants, the run's baseline first."""
    order = {name: place for place, name in enumerate(run.variants)}
    last = len(order)
    return sorted(
        run.rows(ComparisonRow),
        key=lambda r: (order.get(r["baseline"], last), r["max_length"], order.get(r["variant"], 0)),
    )


def against_baseline(run: Run) -> list[ComparisonRow]:
    """The comparisons with the run's baseline."""
    return [row for row in comparisons(run) if row["baseline"] == run.baseline]


def fastest(run: Run) -> list[FastestRow]:
    """Variants by their time per document, fastest first, with those that can't be told from the best.

    Ends are those of the interval that holds for all variants of a length at once; ``shrunk`` is the
    speed-up of the one that came out first, its luck taken out. Empty for runs that did not ask.
    """
    best = {
        (row["variant"], row["max_length"]): row["speedup"]
        for row in run.rows(BestRow)
        if row["measure"] == "speedup_total"
    }
    rows: list[FastestRow] = []
    for length in sorted({length for _, length in best}):
        fastest_rows: list[FastestRow] = [
            {
                "variant": row["variant"],
                "max_length": length,
                "speedup": row["speedup_total"],
                "low": row["speedup_total_simultaneous_low"],
                "high": row["speedup_total_simultaneous_high"],
                "best": (row["variant"], length) in best,
                "shrunk": best.get((row["variant"], length)),
            }
            for row in against_baseline(run)
            if row["max_length"] == length
        ]
        if run.baseline is not None:
            fastest_rows.append(
                {
                    "variant": run.baseline, "max_length": length, "speedup": 1.0, "low": None,
                    "high": None, "best": (run.baseline, length) in best, "shrunk": None,
                }
            )  # fmt: skip
        rows += sorted(fastest_rows, key=lambda row: -(row["speedup"] or 0.0))
    return rows


def min_effect(run: Run) -> float:
    """Smallest difference in time that the run was asked to take for one, as a share."""
    share: float | None = run.get("parameters", "min_effect")
    return MIN_EFFECT if share is None else share


def reference(run: Run) -> list[ReferenceRow]:
    """The reference experiment's table, longest length first, as it has it.

    Where quality was measured once, each repeat has that F1.
    """
    rows: list[ReferenceRow] = []
    scores = {(c["variant"], c["max_length"]): c["f1_weighted"] for c in run.judged if c["repeat"] < 0}
    for length in reversed(run.lengths):
        repeats = sorted({row["repeat"] for row in run.good if row["max_length"] == length})
        for repeat in repeats:
            row = ReferenceRow(length, repeat)
            for cell in run.good:
                if (cell["max_length"], cell["repeat"]) == (length, repeat):
                    row.mean_ms[cell["variant"]] = cell["total_mean_ms"]
                    row.f1[cell["variant"]] = scores.get((cell["variant"], length), cell["f1_weighted"])
            rows.append(row)
    return rows


def sizes(run: Run) -> list[SizeRow]:
    """Bytes on disk by both measures, and as a share of the baseline's."""
    by_variant = {row["variant"]: row for row in run.rows(VariantRow)}
    base = by_variant.get(run.baseline or "")
    rows: list[SizeRow] = []
    for variant in run.variants:
        row = by_variant.get(variant)
        if row is None:
            continue
        artifact, state_dict = row["artifact_bytes"], row["state_dict_bytes"]
        rows.append(
            {
                "variant": variant,
                "artifact_mb": _mb(artifact),
                "artifact_share": _share(artifact, base["artifact_bytes"] if base else None),
                "state_dict_mb": _mb(state_dict),
                "state_dict_share": _share(state_dict, base["state_dict_bytes"] if base else None),
                "engine": row["engine"],
                "prepare_seconds": row["prepare_seconds"],
                "instruction_set": row["instruction_set"],
            }
        )
    return rows


def interference(run: Run) -> list[NeighbourRow]:
    """Latency with the neighbour idle and busy, and the speed-up both ways."""
    by_place = {(row["variant"], row["max_length"]): row for row in run.rows(InterferenceRow)}
    rows: list[NeighbourRow] = []
    for length in run.lengths:
        base = by_place.get((run.baseline or "", length))
        for variant in run.variants:
            row = by_place.get((variant, length))
            if row is None:
                continue
            speedups: NeighbourRow = {"speedup_solo": None, "speedup_parallel": None}
            if variant != run.baseline and base is not None:
                speedups["speedup_solo"] = _share(base["solo_p50_ms"], row["solo_p50_ms"])
                speedups["speedup_parallel"] = _share(base["parallel_p50_ms"], row["parallel_p50_ms"])
            rows.append(merge(NeighbourRow, row, speedups))
    return rows


def limits(run: Run) -> list[LimitRow]:
    """How near each variant comes to the core's measured peaks: rate (GOP/s) and shares.

    ``share`` is of the peak of the number format that most of its products are in (``numbers``, as its
    runtime says), ``fastest_share`` of the highest peak of any format.

    Only calls whose documents fill the maximum length count; two operations a multiply-add. Sorted by
    variant and length; what has no such call is left out.
    """
    rows: list[LimitRow] = []
    peaks = limits_of(run)
    told = {row["variant"]: (row["instruction_set"] or "").split(" ")[0] for row in run.rows(VariantRow)}
    calls = run.calls[~run.calls["warmup"].astype(bool)]
    for variant in run.measured_variants:
        for length in run.lengths:
            adds = run.get("model", "multiply_adds_per_length", str(length))
            full = calls[
                (calls["variant"] == variant)
                & (calls["max_length"] == length)
                & (calls["tokens"] == length)
                & (calls["documents"] == calls["documents"].max())
            ]
            if not adds or full.empty:
                continue
            milliseconds = float(full["forward_ms"].median())
            rate = 2 * adds * int(full["documents"].iloc[0]) / milliseconds / 1e6
            rows.append(
                {
                    "variant": variant,
                    "max_length": length,
                    "calls": len(full),
                    "median_ms": milliseconds,
                    "gops": rate,
                    "float32_share": _share(rate, run.get("limits", "float32_gflops")),
                    "int8_share": _share(rate, run.get("limits", "int8_gops")),
                    "numbers": told.get(variant) or None,
                    "share": _share(rate, peaks.get(told.get(variant, ""))),
                    "fastest_share": _share(rate, max(peaks.values(), default=None)),
                }
            )
    return rows


def side_by_side(run: Run) -> list[SideBySideRow]:
    """The figures with their ratio to the baseline and to the fastest, and who is unbeaten.

    By the time per document, tokenization included.
    """
    rows: list[SideBySideRow] = []
    for length in run.lengths:
        at_length = [r for r in figures(run) if r["max_length"] == length and r["total_mean_ms"]]
        by_latency = sorted(at_length, key=lambda r: r["total_mean_ms"] or 0.0)
        base = next((r["total_mean_ms"] for r in at_length if r["variant"] == run.baseline), None)
        unbeaten = front(at_length, quality=run.quality)
        for row in by_latency:
            ratios: SideBySideRow = {
                "times_baseline": _share(base, row["total_mean_ms"]),
                "times_fastest": _share(by_latency[0]["total_mean_ms"], row["total_mean_ms"]),
                "unbeaten": row in unbeaten,
            }
            rows.append(merge(SideBySideRow, row, ratios))
    return rows


def front(rows: Iterable[FigureRow], *, quality: bool) -> list[FigureRow]:
    """Rows that no other beats both in time per document and in weighted F1, or size without quality."""
    known = sorted(
        (latency, -worth, place, row)
        for place, row in enumerate(rows)
        if (latency := row["total_mean_ms"]) is not None and (worth := _worth(row, quality)) is not None
    )
    unbeaten: list[FigureRow] = []
    best: float | None = None
    for _, negative, _, row in known:
        if best is None or -negative > best:
            unbeaten.append(row)
            best = -negative
    return unbeaten


def score(row: FigureRow) -> float | None:
    """The main measure of the task; None where it is not known."""
    main = row.get("main")
    return row["f1_weighted"] if main is None else main


def _worth(row: FigureRow, quality: bool) -> float | None:
    """What is better the larger it is."""
    if quality:
        return score(row)
    return None if row["artifact_mb"] is None else -row["artifact_mb"]


def _over(average: Callable[[Sequence[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(average(known)) if known else None


def _throughput(cells: Sequence[CellRow]) -> float | None:
    """All documents over all their time, not a mean of rates."""
    documents, seconds = 0, 0.0
    for cell in cells:
        if cell["documents"] and cell["documents_per_second"]:
            documents += cell["documents"]
            seconds += cell["documents"] / cell["documents_per_second"]
    return documents / seconds if seconds else None


def _mb(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
