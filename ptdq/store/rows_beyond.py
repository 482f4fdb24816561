"""The tables of what is not a single run: shards of an evaluation, sensitivity studies, matrices.

Declared as in :mod:`ptdq.store.rows`.
"""

from __future__ import annotations

from typing import Annotated, TypedDict

from ptdq.store.rows import (
    Float,
    Float32s,
    Floats,
    Int,
    Names,
    NonInferiority,
    OldVerdict,
    Status,
    Text,
    Verdict,
)


class ShardRow(TypedDict, total=False):
    """``shard``: one document of a sharded evaluation."""

    doc_id: Annotated[str, "document"]
    label: Annotated[Int, "class id in the data; null where the task has no classes"]
    prediction: Annotated[Int, "class id predicted; null as before"]
    target: Annotated[Floats, "what is true where it is not one class, as in the documents; else null"]
    logits: Annotated[Float32s, "output of the model, one per class"]
    tokens: Annotated[int, "tokens of the document after truncation, padding not counted"]
    group: Annotated[
        Text, "documents of one group belong together; of a reranker the query; null: none was named"
    ]


class SensitivityRow(TypedDict, total=False):
    """``sensitivity``: modules that alone were quantized; the most harmful come first."""

    sensitivity_id: Annotated[str, "the study"]
    name: Annotated[str, "module, or prefix of modules, that alone was quantized; for keep_float"]
    modules: Annotated[list[str], "the modules"]
    parameters: Annotated[int, "their parameters"]
    max_length: Annotated[int, "documents are truncated to this many tokens; modules are timed at it"]
    documents: Annotated[int, "documents evaluated"]
    divergence: Annotated[float, "harm: mean Kullback-Leibler divergence from float32's answers, nats"]
    mean_squared: Annotated[float, "mean squared difference of logits"]
    largest: Annotated[float, "largest absolute difference of logits"]
    changed: Annotated[
        Int,
        "documents with another prediction or other labels, or queries in another order; null where "
        "answers are numbers",
    ]
    main: Annotated[float, "main measure of the task with these modules alone quantized"]
    main_difference: Annotated[float, "the same minus that of float32"]
    float_ms: Annotated[Float, "median time of these modules alone in a forward pass; null if not called"]
    int8_ms: Annotated[Float, "the same quantized, timed in turns with it"]
    gain_ms: Annotated[Float, "median of the differences of pairs; positive: int8 is faster"]
    gain_low_ms: Annotated[Float, "lower end of the 95 % interval of that median, within the process"]
    gain_high_ms: Annotated[Float, "upper end of it"]
    pairs: Annotated[Int, "pairs of timings"]
    kept: Annotated[bool, "whether the choice keeps them in float"]


class MatrixRow(TypedDict, total=False):
    """``matrix``: one variant in one run of a matrix, or a run that has no figures."""

    matrix_id: Annotated[str, "the matrix"]
    machine: Annotated[str, "deployment that the run was given to; a kind of machine"]
    model: Annotated[str, "checkpoint, as it was asked for"]
    max_length: Annotated[int, "documents are truncated to this many tokens"]
    run_id: Annotated[str, "the run, in the matrix's directory runs/"]
    status: Annotated[Status, "ok, or failed: then there may be no figures"]
    error: Annotated[Text, "why the run failed; null where it did not"]
    cpu: Annotated[Text, "the CPU's name as its maker gives it"]
    flags: Annotated[Names, "those of the CPU's flags that matter for quantized inference"]
    cores: Annotated[Int, "cores that the run used, one cell on each"]
    cores_usable: Annotated[Int, "cores that it could have used"]
    memory_bytes: Annotated[Int, "memory of the machine"]
    system: Annotated[Text, "operating system"]
    node: Annotated[Text, "name of the machine"]
    isolation: Annotated[Text, "parallel: all cores were busy at once; solo: one at a time"]
    variant: Annotated[Text, "name of the variant; null in a run without figures"]
    rounds: Annotated[Int, "rounds that finished"]
    forward_p50_ms: Annotated[Float, "median forward latency of a batch; median over rounds"]
    forward_p95_ms: Annotated[Float, "95th percentile of it; median over rounds"]
    total_mean_ms: Annotated[Float, "mean latency with tokenization; mean over rounds"]
    documents_per_second: Annotated[Float, "documents per second of one core"]
    speedup: Annotated[
        Float,
        "speed-up: median forward latency, on the same machine, of the baseline over that of the variant",
    ]
    speedup_low: Annotated[Float, "lower end of its 95 % interval; null with too few rounds"]
    speedup_high: Annotated[Float, "upper end of its 95 % interval; null with too few rounds"]
    speedup_refused: Annotated[Text, "why there is no interval; null where there is one"]
    noise_floor: Annotated[Float, "schema version 1: that of A/A comparisons; null since"]
    latency_verdict: Annotated[Verdict | OldVerdict | None, "as in comparisons; null: the baseline"]
    speedup_total: Annotated[
        Float, "speed-up of the mean time per document, tokenization included, on the same machine"
    ]
    speedup_total_low: Annotated[Float, "lower end of its 95 % interval"]
    speedup_total_high: Annotated[Float, "upper end of its 95 % interval"]
    total_verdict: Annotated[Verdict | None, "as in comparisons; null: the baseline"]
    confounded: Annotated[Text, "why the timings cannot be compared; null where they can"]
    f1_weighted: Annotated[Float, "weighted F1; null where quality is not claimed"]
    accuracy: Annotated[Float, "accuracy; null where quality is not claimed"]
    f1_weighted_difference: Annotated[Float, "variant minus baseline, on the same machine"]
    f1_weighted_difference_low: Annotated[Float, "lower end of its 95 % interval"]
    f1_weighted_difference_high: Annotated[Float, "upper end of its 95 % interval"]
    non_inferiority: Annotated[
        NonInferiority | None, "non-inferior, inferior, or undecided, at the run's margin"
    ]
    documents: Annotated[Int, "documents that quality was compared on"]
    documents_needed: Annotated[
        Int, "estimate: documents in all that would decide the quality; null if decided, or out of reach"
    ]
    artifact_bytes: Annotated[Int, "size of the artifact's files"]
    cells_flagged: Annotated[Int, "cells of the run in which something was out of line"]
