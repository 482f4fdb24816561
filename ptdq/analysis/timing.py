"""From the times of a run to what may be said of its variants: pure, no files.

For each maximum length one least-squares fit over all variants takes rounds and cores out of the
log of a cell's statistic; documents are a second source of variance, crossed with the rounds. See
:mod:`ptdq.statistics.rounds`, ``influence``, ``uncertain``, ``verdicts`` and ``winner`` for the
methods and their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ptdq.statistics.buckets import bucket_edges
from ptdq.statistics.influence import MEAN_TIME, MEDIAN, P95, Statistic
from ptdq.statistics.measured import Comparer, Measured
from ptdq.statistics.uncertain import Estimate
from ptdq.statistics.verdicts import MIN_EFFECT, verdicts
from ptdq.statistics.winner import Winner, best_set, winner

CELL = ["variant", "max_length", "repeat", "core"]
KEY = [*CELL, "doc_id"]
NEEDED = [*KEY, "order", "forward_ns"]

ONE = "one comparison"
PICKED = "picked as fastest"

MEASURES: dict[str, Statistic] = {"speedup": MEDIAN, "speedup_p95": P95, "speedup_total": MEAN_TIME}
"""Median and 95th percentile of the forward pass, and mean time per document end to end."""

VERDICTS = {"speedup": "latency", "speedup_p95": "p95", "speedup_total": "total"}
"""How the columns of verdicts and p-values of a measure begin."""


@dataclass(frozen=True)
class Analysis:
    """What a run's times say.

    Attributes:
        comparisons: a row for each variant other than the baseline, and length. For each measure
            (``speedup``, ``speedup_p95``, ``speedup_total``): the ratio, ``_low`` and ``_high`` of its
            interval, ``_refused`` (why there is none), ``_interval_kind``, ``_p`` and ``_p_adjusted``
            (Holm over all rows), ``_simultaneous_low`` and ``_high`` (hold for all rows of a length
            at once), ``_df``, and a verdict: ``latency_verdict``, ``p95_verdict``,
            ``total_verdict``. Parts of the uncertainty of the median, on the log scale:
            ``documents_se``, ``rounds_se``, ``cell_sd`` (of a cell of the variant), ``cores_sd``
            (between cores), ``noisier`` (has a variance of its own).
        buckets: a row for each comparison and bucket of token lengths, with verdict; empty without
            tokens.
        best_set: variants, the baseline included, that can't be told from the best: measure,
            max_length, variant.
        winner: the fastest variant of each length: measure, max_length, variant, speedup (drawn
            towards the other contenders), low, high (the interval of its row), contenders.
        notes: what was left out, in words.
    """

    comparisons: pd.DataFrame
    buckets: pd.DataFrame
    best_set: pd.DataFrame
    winner: pd.DataFrame
    notes: tuple[str, ...]


def analyse(
    times: pd.DataFrame,
    baseline: str,
    *,
    min_effect: float = MIN_EFFECT,
    level: float = 0.95,
    seed: int = 0,
) -> Analysis:
    """Compare all variants with a baseline.

    Args:
        times: a row for each call: variant, max_length, repeat, core, order, doc_id, forward_ns, and
            if there are any tokenize_ns, tokens, warmup (such rows are left out) and batch (the time
            of a batch is that of its first row).
        baseline: name of the variant to compare with.
        min_effect: smallest difference that matters, as a share.
        level: confidence level; of each interval on its own, but for the fastest variant's.
        seed: of permutations.

    Raises:
        ValueError: the table is not as described; names the column or row.
    """
    if not 0 < level < 1 or min_effect <= 0:
        raise ValueError("level must lie between 0 and 1, and min_effect above 0")
    table = checked(times, baseline)
    names = [baseline, *(name for name in table["variant"].unique() if name != baseline)]
    rows: list[dict[str, Any]] = []
    buckets: list[dict[str, Any]] = []
    best: list[dict[str, Any]] = []
    winners: list[dict[str, Any]] = []
    notes: list[str] = []
    estimates: dict[str, list[Estimate | None]] = {name: [] for name in [*MEASURES, "bucket"]}
    for length in sorted(table["max_length"].unique()):
        mine = table[table["max_length"] == length]
        present = set(mine["variant"].unique())
        here = [name for name in names if name in present]
        if here[0] != baseline:
            notes.append(f"{baseline} has no cell at {length} tokens: nothing is compared there")
            continue
        data = _Length.of(mine, here, int(length), level, seed)
        notes += data.notes
        new = [{"baseline": baseline, "variant": n, "max_length": int(length)} for n in here[1:]]
        for measure in MEASURES:
            found = data.measure(measure)
            for row, columns in zip(new, found.columns, strict=True):
                row |= columns
            estimates[measure] += found.estimates
            best += found.best
            winners += found.winner
        rows += new
        for columns, estimate in data.buckets(baseline):
            buckets.append(columns)
            estimates["bucket"].append(estimate)
    for measure, prefix in VERDICTS.items():
        _judge(rows, estimates[measure], prefix, measure, min_effect, level)
    _judge(buckets, estimates["bucket"], "", "speedup", min_effect, level)
    tables = (pd.DataFrame(each) for each in (rows, buckets, best, winners))
    return Analysis(*tables, tuple(notes))


def _judge(
    rows: list[dict[str, Any]],
    estimates: Sequence[Estimate | None],
    prefix: str,
    measure: str,
    min_effect: float,
    level: float,
) -> None:
    """Add verdicts and adjusted p-values, which are those of all rows together."""
    found, adjusted = verdicts(estimates, min_effect, level)
    name = f"{prefix}_verdict" if prefix else "verdict"
    for row, verdict, p_value in zip(rows, found, adjusted, strict=True):
        row[name] = verdict
        row[f"{measure}_p_adjusted"] = float(p_value)


def checked(times: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The rows that count, once they are known to be well-formed.

    Raises:
        ValueError: a column is missing, a value is missing or no time, a row is there twice.
    """
    missing = [name for name in NEEDED if name not in times.columns]
    if missing:
        raise ValueError(f"times: column {missing[0]!r} is missing; needs {', '.join(NEEDED)}")
    table = times
    if "warmup" in table.columns:
        table = table[~table["warmup"].astype(bool)]
    for name in [n for n in (*NEEDED, "tokenize_ns", "tokens") if n in table.columns]:
        empty = table[name].isna()
        if empty.any():
            raise ValueError(f"times: column {name!r} has no value in row {table.index[empty][0]}")
    for name in [n for n in ("forward_ns", "tokenize_ns") if n in table.columns]:
        values = table[name].to_numpy(dtype=np.float64)
        wrong = ~np.isfinite(values) | (values < 0) | ((values == 0) & (name == "forward_ns"))
        if wrong.any():
            raise ValueError(f"times: {name} is {values[wrong][0]:g} in row {table.index[wrong][0]}")
    if "batch" in table.columns:
        # A time is that of a whole batch, and counts once.
        table = table.drop_duplicates([*CELL, "batch"])
    twice = table.duplicated(KEY)
    if twice.any():
        row = table[twice].iloc[0]
        which = ", ".join(f"{name} {row[name]}" for name in KEY)
        raise ValueError(f"times: row {table.index[twice][0]} is there twice: {which}")
    if baseline not in set(table["variant"].unique()):
        raise ValueError(f"times: no row of the baseline {baseline!r}")
    return table


