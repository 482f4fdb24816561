"""From the times of a run to what may be said of its variants: pure, no files.

For each maximum length one least-squares fit over all variants takes rounds and cores out of the
log of a cell's statistic; documents are a second source of variance, crossed with the rounds. See
:mod:`ptdq.statistics.rounds`, ``influence``, ``uncertain``, ``verdicts`` and ``winner`` for the
methods and their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ptdq.analysis.timing_table import LengthTimes, checked, length_times
from ptdq.statistics.buckets import bucket_edges
from ptdq.statistics.influence import MEAN_TIME, MEDIAN, P95, Statistic
from ptdq.statistics.measured import Comparer
from ptdq.statistics.summary import NS_PER_MS
from ptdq.statistics.tail_bound import tail_bound
from ptdq.statistics.uncertain import Estimate
from ptdq.statistics.verdicts import MIN_EFFECT, verdicts
from ptdq.statistics.winner import Winner, best_set, winner

ONE = "one comparison"
PICKED = "picked as fastest"

MEASURES: dict[str, Statistic] = {"speedup": MEDIAN, "speedup_p95": P95, "speedup_total": MEAN_TIME}
"""Median and 95th percentile of the forward pass, and mean time per document end to end."""

ENDS = ["low", "high", "interval_kind", "p", "df", "simultaneous_low", "simultaneous_high"]

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
            ``total_verdict``. Parts of the uncertainty of ``speedup_total``, on the log
            scale:
            ``documents_se``, ``rounds_se``, ``cell_sd`` (of a cell of the variant), ``cores_sd``
            (between cores), ``noisier`` (has a variance of its own). Of the variant alone, in ms:
            ``p95_ms`` of the forward pass, ``p95_ms_bound`` and ``p95_ms_refused``
            (:mod:`ptdq.statistics.tail_bound`).
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
        of_length = table[table["max_length"] == length]
        present = set(of_length["variant"].unique())
        here = [name for name in names if name in present]
        if here[0] != baseline:
            notes.append(f"{baseline} has no cell at {length} tokens: nothing is compared there")
            continue
        arrays = length_times(of_length, here, int(length))
        notes += arrays.notes
        data = _Length(here, int(length), arrays, level, seed)
        new = [{"baseline": baseline, "variant": n, "max_length": int(length)} for n in here[1:]]
        for measure in MEASURES:
            measured = data.measure(measure)
            for row, columns in zip(new, measured.columns, strict=True):
                row |= columns
            estimates[measure] += measured.estimates
            best += measured.best
            winners += measured.winner
        for other, row in enumerate(new, start=1):
            row |= data.tail(other)
        rows += new
        for columns, estimate in data.buckets(baseline):
            buckets.append(columns)
            estimates["bucket"].append(estimate)
    for measure, prefix in VERDICTS.items():
        _judge(rows, estimates[measure], prefix, measure, min_effect, level)
    _judge(buckets, estimates["bucket"], "", "speedup", min_effect, level)
    return Analysis(
        pd.DataFrame(rows),
        pd.DataFrame(buckets),
        pd.DataFrame(best),
        pd.DataFrame(winners),
        tuple(notes),
    )


def _judge(
    rows: list[dict[str, Any]],
    estimates: Sequence[Estimate | None],
    prefix: str,
    measure: str,
    min_effect: float,
    level: float,
) -> None:
    """Add verdicts and adjusted p-values, which are those of all rows together."""
    p_values = [row[f"{measure}_p"] for row in rows]
    judged, adjusted = verdicts(estimates, p_values, min_effect, level)
    name = f"{prefix}_verdict" if prefix else "verdict"
    for row, verdict, p_value in zip(rows, judged, adjusted, strict=True):
        row[name] = verdict
        row[f"{measure}_p_adjusted"] = float(p_value)


@dataclass(frozen=True)
class _Found:
    """Of one measure at one length."""

    columns: list[dict[str, Any]]
    estimates: list[Estimate | None]
    best: list[dict[str, Any]]
    winner: list[dict[str, Any]]


@dataclass(frozen=True)
class _Length:
    """Times of one maximum length, and how to look at them."""

    names: list[str]
    max_length: int
    times: LengthTimes
    level: float
    seed: int

    def measure(self, name: str) -> _Found:
        """Columns of each comparison with the first variant, and which variant is the best."""
        data = self.times.total if name == "speedup_total" else self.times.forward
        comparer = Comparer(data, MEASURES[name], self.seed)
        others = range(1, len(self.names))
        compared = [None if comparer.refused(0, o) else comparer.compare(0, o) for o in others]
        columns = [self._columns(comparer, name, o, e) for o, e in zip(others, compared, strict=True)]
        known = [i for i, estimate in enumerate(compared) if estimate is not None]
        if not known:
            return _Found(columns, compared, [], [])
        kept = [estimate for estimate in compared if estimate is not None]
        indices = [i + 1 for i in known]
        first = winner(kept, self._leads(comparer, indices, kept), self.level)
        everyone = [0, *indices]
        best = best_set(self._leads(comparer, everyone, [None, *kept]), self.level)
        tail = (1 - self.level) / 2 / len(known)
        for place, i in enumerate(known):
            estimate = compared[i]
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
        in_best = [{**key, "variant": self.names[everyone[i]]} for i in best]
        return _Found(columns, compared, in_best, [{**key, **self._winner(first, known)}])

    def _leads(
        self, comparer: Comparer, variants: list[int], speedups: Sequence[Estimate | None]
    ) -> list[Estimate | None]:
        """How much faster the fastest of some variants is than each; None for itself and no speed-up."""
        values = [0.0 if estimate is None else estimate.value for estimate in speedups]
        first = variants[int(np.argmax(values))]
        return [None if each == first else comparer.compare(each, first) for each in variants]

    def _winner(self, first: Winner, known: list[int]) -> dict[str, Any]:
        return {
            "variant": self.names[known[first.index] + 1],
            "speedup": float(np.exp(first.value)),
            "low": float(np.exp(first.low)),
            "high": float(np.exp(first.high)),
            "contenders": first.contenders,
        }

    def _columns(
        self, comparer: Comparer, name: str, other: int, estimate: Estimate | None
    ) -> dict[str, Any]:
        columns = _ratio(name, comparer, other, estimate, self.level)
        if name == "speedup_total":
            present = comparer.fit.layout.present
            effects = comparer.fit.core_effects
            columns |= {
                "documents": self.times.forward.documents,
                "rounds": int((present[0] & present[other]).sum()),
                "documents_se": None if estimate is None else max(0.0, estimate.document_variance) ** 0.5,
                "rounds_se": None if estimate is None else estimate.round_variance**0.5,
                "cell_sd": float(np.sqrt(comparer.fit.variances[other])),
                "cores_sd": float(effects.std(ddof=1)) if len(effects) > 1 else None,
                "noisier": other in comparer.fit.alone,
            }
        return columns

    def tail(self, variant: int) -> dict[str, Any]:
        """Columns of the 95th percentile of a variant's forward pass, and of its bound."""
        measured = self.times.forward
        rounds = measured.times[variant, measured.cores[variant] >= 0]
        if not len(rounds):
            return {"p95_ms": None, "p95_ms_bound": None, "p95_ms_refused": "no round is complete"}
        bound = tail_bound(rounds / NS_PER_MS)
        return {
            "p95_ms": bound.value,
            "p95_ms_bound": bound.bound,
            "p95_ms_refused": bound.refused,
        }

    def buckets(self, baseline: str) -> list[tuple[dict[str, Any], Estimate | None]]:
        """Columns for each comparison and bucket; nothing where the documents make up a single one."""
        if self.times.tokens is None or len(self.names) < 2:
            return []
        edges = bucket_edges(self.times.tokens)
        if not edges:
            return []
        rows = []
        place = np.searchsorted(np.asarray(edges), self.times.tokens, side="right")
        for bucket in np.unique(place):
            inside = place == bucket
            comparer = Comparer(self.times.forward.only(inside), MEDIAN, self.seed)
            held = self.times.tokens[inside]
            for other in range(1, len(self.names)):
                estimate = None if comparer.refused(0, other) else comparer.compare(0, other)
                columns = {
                    "baseline": baseline,
                    "variant": self.names[other],
                    "max_length": self.max_length,
                    "tokens_from": int(held.min()),
                    "tokens_to": int(held.max()),
                    "documents": int(inside.sum()),
                    **_ratio("speedup", comparer, other, estimate, self.level),
                }
                rows.append((columns, estimate))
        return rows


def _ratio(
    name: str, comparer: Comparer, other: int, estimate: Estimate | None, level: float
) -> dict[str, Any]:
    """Columns of the speed-up over the first variant, with its interval."""
    columns = {
        name: float(np.exp(comparer.point(0, other))),
        f"{name}_refused": comparer.refused(0, other),
        **dict.fromkeys([f"{name}_{end}" for end in ENDS]),
    }
    if estimate is None:
        return columns
    tail = (1 - level) / 2
    return columns | {
        f"{name}_low": float(np.exp(estimate.low(tail))),
        f"{name}_high": float(np.exp(estimate.high(tail))),
        f"{name}_interval_kind": ONE,
        f"{name}_p": comparer.p_value(estimate, 0, other),
        f"{name}_df": estimate.round_df,
    }
