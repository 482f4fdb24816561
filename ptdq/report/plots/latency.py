"""Plots of single latencies: their distribution, against token count, over the course of a cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ptdq.analysis import tables
from ptdq.numbers import ms
from ptdq.report.plots.style import INK, canvas, label, legend_of, log_x, look, plain_numbers
from ptdq.store.run import Run, cell_rows

_DOTS = 400  # drawn of each row: more only make the file larger


def distribution(run: Run, path: Path) -> bool:
    """Quartiles, 5 to 95 % and single documents, a panel a length and a row a variant."""
    calls = run.calls[~run.calls["warmup"].astype(bool)]
    if calls.empty:
        return False
    lengths, variants = sorted(calls["max_length"].unique()), run.measured_variants
    medians = {(r["variant"], r["max_length"]): r["forward_p50_ms"] for r in tables.figures(run)}
    height = 0.75 + len(lengths) * (0.5 + 0.34 * len(variants))
    with canvas(path, len(lengths), 1, height) as (_, axes):
        for ax, length in zip(axes, lengths, strict=True):
            ax.sharex(axes[0])
            ax.label_outer()
            for place, variant in enumerate(variants):
                times = _of(calls, variant, int(length))["forward_ms"].to_numpy(float)
                if len(times):
                    _box(ax, place, variant, times)
                    _annotate(ax, place, medians.get((variant, int(length))))
            ax.set_yticks(range(len(variants)), [label(v) for v in variants])
            ax.set_ylim(len(variants) - 0.45, -0.6)
            ax.set_title(f"at most {length} tokens")
            ax.grid(False, axis="y")
        log_x(axes[0], calls["forward_ms"])
        axes[-1].set_xlabel(
            "forward latency in ms    box: middle half, with the median; line: 5 % to 95 %; "
            "dots: single calls"
        )
    return True


def _box(ax: Axes, place: int, variant: str, times: np.ndarray) -> None:
    color, _ = look(variant)
    p5, p25, p50, p75, p95 = np.percentile(times, [5, 25, 50, 75, 95])
    dots = np.sort(times)[np.linspace(0, len(times) - 1, min(len(times), _DOTS)).astype(int)]
    jitter = np.random.default_rng(0).uniform(-0.24, 0.24, len(dots))
    ax.scatter(dots, place + jitter, s=5, color=color, alpha=0.22, linewidths=0, zorder=1)
    ax.plot([p5, p95], [place, place], color=color, linewidth=1.4, zorder=3)
    ax.barh(place, p75 - p25, left=p25, height=0.46, color="white", edgecolor=color, zorder=4)
    ax.barh(place, p75 - p25, left=p25, height=0.46, color=color, alpha=0.3, zorder=5)
    ax.plot([p50, p50], [place - 0.23, place + 0.23], color=color, linewidth=2.6, zorder=6)


def _annotate(ax: Axes, place: int, median: float | None) -> None:
    """The median as the tables have it (over the rounds), not that of the pooled calls."""
    ax.annotate(
        f"{ms(median)} ms",
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        fontsize=8.5,
        annotation_clip=False,
    )


def tokens(run: Run, path: Path) -> bool:
    """Latency against token count: where the gain comes from, and from which length on."""
    calls = run.calls[~run.calls["warmup"].astype(bool)]
    if calls.empty:
        return False
    longest = int(calls["max_length"].max())
    calls = calls[calls["max_length"] == longest]
    with canvas(path, 1, 1, 3.9) as (figure, (ax,)):
        for variant in run.measured_variants:
            own_calls = calls[calls["variant"] == variant]
            color, marker = look(variant)
            sample = own_calls.sample(min(len(own_calls), 1500), random_state=0)
            ax.scatter(sample["tokens"], sample["forward_ms"], s=7, color=color, alpha=0.2, linewidths=0)
            middle = _binned(own_calls)
            ax.plot(middle["tokens"], middle["forward_ms"], color="white", linewidth=3.4)
            ax.plot(middle["tokens"], middle["forward_ms"], color=color, marker=marker, markersize=5)
        # From zero and linear: the slope is the cost of a token. Single hung calls are cut off.
        ax.set_ylim(0, 1.12 * float(np.percentile(calls["forward_ms"], 99.5)))
        plain_numbers(ax.yaxis)
        ax.set_xlabel("tokens of the longest document in the call")
        ax.set_ylabel("forward latency in ms")
        ax.set_title(f"Latency against token count, at most {longest} tokens (lines: medians)")
        figure.legend(handles=legend_of(run.measured_variants), loc="outside lower center", ncols=4)
    return True


def _binned(calls: pd.DataFrame) -> pd.DataFrame:
    """Medians over about a dozen groups of calls of similar token count."""
    bins = pd.qcut(calls["tokens"], 12, duplicates="drop") if len(calls) > 1 else None
    if bins is None or bins.isna().all():  # all of one length
        bins = pd.Series(0, index=calls.index)
    return calls.groupby(bins, observed=True)[["tokens", "forward_ms"]].median()


def course(run: Run, path: Path) -> bool:
    """Each cell from its first document to its last, token count taken out: drift and steps."""
    calls = run.calls
    if calls.empty:
        return False
    lengths, variants = sorted(calls["max_length"].unique()), run.measured_variants
    height = 0.9 + 1.45 * len(variants)
    with canvas(path, len(variants), len(lengths), height) as (figure, axes):
        for place, ax in enumerate(axes):
            variant, length = variants[place // len(lengths)], int(lengths[place % len(lengths)])
            _cells(ax, run, variant, length)
            ax.sharey(axes[0])
            ax.label_outer()
            ax.set_title(f"{label(variant)}, {length}", fontsize=9)
        axes[0].set_ylim(0.5, 2)
        _fit(axes)
        plain_numbers(axes[0].yaxis)
        figure.supylabel("time / typical time for as many tokens", fontsize=9.5)
        figure.supxlabel(
            "document of the cell    dots: calls, hollow: warm-up; a line a round: running median, "
            "dashed by core",
            fontsize=9.5,
        )
    return True


def _cells(ax: Axes, run: Run, variant: str, length: int) -> None:
    color, _ = look(variant)
    own_calls = _of(run.calls, variant, length)
    ax.axhline(1, color="#999999", linewidth=0.8, zorder=1)
    if own_calls.empty:
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", va="center")
        return
    own_calls = own_calls.assign(relative=own_calls["forward_ms"] / _expected(own_calls))
    cores = {c["repeat"]: c["core"] for c in cell_rows(run.good, variant, length)}
    repeats = sorted(own_calls["repeat"].unique())
    for repeat in repeats:
        cell = own_calls[own_calls["repeat"] == repeat].sort_values("position")
        warm = cell["warmup"].astype(bool)
        x, y = cell["position"], cell["relative"]
        ax.scatter(x[~warm], y[~warm], s=4, color=color, alpha=0.15, linewidths=0, zorder=2)
        ax.scatter(x[warm], y[warm], s=9, facecolors="none", edgecolors=color, linewidths=0.7)
        window = max(5, len(cell) // 25)
        smooth = y[~warm].rolling(window, center=True, min_periods=window // 2).median()
        style = ("-", "--", ":", "-.")[int(cores.get(repeat, 0)) % 4]
        ax.plot(x[~warm], smooth, color=color, linewidth=1.1, linestyle=style, zorder=3)


def _expected(calls: pd.DataFrame) -> np.ndarray:
    """Typical time at each token count: linear plus quadratic, the cost of the layers and of
    attention, fitted to the medians so that bursts of noise do not move it."""
    middle = _binned(calls[~calls["warmup"].astype(bool)])
    x, y = middle["tokens"].to_numpy(float), middle["forward_ms"].to_numpy(float)
    degree = min(2, len(np.unique(x)) - 1)
    if degree < 1:
        return np.full(len(calls), float(calls["forward_ms"].median()))
    fitted = np.polyval(np.polyfit(x, y, degree), calls["tokens"].to_numpy(float))
    return np.asarray(np.maximum(fitted, y.min() / 2))


def _fit(axes: list[Axes]) -> None:
    """Limits that hold the running medians and most calls, not the one call that hung."""
    heights = [np.asarray(line.get_ydata(), float) for ax in axes for line in ax.lines if ax.collections]
    dots = [np.asarray(c.get_offsets())[:, 1] for ax in axes for c in ax.collections]
    lines = np.concatenate(heights) if heights else np.ones(1)
    low, high = np.nanpercentile(np.concatenate(dots), [0.5, 99]) if dots else (0.9, 1.1)
    axes[0].set_ylim(min(low, np.nanmin(lines), 0.9) - 0.05, max(high, np.nanmax(lines), 1.15) + 0.1)


def _of(calls: pd.DataFrame, variant: str, length: int) -> pd.DataFrame:
    return calls[(calls["variant"] == variant) & (calls["max_length"] == length)]