@dataclass(frozen=True)
class _Found:
    """Of one measure at one length."""

    columns: list[dict[str, Any]]
    estimates: list[Estimate | None]
    best: list[dict[str, Any]]
    winner: list[dict[str, Any]]


@dataclass(frozen=True)
class _Length:
    """Times of one maximum length."""

    names: list[str]
    max_length: int
    forward: Measured
    total: Measured
    tokens: npt.NDArray[np.int64] | None
    level: float
    seed: int
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, table: pd.DataFrame, names: list[str], max_length: int, level: float, seed: int
    ) -> _Length:
        cells = table.groupby(CELL, sort=True)
        documents = np.sort(table["doc_id"].unique())
        short = cells.size()[lambda sizes: sizes < len(documents)]
        if len(short):
            which = dict(zip(CELL, short.index[0], strict=True))
            text = ", ".join(f"{name} {value}" for name, value in which.items())
            raise ValueError(
                f"times: the cell of {text} has {short.iloc[0]} of {len(documents)} documents"
            )
        per_round = table.groupby(["variant", "repeat"])["core"].nunique()
        at_once = int(per_round.max())
        rounds = np.sort(table["repeat"].unique())
        v = pd.Index(names).get_indexer(table["variant"])
        r = np.searchsorted(rounds, table["repeat"].to_numpy())
        core = table["core"].to_numpy(dtype=np.int64)
        _, place = np.unique(core, return_inverse=True)
        k = place if at_once > 1 else np.zeros_like(core)
        where = (v, r, k, np.searchsorted(documents, table["doc_id"].to_numpy()))
        shape = (len(names), len(rounds), at_once, len(documents))
        forward, total = np.full(shape, np.nan), np.full(shape, np.nan)
        forward[where] = table["forward_ns"]
        total[where] = table["forward_ns"] + (table["tokenize_ns"] if "tokenize_ns" in table else 0)
        cores = np.full(shape[:2], -1, dtype=np.int64)
        cores[v, r] = 0 if at_once > 1 else core
        whole = np.isfinite(forward).all(axis=(2, 3))
        cores[~whole] = -1
        lost = [(n, int(rounds[j])) for i, n in enumerate(names) for j in np.flatnonzero(~whole[i])]
        notes = tuple(
            f"{name} has no whole round {number} at {max_length} tokens" for name, number in lost
        )
        tokens = None
        if "tokens" in table:
            tokens = np.zeros(len(documents), dtype=np.int64)
            tokens[where[3]] = table["tokens"]
        measured = (Measured(forward, cores), Measured(total, cores))
        return cls(names, max_length, *measured, tokens, level, seed, notes)

    def measure(self, name: str) -> _Found:
        """Columns of each comparison with the first variant, and which variant is the best."""
        data = self.total if name == "speedup_total" else self.forward
        comparer = Comparer(data, MEASURES[name], self.seed)
        others = range(1, len(self.names))
        refused = [comparer.refused(0, other) for other in others]
        found = [
            None if why else comparer.compare(0, other)
            for other, why in zip(others, refused, strict=True)
        ]
        columns = [
            self._columns(comparer, name, o, e, w) for o, e, w in zip(others, found, refused, strict=True)
        ]
        known = [i for i, estimate in enumerate(found) if estimate is not None]
        if not known:
            return _Found(columns, found, [], [])
        indices = [0, *(i + 1 for i in known)]
        pairs = {
            (i, j): _reversed(comparer.compare(indices[i], indices[j]))
            for i, j in combinations(range(len(indices)), 2)
        }
        best = best_set(pairs, len(indices), self.level)
        first = winner(
            [e for e in found if e is not None],
            {(i - 1, j - 1): pair for (i, j), pair in pairs.items() if i > 0},
            self.level,
        )
        tail = (1 - self.level) / 2 / len(known)
        for place, i in enumerate(known):
            estimate = found[i]
            assert estimate is not None
            columns[i] |= {
                f"{name}_simultaneous_low": float(np.exp(estimate.low(tail))),
                f"{name}_simultaneous_high": float(np.exp(estimate.high(tail))),
            }
            if place == first.index and len(known) > 1:
                columns[i] |= {
                    f"{name}_low": float(np.exp(first.low)),
                    f"{name}_high": float(np.exp(first.high)),
                    f"{name}_interval_kind": PICKED,
                }
        key = {"measure": name, "max_length": self.max_length}
        in_best = [{**key, "variant": self.names[indices[i]]} for i in best]
        return _Found(columns, found, in_best, [{**key, **self._winner(first, known)}])

    def _winner(self, first: Winner, known: list[int]) -> dict[str, Any]:
        return {
            "variant": self.names[known[first.index] + 1],
            "speedup": float(np.exp(first.value)),
            "low": float(np.exp(first.low)),
            "high": float(np.exp(first.high)),
            "contenders": first.contenders,
        }

    def _columns(
        self, comparer: Comparer, name: str, other: int, estimate: Estimate | None, refused: str | None
    ) -> dict[str, Any]:
        columns = _ratio(name, estimate, refused, comparer.point(0, other), self.level)
        if name == "speedup":
            present = comparer.fit.layout.present
            effects = comparer.fit.core_effects
            columns |= {
                "documents": self.forward.documents,
                "rounds": int((present[0] & present[other]).sum()),
                "documents_se": None
                if estimate is None
                else float(np.sqrt(max(0.0, estimate.document_variance))),
                "rounds_se": None if estimate is None else float(np.sqrt(estimate.round_variance)),
                "cell_sd": float(np.sqrt(comparer.fit.variances[other])),
                "cores_sd": float(effects.std(ddof=1)) if len(effects) > 1 else None,
                "noisier": other in comparer.fit.alone,
            }
        return columns

    def buckets(self, baseline: str) -> list[tuple[dict[str, Any], Estimate | None]]:
        """Columns for each comparison and bucket; nothing where the documents make up a single one."""
        if self.tokens is None or len(self.names) < 2:
            return []
        edges = bucket_edges(self.tokens)
        if not edges:
            return []
        found = []
        place = np.searchsorted(np.asarray(edges), self.tokens, side="right")
        for bucket in np.unique(place):
            inside = place == bucket
            comparer = Comparer(self.forward.only(inside), MEDIAN, self.seed)
            held = self.tokens[inside]
            for other in range(1, len(self.names)):
                refused = comparer.refused(0, other)
                estimate = None if refused else comparer.compare(0, other)
                columns = {
                    "baseline": baseline,
                    "variant": self.names[other],
                    "max_length": self.max_length,
                    "tokens_from": int(held.min()),
                    "tokens_to": int(held.max()),
                    "documents": int(inside.sum()),
                    **_ratio("speedup", estimate, refused, comparer.point(0, other), self.level),
                }
                found.append((columns, estimate))
        return found


def _reversed(estimate: Estimate) -> Estimate:
    """How much faster the first of a pair is than the second, from how much slower."""
    return Estimate(
        -estimate.value,
        estimate.round_variance,
        estimate.document_variance,
        estimate.round_df,
        estimate.document_df,
    )


def _ratio(
    name: str, estimate: Estimate | None, refused: str | None, point: float, level: float
) -> dict[str, Any]:
    """Columns of a ratio with its interval."""
    known = estimate is not None
    tail = (1 - level) / 2
    return {
        name: float(np.exp(point)),
        f"{name}_low": float(np.exp(estimate.low(tail))) if known else None,
        f"{name}_high": float(np.exp(estimate.high(tail))) if known else None,
        f"{name}_refused": refused,
        f"{name}_interval_kind": ONE if known else None,
        f"{name}_p": estimate.p_value() if known else None,
        f"{name}_df": estimate.round_df if known else None,
        f"{name}_simultaneous_low": None,
        f"{name}_simultaneous_high": None,
    }
