"""From a run's tables to its comparisons: every pair of variants at every length.

Thin over :mod:`ptdq.statistics`: this module picks the arrays and names the columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

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
from ptdq.statistics.ratios import speed_up
from ptdq.store.layout import RunFiles
from ptdq.store.rows import (
    BucketRow,
    ComparisonRow,
    InterferenceRow,
    PairKey,
    PairQuality,
)
from ptdq.store.schema import merge
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
    rows = table.filter(
        pa.compute.and_(
            pa.compute.and_(equal(table["variant"], variant), equal(table["max_length"], max_length)),
            pa.compute.invert(table["warmup"]),
        )
    )
    if rows.num_rows == 0:
        return None
    rounds = sorted(pa.compute.unique(rows["repeat"]).to_pylist())
    cores, times, in_order, tokens, order_tokens, predictions = [], [], [], [], [], []
    labels: Ints = np.empty(0, np.int64)
    logits: NDArray[np.float32] = np.empty((0, 0), np.float32)
    for number in rounds:
        cell = rows.filter(equal(rows["repeat"], number)).sort_by("position")
        first_rows = batches(cell)
        in_order.append(_floats(first_rows, "forward_ns"))
        order_tokens.append(_ints(first_rows, "tokens"))
        by_id = first_rows.sort_by("doc_id")
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


@dataclass(frozen=True)
class Question:
    """What is asked of the comparisons of a run.

    Attributes:
        variants: the first is the baseline of the others; later ones of those after them.
        max_lengths: lengths of the run.
        claim_quality: whether labels mean anything (not with random weights).
        margin: share of the baseline's weighted F1 to keep.
        seed: of the resampling.
        cores: number of cores; rounds are added in multiples of it.
    """

    variants: Sequence[str]
    max_lengths: Sequence[int]
    claim_quality: bool
    margin: float
    seed: int
    cores: int


def write_comparisons(files: RunFiles, question: Question) -> None:
    """Write ``comparisons``, ``buckets`` and ``interference`` from the predictions.

    Args:
        files: of the run, with ``predictions`` (and ``control``) written.
        question: what is asked.
    """
    table = read_table(files.table("predictions"))
    comparisons: list[ComparisonRow] = []
    buckets: list[BucketRow] = []
    for length in question.max_lengths:
        measured = {name: read_measured(table, name, length) for name in question.variants}
        for baseline, variant in combinations(question.variants, 2):
            pair = _shared_rounds(measured[baseline], measured[variant])
            if pair is None:
                continue
            key: PairKey = {
                "run_id": files.run_id,
                "baseline": baseline,
                "variant": variant,
                "max_length": length,
            }
            timing = timing_columns(*pair, seed=question.seed, cores=question.cores)
            comparisons.append(merge(ComparisonRow, key, timing, prediction_columns(*pair, question)))
            if baseline == question.variants[0]:
                for bucket in bucket_columns(*pair, seed=question.seed):
                    buckets.append(merge(BucketRow, key, bucket))
    write_table(files.table("comparisons"), make_table("comparisons", comparisons))
    write_table(files.table("buckets"), make_table("buckets", buckets))
    if files.table("control").is_file():
        rows = interference(read_table(files.table("control")), table, files.run_id)
        write_table(files.table("interference"), make_table("interference", rows))


def _shared_rounds(a: Measured | None, b: Measured | None) -> tuple[Measured, Measured] | None:
    """Two variants in the rounds that both have; None without any."""
    if a is None or b is None:
        return None
    shared = [number for number in a.rounds if number in b.rounds]
    return (a.only(shared), b.only(shared)) if shared else None


def timing_columns(a: Measured, b: Measured, *, seed: int, cores: int) -> ComparisonRow:
    """Columns of ``comparisons`` that are about time."""
    median = speed_up(a.times, b.times, a.cores, b.cores, quantile=0.5, seed=seed)
    tail = speed_up(a.times, b.times, a.cores, b.cores, quantile=0.95, seed=seed)
    row: ComparisonRow = {
        "rounds": len(a.rounds),
        "documents": a.labels.size,
        "speedup": median.point,
        "speedup_low": median.low,
        "speedup_high": median.high,
        "speedup_refused": median.refused,
        "speedup_p95": tail.point,
        "speedup_p95_low": tail.low,
        "speedup_p95_high": tail.high,
        "speedup_p95_refused": tail.refused,
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
        course = confounded(a.in_order, b.in_order, seed=seed)
        row["confounded"] = course.reason if course.confounded else None
    return row


def prediction_columns(a: Measured, b: Measured, question: Question) -> PairQuality:
    """Columns of ``comparisons`` that are about predictions; scores only where they are claimed."""
    first, second = a.predictions[0], b.predictions[0]
    changes = compare_predictions(
        a.labels,
        first,
        second,
        baseline_logits=a.logits,
        variant_logits=b.logits,
        seed=question.seed,
    )
    row: PairQuality = {
        "agreement": changes.agreement,
        "largest_logit_difference": changes.largest_logit_difference,
    }
    if not question.claim_quality:
        return row
    row.update(
        {
            "kappa": changes.kappa,
            "discordant_better": changes.gained,
            "discordant_worse": changes.lost,
            "mcnemar_p": changes.p_value,
            "class_changes": json.dumps([asdict(change) for change in changes.recalls]),
            "accuracy_difference": changes.accuracy.point,
            "accuracy_difference_low": changes.accuracy.low,
            "accuracy_difference_high": changes.accuracy.high,
            "f1_macro_difference": changes.macro_f1.point,
            "f1_macro_difference_low": changes.macro_f1.low,
            "f1_macro_difference_high": changes.macro_f1.high,
            "f1_weighted_difference": changes.weighted_f1.point,
            "f1_weighted_difference_low": changes.weighted_f1.low,
            "f1_weighted_difference_high": changes.weighted_f1.high,
        }
    )
    try:
        kept = non_inferior(a.labels, first, second, margin=question.margin, seed=question.seed)
    except ValueError:
        return row  # a baseline with F1 0 has nothing to keep a share of
    row.update(
        {
            "f1_ratio": kept.ratio,
            "f1_ratio_low": kept.low,
            "non_inferiority": kept.outcome,
            "documents_needed": kept.documents_needed,
        }
    )
    return row


def bucket_columns(a: Measured, b: Measured, *, seed: int) -> list[BucketRow]:
    """Columns of ``buckets``; nothing where the documents are too few or all of one length."""
    edges = bucket_edges(a.tokens)
    return [
        {
            "tokens_from": bucket.shortest,
            "tokens_to": bucket.longest,
            "documents": bucket.documents,
            "speedup": bucket.ratio.point,
            "speedup_low": bucket.ratio.low,
            "speedup_high": bucket.ratio.high,
            "speedup_refused": bucket.ratio.refused,
        }
        for bucket in ratios_by_length(
            a.times, b.times, a.cores, b.cores, a.tokens, edges=edges, seed=seed
        )
    ]


def interference(control: pa.Table, predictions: pa.Table, run_id: str) -> list[InterferenceRow]:
    """Rows of ``interference``: the control's documents on its core, neighbour idle and neighbour busy.

    Nothing of a variant that had no round on that core: the core would be in the ratio.
    """
    rows: list[InterferenceRow] = []
    for variant, length in _variants_and_lengths(control):
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
    at_length = control.filter(pa.compute.equal(control["max_length"], length))
    ids = pa.compute.unique(at_length["doc_id"])
    return read_measured(
        predictions.filter(pa.compute.is_in(predictions["doc_id"], ids)), variant, length
    )


def _variants_and_lengths(table: pa.Table) -> list[tuple[str, int]]:
    keys = table.select(["variant", "max_length"]).group_by(["variant", "max_length"]).aggregate([])
    return sorted(zip(keys["variant"].to_pylist(), keys["max_length"].to_pylist(), strict=True))


def nondeterministic(files: RunFiles, variants: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """Sentences about variants whose predictions are not the same in every repeat."""
    table = read_table(files.table("predictions"))
    said = []
    for variant in variants:
        for length in lengths:
            measured = read_measured(table, variant, length)
            if measured is None:
                continue
            changed = nondeterminism(measured.predictions)
            if not changed.deterministic:
                said.append(
                    f"{variant} at {length} tokens is not deterministic: {len(changed.changed)} of "
                    f"{changed.documents} documents change class between repeats"
                )
    return said
