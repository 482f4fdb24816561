"""The figures of a run as plain rows, for the report, the terminal and Prefect's table artifacts.

Quality columns are absent, not empty, where quality is not claimed.
"""

from __future__ import annotations

from statistics import fmean, median
from typing import Any

from ptdq.store.layout import RunFiles
from ptdq.store.run import Row, Run, cell_rows, load

_FIGURES = {
    "forward_p50_ms": median,
    "forward_p95_ms": median,
    "total_mean_ms": fmean,
}
_QUALITY = ("f1_weighted", "accuracy")


def figure_rows(files: RunFiles) -> list[dict[str, Any]]:
    """One row a variant and maximum length; None where a figure is not known.

    Raises:
        UserError: see :func:`ptdq.store.run.load`.
    """
    return figures(load(files))


def figures(run: Run) -> list[Row]:
    """Latency, throughput, quality and size: over the rounds of each variant and length."""
    sizes = {row["variant"]: row["artifact_bytes"] for row in run.rows("variants")}
    rows: list[Row] = []
    for length in run.lengths:
        for variant in run.variants:
            cells = cell_rows(run.good, variant, length)
            row: Row = {"variant": variant, "max_length": length, "rounds": len(cells)}
            for name, average in _FIGURES.items():
                row[name] = _over(average, [cell[name] for cell in cells])
            row["documents_per_second"] = _throughput(cells)
            if run.quality:
                for name in _QUALITY:
                    row[name] = _over(fmean, [cell[name] for cell in cells])
            row["artifact_mb"] = _mb(sizes.get(variant))
            rows.append(row)
    return rows


def comparisons(run: Run) -> list[Row]:
    """Pairs of variants, the run's baseline first."""
    order = {name: place for place, name in enumerate(run.variants)}
    last = len(order)
    return sorted(
        run.rows("comparisons"),
        key=lambda r: (order.get(r["baseline"], last), r["max_length"], order.get(r["variant"], 0)),
    )


def against_baseline(run: Run) -> list[Row]:
    """The comparisons with the run's baseline."""
    return [row for row in comparisons(run) if row["baseline"] == run.baseline]


def reference(run: Run) -> list[Row]:
    """The reference experiment's table: length, repeat; mean ms and weighted F1 of each variant.

    Longest length first, as it has it. Figures are under the keys ``variant/ms`` and ``variant/f1``.
    """
    rows: list[Row] = []
    for length in reversed(run.lengths):
        repeats = sorted({row["repeat"] for row in run.good if row["max_length"] == length})
        for repeat in repeats:
            row: Row = {"max_length": length, "repeat": repeat}
            for cell in run.good:
                if (cell["max_length"], cell["repeat"]) == (length, repeat):
                    row[f"{cell['variant']}/ms"] = cell["total_mean_ms"]
                    row[f"{cell['variant']}/f1"] = cell["f1_weighted"]
            rows.append(row)
    return rows


def sizes(run: Run) -> list[Row]:
    """Bytes on disk by both measures, and as a share of the baseline's."""
    rows = {row["variant"]: row for row in run.rows("variants")}
    base = rows.get(run.baseline or "", {})
    return [
        {
            "variant": variant,
            "artifact_mb": _mb(row["artifact_bytes"]),
            "artifact_share": _share(row["artifact_bytes"], base.get("artifact_bytes")),
            "state_dict_mb": _mb(row["state_dict_bytes"]),
            "state_dict_share": _share(row["state_dict_bytes"], base.get("state_dict_bytes")),
            "engine": row["engine"],
            "prepare_seconds": row["prepare_seconds"],
            "cached": row["cached"],
        }
        for variant in run.variants
        if (row := rows.get(variant)) is not None
    ]


def interference(run: Run) -> list[Row]:
    """Latency with the neighbour idle and busy, and the speed-up both ways."""
    found = {(row["variant"], row["max_length"]): row for row in run.rows("interference")}
    rows: list[Row] = []
    for length in run.lengths:
        base = found.get((run.baseline or "", length), {})
        for variant in run.variants:
            row = found.get((variant, length))
            if row is None:
                continue
            compare = variant != run.baseline
            rows.append(
                {
                    **row,
                    **{
                        f"speedup_{how}": _share(base.get(f"{how}_p50_ms"), row[f"{how}_p50_ms"])
                        if compare
                        else None
                        for how in ("solo", "parallel")
                    },
                }
            )
    return rows


def limits(run: Run) -> list[Row]:
    """How near each variant comes to the core's measured peaks: rate (GOP/s) and shares.

    Only calls whose documents fill the maximum length count; two operations a multiply-add. Sorted by
    variant and length; what has no such call is left out.
    """
    rows: list[Row] = []
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
                }
            )
    return rows


def side_by_side(run: Run) -> list[Row]:
    """The figures with their ratio to the baseline and to the fastest, and who is on the front."""
    x, y = "forward_p50_ms", "f1_weighted" if run.quality else "artifact_mb"
    rows: list[Row] = []
    for length in run.lengths:
        here = [r for r in figures(run) if r["max_length"] == length and r[x] is not None]
        base = next((r[x] for r in here if r["variant"] == run.baseline), None)
        fastest = min((r[x] for r in here), default=None)
        known = [r for r in here if r[y] is not None]
        best = front(known, x, y, larger_is_better=run.quality)
        rows += [
            {
                **row,
                "times_baseline": _share(base, row[x]),
                "times_fastest": _share(fastest, row[x]),
                "unbeaten": row in best,
            }
            for row in sorted(here, key=lambda r: float(r[x]))
        ]
    return rows


def front(rows: list[Row], x: str, y: str, larger_is_better: bool) -> list[Row]:
    """Rows that no other beats in both figures; ``x`` is better where it is smaller."""
    sign = 1 if larger_is_better else -1
    found: list[Row] = []
    for row in sorted(rows, key=lambda r: (r[x], -sign * r[y])):
        if not found or sign * row[y] > sign * found[-1][y]:
            found.append(row)
    return found


def _over(average: Any, values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(average(known)) if known else None


def _throughput(cells: list[Row]) -> float | None:
    """All documents over all their time, not a mean of rates."""
    known = [cell for cell in cells if cell["documents_per_second"]]
    spent = sum(cell["documents"] / cell["documents_per_second"] for cell in known)
    return sum(cell["documents"] for cell in known) / spent if spent else None


def _mb(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
