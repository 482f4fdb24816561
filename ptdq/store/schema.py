"""Every table that a run leaves behind: columns, types, meaning and the schema's version.

This is the one place that declares columns. Units are in the names: ``_ns``, ``_ms``, ``_seconds``,
``_bytes``. Ids of documents are strings, stable for the same file and row.

A reader refuses a version newer than its own (:func:`ptdq.store.tables.read_table`). History:

* 1: first version.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

SCHEMA_VERSION = 1

_TEXT = pa.string()
_INT = pa.int64()
_FLOAT = pa.float64()
_BOOL = pa.bool_()
_NAMES = pa.list_(pa.string())

Columns = Sequence[tuple[str, pa.DataType, str]]

_CELL_KEY: Columns = [
    ("run_id", _TEXT, "the run"),
    ("variant", _TEXT, "name of the variant"),
    ("max_length", _INT, "documents are truncated to this many tokens"),
    ("repeat", _INT, "round, from 0"),
]

_PLACE: Columns = [
    ("core", _INT, "core the cell was placed on; -1 where the system cannot pin"),
    ("order", _INT, "place of the cell in the queue of its core, from 0"),
]


def _latency(prefix: str, what: str) -> Columns:
    return [
        (f"{prefix}_mean_ms", _FLOAT, f"mean {what}"),
        (f"{prefix}_p50_ms", _FLOAT, f"median {what}"),
        (f"{prefix}_p90_ms", _FLOAT, f"90th percentile of {what}"),
        (f"{prefix}_p95_ms", _FLOAT, f"95th percentile of {what}"),
        (f"{prefix}_p99_ms", _FLOAT, f"99th percentile of {what}"),
        (f"{prefix}_max_ms", _FLOAT, f"largest {what}"),
    ]


_QUALITY: Columns = [
    (name, _FLOAT, f"{text}, as scikit-learn defines it; null where quality is not claimed")
    for name, text in (
        ("accuracy", "accuracy"),
        ("precision_macro", "macro precision"),
        ("recall_macro", "macro recall"),
        ("f1_macro", "macro F1"),
        ("precision_weighted", "weighted precision"),
        ("recall_weighted", "weighted recall"),
        ("f1_weighted", "weighted F1"),
    )
]

# What the worker reads back of its own process and core; filled by ptdq.measure.worker.
READ_BACK: Columns = [
    ("pinned", _BOOL, "whether the process was pinned to its core"),
    ("affinity", pa.list_(_INT), "cores that the process was allowed on, read back"),
    ("runtime_threads", _INT, "threads that the runtime says it has; null where it does not say"),
    ("torch_threads", _INT, "torch.get_num_threads(), read back; null where torch is not loaded"),
    ("interop_threads", _INT, "torch.get_num_interop_threads(), read back; null as before"),
    ("engine", _TEXT, "torch.backends.quantized.engine, read back; null as before"),
    ("peak_rss_bytes", _INT, "largest resident set of the worker"),
    ("load_seconds", _FLOAT, "artifact to callable"),
    ("start_seconds", _FLOAT, "start of the process to the first document, loading included"),
    ("warmup_seconds", _FLOAT, "warm-up, first calls of each shape included"),
    ("met", _BOOL, "whether cells that were to run at once with this one did begin at once"),
    ("wall_seconds", _FLOAT, "start of the process to its last result"),
    ("cpu_seconds", _FLOAT, "processor time while documents were evaluated, all threads"),
    ("measure_seconds", _FLOAT, "wall time while documents were evaluated"),
    ("started_at", pa.timestamp("us", tz="UTC"), "start of the process"),
    ("ended_at", pa.timestamp("us", tz="UTC"), "last result"),
    ("load_average_before", _FLOAT, "one-minute load average before the first document"),
    ("load_average_after", _FLOAT, "the same after the last"),
    ("steal_seconds", _FLOAT, "time the hypervisor took from this core meanwhile; null if unknown"),
    ("other_seconds", _FLOAT, "time others used this core meanwhile; null if unknown"),
    ("throttle_count", _INT, "thermal throttling events of the core meanwhile; null if unknown"),
    ("frequency_mhz_before", _FLOAT, "clock of the core before; null if unknown"),
    ("frequency_mhz_after", _FLOAT, "the same after"),
    ("involuntary_switches", _INT, "times the worker was taken off its core"),
    ("still_seconds", _FLOAT, "time that the worker stood still: stopped, frozen, or waiting for a disk"),
    ("suspended_seconds", _FLOAT, "time that the machine was suspended meanwhile"),
    ("clock_jump_seconds", _FLOAT, "how far the system's clock was set meanwhile"),
    ("parent_stopped", _BOOL, "whether the run's own process was stopped meanwhile"),
]

_KIND: Columns = [
    ("kind", _TEXT, "quality: all documents, its times decide nothing; timing: some, its times do"),
]

_PREDICTIONS: Columns = [
    *_CELL_KEY,
    *_KIND,
    *_PLACE,
    ("doc_id", _TEXT, "document"),
    ("position", _INT, "place of the document in the cell, warm-up included, from 0"),
    ("batch", _INT, "batch of the cell that the document was in, from 0"),
    ("tokens", _INT, "tokens of the document after truncation, padding not counted"),
    ("truncated", _BOOL, "whether truncation shortened the document"),
    ("label", _INT, "class id in the data"),
    ("prediction", _INT, "class id predicted"),
    ("logits", pa.list_(pa.float32()), "output of the model, one per class"),
    ("tokenize_ns", _INT, "tokenization of the document's batch"),
    ("forward_ns", _INT, "forward pass of the document's batch"),
    ("warmup", _BOOL, "warm-up: kept, and left out of every figure"),
    ("first_of_shape", _BOOL, "warm-up for its shape: the first batch of as many documents and tokens"),
]


def _ratio(prefix: str, what: str) -> Columns:
    return [
        (f"{prefix}", _FLOAT, f"speed-up: {what} of the baseline over that of the variant"),
        (f"{prefix}_low", _FLOAT, "lower end of its 95 % interval; null with too few rounds"),
        (f"{prefix}_high", _FLOAT, "upper end of its 95 % interval; null with too few rounds"),
        (f"{prefix}_refused", _TEXT, "why there is no interval; null where there is one"),
    ]


_TABLES: dict[str, Columns] = {
    "documents": [
        ("doc_id", _TEXT, "stable id: row number and hash of the text"),
        ("text", _TEXT, "the document"),
        ("label", _INT, "class id"),
    ],
    "predictions": _PREDICTIONS,
    # Same columns: documents of the control, in which the other cores idle.
    "control": _PREDICTIONS,
    "cells": [
        *_CELL_KEY,
        *_KIND,
        *_PLACE,
        ("batch_size", _INT, "documents in a batch"),
        ("status", _TEXT, "ok, or failed: a failed cell has an error and no figures"),
        ("error", _TEXT, "why the cell failed; null where it did not"),
        ("documents", _INT, "documents evaluated, warm-up not counted"),
        ("warmup_documents", _INT, "documents evaluated before, and flagged"),
        *_latency("forward", "forward latency of a batch"),
        *_latency("total", "latency of a batch with tokenization"),
        ("documents_per_second", _FLOAT, "documents over the sum of their total latency"),
        *_QUALITY,
        *READ_BACK,
        ("warmup_suggested", _INT, "first documents that differ from the rest, from the data"),
        ("drift", _FLOAT, "trend at the end of the cell: log of the change over its second half"),
        ("step_at", _INT, "document at which the level of the times shifts; null if it does not"),
        ("step_ratio", _FLOAT, "level after over level before the shift; null if it does not"),
        ("flags", _NAMES, "what was out of line while the cell ran, in words"),
    ],
    "classes": [
        *_CELL_KEY,
        ("class_id", _INT, "class"),
        ("class_name", _TEXT, "its name in the model's id2label"),
        ("precision", _FLOAT, "precision"),
        ("recall", _FLOAT, "recall"),
        ("f1", _FLOAT, "F1"),
        ("support", _INT, "documents of the class"),
    ],
    "variants": [
        ("run_id", _TEXT, "the run"),
        ("variant", _TEXT, "name of the variant"),
        ("digest", _TEXT, "content hash of the artifact"),
        ("artifact_bytes", _INT, "size of the artifact's files"),
        ("state_dict_bytes", _INT, "size of torch.save(state_dict()); null without a torch module"),
        ("converted", _NAMES, "modules that were converted"),
        ("kept_float", _NAMES, "modules with parameters that stayed float32"),
        ("engine", _TEXT, "quantized engine that it was prepared for"),
        (
            "prepare_seconds",
            _FLOAT,
            "checkpoint to artifact, compilation included, when it was made",
        ),
        ("cached", _BOOL, "whether the artifact was there already"),
        ("details", _TEXT, "JSON: what else the variant says of its preparation"),
    ],
    "comparisons": [
        ("run_id", _TEXT, "the run"),
        ("baseline", _TEXT, "variant compared against"),
        ("variant", _TEXT, "variant compared"),
        ("max_length", _INT, "maximum length"),
        ("rounds", _INT, "rounds with both variants"),
        ("documents", _INT, "documents that both evaluated"),
        *_ratio("speedup", "median forward latency"),
        *_ratio("speedup_p95", "95th percentile of forward latency"),
        ("round_speedups", pa.list_(_FLOAT), "ratio of medians in each round"),
        ("noise_floor", _FLOAT, "ratio that nine of ten A/A comparisons stay below, above 1"),
        ("latency_verdict", _TEXT, "faster, slower, or no detectable difference"),
        (
            "rounds_needed",
            _INT,
            "estimate: rounds in all that would settle it; null if settled, out of reach, or "
            "without an interval",
        ),
        ("confounded", _TEXT, "why the timings cannot be compared; null where they can"),
        ("accuracy_difference", _FLOAT, "variant minus baseline; null where not claimed"),
        ("accuracy_difference_low", _FLOAT, "lower end of its 95 % interval"),
        ("accuracy_difference_high", _FLOAT, "upper end of its 95 % interval"),
        ("f1_macro_difference", _FLOAT, "variant minus baseline"),
        ("f1_macro_difference_low", _FLOAT, "lower end of its 95 % interval"),
        ("f1_macro_difference_high", _FLOAT, "upper end of its 95 % interval"),
        ("f1_weighted_difference", _FLOAT, "variant minus baseline"),
        ("f1_weighted_difference_low", _FLOAT, "lower end of its 95 % interval"),
        ("f1_weighted_difference_high", _FLOAT, "upper end of its 95 % interval"),
        ("f1_ratio", _FLOAT, "weighted F1 of the variant over that of the baseline"),
        ("f1_ratio_low", _FLOAT, "one-sided 95 % lower bound of it"),
        ("non_inferiority", _TEXT, "non-inferior, inferior, or undecided, at the run's margin"),
        (
            "documents_needed",
            _INT,
            "estimate: documents in all that would decide it; null if decided, or out of reach",
        ),
        ("discordant_better", _INT, "documents right in the variant only"),
        ("discordant_worse", _INT, "documents right in the baseline only"),
        ("mcnemar_p", _FLOAT, "exact McNemar, two-sided"),
        ("agreement", _FLOAT, "share of documents with the same prediction"),
        ("kappa", _FLOAT, "Cohen's kappa of the two predictions"),
        ("largest_logit_difference", _FLOAT, "over documents and classes"),
        ("class_changes", _TEXT, "JSON: per class, change of recall, p and Holm-corrected p"),
    ],
    "buckets": [
        ("run_id", _TEXT, "the run"),
        ("baseline", _TEXT, "variant compared against"),
        ("variant", _TEXT, "variant compared"),
        ("max_length", _INT, "maximum length"),
        ("tokens_from", _INT, "shortest document of the bucket, in tokens"),
        ("tokens_to", _INT, "longest document of the bucket, in tokens"),
        ("documents", _INT, "documents in it"),
        *_ratio("speedup", "median forward latency"),
    ],
    "interference": [
        ("run_id", _TEXT, "the run"),
        ("variant", _TEXT, "variant"),
        ("max_length", _INT, "maximum length"),
        ("documents", _INT, "documents of the control"),
        ("solo_p50_ms", _FLOAT, "median forward latency, other cores idle"),
        ("parallel_p50_ms", _FLOAT, "median over the same documents and core, other cores busy"),
        ("slowdown", _FLOAT, "the second over the first"),
    ],
}

_BEYOND_A_RUN: dict[str, Columns] = {
    "shard": [
        ("doc_id", _TEXT, "document"),
        ("label", _INT, "class id in the data"),
        ("prediction", _INT, "class id predicted"),
        ("logits", pa.list_(pa.float32()), "output of the model, one per class"),
        ("tokens", _INT, "tokens of the document after truncation, padding not counted"),
    ],
    # In the order of harm, most harmful first.
    "sensitivity": [
        ("sensitivity_id", _TEXT, "the study"),
        ("name", _TEXT, "module, or prefix of modules, that alone was quantized; for keep_float"),
        ("modules", _NAMES, "the modules"),
        ("parameters", _INT, "their parameters"),
        ("max_length", _INT, "documents are truncated to this many tokens; modules are timed at it"),
        ("documents", _INT, "documents evaluated"),
        ("divergence", _FLOAT, "harm: mean Kullback-Leibler divergence from float32's predictions, nats"),
        ("mean_squared", _FLOAT, "mean squared difference of logits"),
        ("largest", _FLOAT, "largest absolute difference of logits"),
        ("changed", _INT, "documents with another prediction"),
        ("f1_weighted", _FLOAT, "weighted F1 with these modules alone quantized"),
        ("f1_weighted_difference", _FLOAT, "the same minus that of float32"),
        ("float_ms", _FLOAT, "median time of these modules alone in a forward pass; null if not called"),
        ("int8_ms", _FLOAT, "the same quantized, timed in turns with it"),
        ("gain_ms", _FLOAT, "median of the differences of pairs; positive: int8 is faster"),
        ("gain_low_ms", _FLOAT, "lower end of the 95 % interval of that median, within the process"),
        ("gain_high_ms", _FLOAT, "upper end of it"),
        ("pairs", _INT, "pairs of timings"),
        ("kept", _BOOL, "whether the choice keeps them in float"),
    ],
    "matrix": [
        ("matrix_id", _TEXT, "the matrix"),
        ("machine", _TEXT, "deployment that the run was given to; a kind of machine"),
        ("model", _TEXT, "checkpoint, as it was asked for"),
        ("max_length", _INT, "documents are truncated to this many tokens"),
        ("run_id", _TEXT, "the run, in the matrix's directory runs/"),
        ("status", _TEXT, "ok, or failed: then there may be no figures"),
        ("error", _TEXT, "why the run failed; null where it did not"),
        ("cpu", _TEXT, "the CPU's name as its maker gives it"),
        ("flags", _NAMES, "those of the CPU's flags that matter for quantized inference"),
        ("cores", _INT, "cores that the run used, one cell on each"),
        ("cores_usable", _INT, "cores that it could have used"),
        ("memory_bytes", _INT, "memory of the machine"),
        ("system", _TEXT, "operating system"),
        ("node", _TEXT, "name of the machine"),
        ("isolation", _TEXT, "parallel: all cores were busy at once; solo: one at a time"),
        ("variant", _TEXT, "name of the variant; null in a run without figures"),
        ("rounds", _INT, "rounds that finished"),
        ("forward_p50_ms", _FLOAT, "median forward latency of a batch; median over rounds"),
        ("forward_p95_ms", _FLOAT, "95th percentile of it; median over rounds"),
        ("total_mean_ms", _FLOAT, "mean latency with tokenization; mean over rounds"),
        ("documents_per_second", _FLOAT, "documents per second of one core"),
        *_ratio("speedup", "median forward latency, on the same machine,"),
        ("noise_floor", _FLOAT, "ratio that nine of ten A/A comparisons stay below, above 1"),
        ("latency_verdict", _TEXT, "faster, slower, or no detectable difference; null: the baseline"),
        ("f1_weighted", _FLOAT, "weighted F1; null where quality is not claimed"),
        ("accuracy", _FLOAT, "accuracy; null where quality is not claimed"),
        ("f1_weighted_difference", _FLOAT, "variant minus baseline, on the same machine"),
        ("f1_weighted_difference_low", _FLOAT, "lower end of its 95 % interval"),
        ("f1_weighted_difference_high", _FLOAT, "upper end of its 95 % interval"),
        ("non_inferiority", _TEXT, "non-inferior, inferior, or undecided, at the run's margin"),
        ("artifact_bytes", _INT, "size of the artifact's files"),
        ("cells_flagged", _INT, "cells of the run in which something was out of line"),
    ],
}


def schema(table: str) -> pa.Schema:
    """The pyarrow schema of ``table``, with each column's meaning as field metadata."""
    columns = (_TABLES | _BEYOND_A_RUN)[table]
    fields = [pa.field(name, kind, metadata={"description": text}) for name, kind, text in columns]
    return pa.schema(fields, metadata={"ptdq_table": table, "ptdq_schema": str(SCHEMA_VERSION)})


def tables() -> list[str]:
    """Names of the tables of a run."""
    return list(_TABLES)
