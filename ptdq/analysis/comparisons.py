"""From a run's tables to its comparisons: every pair of variants at every length.

Thin over :mod:`ptdq.statistics`: this module picks the arrays and names the columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.analysis.aggregate import batches
from ptdq.statistics.buckets import bucket_edges, ratios_by_length
from ptdq.statistics.confounding import confounded
from ptdq.statistics.drift import MIN_DOCUMENTS
from ptdq.statistics.noise import judge, noise_floor, rounds_needed
from ptdq.statistics.non_inferiority import non_inferior
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.quality import nondeterminism
from ptdq.statistics.ratios import Ratio, speed_up
from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table, read_table, write_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """One variant at one length, over its rounds; columns of documents are in the order of ids.

    With batches, a time is that of the batch, in the column of the batch's first document.

    Attributes:
        rounds: repeat of each row [R].
        cores: core of each row [R].
        times: forward times in ns [R, N].
        in_order: the same times in the order in which they were measured [R, N].
        tokens: tokens of each timed document [N].
        tokens_in_order: tokens in the order of measurement [R, N].
        predictions: predicted classes [R, D].
        labels: true classes [D].
        logits: of the first round [D, classes].
    """

    rounds: list[int]
    cores: Ints
    times: Floats
    in_order: Floats
    tokens: Ints
    tokens_in_order: Ints
    predictions: Ints
    labels: Ints
    logits: NDArray[np.float32]

    def only(self, rounds: Sequence[int]) -> Measured:
        """The same for some of the rounds."""
        keep = [self.rounds.index(r) for r in rounds]
        return Measured(
            list(rounds),
            self.cores[keep],
            self.times[keep],
            self.in_order[keep],
            self.tokens,
            self.tokens_in_order[keep],
            self.predictions[keep],
            self.labels,
            self.logits,
        )


def read_measured(table: pa.Table, variant: str, max_length: int) -> Measured | None:
    """Rows of a variant and length as arrays; None where no round finished."""
    equal = pa.compute.equal
    mine = table.filter(
        pa.compute.and_(
            pa.compute.and_(equal(table["variant"], variant), equal(table["max_length"], max_length)),
            pa.compute.invert(table["warmup"]),
        )
    )
    if mine.num_rows == 0:
        return None
    rounds = sorted(pa.compute.unique(mine["repeat"]).to_pylist())
    cores, times, in_order, tokens, order_tokens, predictions = [], [], [], [], [], []
    labels: Ints = np.empty(0, np.int64)
    logits: NDArray[np.float32] = np.empty((0, 0), np.float32)
    for number in rounds:
        cell = mine.filter(equal(mine["repeat"], number)).sort_by("position")
        once = batches(cell)
        in_order.append(_floats(once, "forward_ns"))
        order_tokens.append(_ints(once, "tokens"))
        by_id = once.sort_by("doc_id")
        times.append(_floats(by_id, "forward_ns"))
        tokens.append(_ints(by_id, "tokens"))
        documents = cell.sort_by("doc_id")
        predictions.append(_ints(documents, "prediction"))
        cores.append(cell["core"][0].as_py())
        if number == rounds[0]:
            labels = _ints(documents, "label")
            flat = documents["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            logits = flat.reshape(documents.num_rows, -1)
    return Measured(
        rounds,
        np.asarray(cores, np.int64),
        np.stack(times),
        np.stack(in_order),
        tokens[0],
        np.stack(order_tokens),
        np.stack(predictions),
        labels,
        logits,
    )


def _floats(table: pa.Table, name: str) -> Floats:
    return table[name].to_numpy().astype(np.float64)  # type: ignore[no-any-return]


def _ints(table: pa.Table, name: str) -> Ints:
    return table[name].to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def write_comparisons(
    files: RunFiles,
    variants: Sequence[str],
    max_lengths: Sequence[int],
    *,
    claim_quality: bool,
    margin: float,
    seed: int,
    cores: int,
) -> None:
    """Write ``comparisons``, ``buckets`` and ``interference`` from the predictions.

    Args:
        files: of the run, with ``predictions`` (and ``control``) written.
        variants: the first is the baseline of the others; later ones of those after them.
        max_lengths: lengths of the run.
        claim_quality: whether labels mean anything (not with random weights).
        margin: share of the baseline's weighted F1 to keep.
        seed: of the resampling.
        cores: number of cores; rounds are added in multiples of it.
    """
    table = read_table(files.table("predictions"))
    comparisons: list[dict[str, Any]] = []
    buckets: list[dict[str, Any]] = []
    for length in max_lengths:
        found = {name: read_measured(table, name, length) for name in variants}
        for baseline, variant in combinations(variants, 2):
            a, b = found[baseline], found[variant]
            if a is None or b is None:
                continue
            shared = [r for r in a.rounds if r in b.rounds]
            if not shared:
                continue
            a, b = a.only(shared), b.only(shared)
            key = {
                "run_id": files.run_id,
                "baseline": baseline,
                "variant": variant,
                "max_length": length,
            }
            row: dict[str, Any] = {**key, "rounds": len(shared), "documents": a.labels.size}
            row |= timing_columns(a, b, seed=seed, cores=cores)
            row |= prediction_columns(a, b, seed=seed, margin=margin, claim_quality=claim_quality)
            comparisons.append(row)
            if baseline == variants[0]:
                buckets += [{**key, **columns} for columns in bucket_columns(a, b, seed=seed)]
    write_table(files.table("comparisons"), make_table("comparisons", comparisons))
    write_table(files.table("buckets"), make_table("buckets", buckets))
    if files.table("control").is_file():
        rows = interference(read_table(files.table("control")), table, files.run_id)
        write_table(files.table("interference"), make_table("interference", rows))


def timing_columns(a: Measured, b: Measured, *, seed: int, cores: int) -> dict[str, Any]:
    """Columns of ``comparisons`` that are about time."""
    median = speed_up(a.times, b.times, a.cores, b.cores, quantile=0.5, seed=seed)
    tail = speed_up(a.times, b.times, a.cores, b.cores, quantile=0.95, seed=seed)
    row: dict[str, Any] = {
        **_ratio_columns("speedup", median),
        **_ratio_columns("speedup_p95", tail),
        "round_speedups": list(median.per_round),
        "latency_verdict": "no detectable difference",
    }
    if len(a.rounds) > 1:
        floor = noise_floor(np.stack([a.times, b.times]), np.stack([a.cores, b.cores]))
        needed = rounds_needed(median, a.times.shape[1], floor=floor, step=max(cores, 2))
        row["noise_floor"] = floor.floor
        row["latency_verdict"] = judge(median, floor)
        if needed.more:
            row["rounds_needed"] = len(a.rounds) + needed.more
    if a.in_order.shape[1] >= MIN_DOCUMENTS:
        found = confounded(a.in_order, b.in_order, seed=seed)
        row["confounded"] = found.reason if found.confounded else None
    return row


def prediction_columns(
    a: Measured, b: Measured, *, seed: int, margin: float, claim_quality: bool
) -> dict[str, Any]:
    """Columns of ``comparisons`` that are about predictions; scores only where they are claimed."""
    first, second = a.predictions[0], b.predictions[0]
    found = compare_predictions(
        a.labels, first, second, baseline_logits=a.logits, variant_logits=b.logits, seed=seed
    )
    row: dict[str, Any] = {
        "agreement": found.agreement,
        "largest_logit_difference": found.largest_logit_difference,
    }
    if not claim_quality:
        return row
    row |= {
        "kappa": found.kappa,
        "discordant_better": found.gained,
        "discordant_worse": found.lost,
        "mcnemar_p": found.p_value,
        "class_changes": json.dumps([asdict(change) for change in found.recalls]),
    }
    for name, difference in (
        ("accuracy", found.accuracy),
        ("f1_macro", found.macro_f1),
        ("f1_weighted", found.weighted_f1),
    ):
        row[f"{name}_difference"] = difference.point
        row[f"{name}_difference_low"] = difference.low
        row[f"{name}_difference_high"] = difference.high
    try:
        kept = non_inferior(a.labels, first, second, margin=margin, seed=seed)
    except ValueError:
        return row  # a baseline with F1 0 has nothing to keep a share of
    row |= {
        "f1_ratio": kept.ratio,
        "f1_ratio_low": kept.low,
        "non_inferiority": kept.outcome,
        "documents_needed": kept.documents_needed,
    }
    return row


def bucket_columns(a: Measured, b: Measured, *, seed: int) -> list[dict[str, Any]]:
    """Columns of ``buckets``; nothing where the documents are too few or all of one length."""
    edges = bucket_edges(a.tokens)
    return [
        {
            "tokens_from": bucket.shortest,
            "tokens_to": bucket.longest,
            "documents": bucket.documents,
            **_ratio_columns("speedup", bucket.ratio),
        }
        for bucket in ratios_by_length(
            a.times, b.times, a.cores, b.cores, a.tokens, edges=edges, seed=seed
        )
    ]


def _ratio_columns(name: str, ratio: Ratio) -> dict[str, float | str | None]:
    return {
        name: ratio.point,
        f"{name}_low": ratio.low,
        f"{name}_high": ratio.high,
        f"{name}_refused": ratio.refused,
    }


def interference(control: pa.Table, predictions: pa.Table, run_id: str) -> list[dict[str, Any]]:
    """Rows of ``interference``: the control's documents on its core, neighbour idle and neighbour busy.

    Nothing of a variant that had no round on that core: the core would be in the ratio.
    """
    pairs = sorted({(r["variant"], r["max_length"]) for r in _keys(control)})
    rows = []
    for variant, length in pairs:
        alone = read_measured(control, variant, length)
        if alone is None:
            continue
        on_core = predictions.filter(pa.compute.equal(predictions["core"], int(alone.cores[0])))
        busy = _same_documents(control, on_core, variant, length)
        if busy is None:
            continue
        solo, parallel = np.median(alone.times), np.median(busy.times)
        rows.append(
            {
                "run_id": run_id,
                "variant": variant,
                "max_length": length,
                "documents": alone.times.shape[1],
                "solo_p50_ms": float(solo) / 1e6,
                "parallel_p50_ms": float(parallel) / 1e6,
                "slowdown": float(parallel / solo),
            }
        )
    return rows


def _same_documents(
    control: pa.Table, predictions: pa.Table, variant: str, length: int
) -> Measured | None:
    mine = control.filter(pa.compute.equal(control["max_length"], length))
    ids = pa.compute.unique(mine["doc_id"])
    return read_measured(
        predictions.filter(pa.compute.is_in(predictions["doc_id"], ids)), variant, length
    )


def _keys(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        table.select(["variant", "max_length"])
        .group_by(["variant", "max_length"])
        .aggregate([])
        .to_pylist()
    )
    return found


def nondeterministic(files: RunFiles, variants: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """Sentences about variants whose predictions are not the same in every repeat."""
    table = read_table(files.table("predictions"))
    found = []
    for variant in variants:
        for length in lengths:
            measured = read_measured(table, variant, length)
            if measured is None:
                continue
            changed = nondeterminism(measured.predictions)
            if not changed.deterministic:
                found.append(
                    f"{variant} at {length} tokens is not deterministic: {len(changed.changed)} of "
                    f"{changed.documents} documents change class between repeats"
                )
    return found
