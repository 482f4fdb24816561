"""The tables that a run leaves behind: one class a table, one field a column, with type and meaning.

This is the one place that declares columns. :mod:`ptdq.store.schema` derives the schema of the files from
these classes, and mypy checks every use of a row against them. A row that is being made may lack columns,
which become null; a row that was read has all of them.

Units are in the names: ``_ns``, ``_ms``, ``_seconds``, ``_bytes``. Ids of documents are strings, stable
for the same file and row. Of a text that can only be one of a few, the type names them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypedDict

import pyarrow as pa

Text = str | None
Int = int | None
Float = float | None
Bool = bool | None
Names = list[str] | None
Ints = list[int] | None
Floats = list[float] | None
Float32s = Annotated[list[float], pa.list_(pa.float32())]
Moment = datetime | None

Verdict = Literal["faster", "slower", "the same", "can't tell"]
OldVerdict = Literal["no detectable difference"]
"""Of schema version 1."""
NonInferiority = Literal["non-inferior", "inferior", "undecided"]
Status = Literal["ok", "failed"]
Kind = Literal["quality", "timing"]
IntervalKind = Literal["one comparison", "picked as fastest"]
Measure = Literal["speedup", "speedup_p95", "speedup_total"]


class Place(TypedDict, total=False):
    """What every row about a variant at a length has."""

    run_id: Annotated[str, "the run"]
    variant: Annotated[str, "name of the variant"]
    max_length: Annotated[int, "documents are truncated to this many tokens"]


class CellKey(Place, total=False):
    """Which cell a row is about."""

    repeat: Annotated[int, "round, from 0; -1: a cell for quality, which is in no round"]


class Placed(CellKey, total=False):
    """Which cell, what it is for, and where it ran."""

    kind: Annotated[
        Kind | None,
        "quality: all documents, its times decide nothing; timing: some, its times do; null before "
        "schema version 2: both",
    ]

    core: Annotated[int, "core the cell was placed on; -1 where the system cannot pin"]
    order: Annotated[int, "place of the cell in the queue of its core, from 0"]


class Latencies(TypedDict, total=False):
    """Latency of the batches of a cell."""

    forward_mean_ms: Annotated[Float, "mean forward latency of a batch"]
    forward_p50_ms: Annotated[Float, "median forward latency of a batch"]
    forward_p90_ms: Annotated[Float, "90th percentile of forward latency of a batch"]
    forward_p95_ms: Annotated[Float, "95th percentile of forward latency of a batch"]
    forward_p99_ms: Annotated[Float, "99th percentile of forward latency of a batch"]
    forward_max_ms: Annotated[Float, "largest forward latency of a batch"]
    total_mean_ms: Annotated[Float, "mean latency of a batch with tokenization"]
    total_p50_ms: Annotated[Float, "median latency of a batch with tokenization"]
    total_p90_ms: Annotated[Float, "90th percentile of latency of a batch with tokenization"]
    total_p95_ms: Annotated[Float, "95th percentile of latency of a batch with tokenization"]
    total_p99_ms: Annotated[Float, "99th percentile of latency of a batch with tokenization"]
    total_max_ms: Annotated[Float, "largest latency of a batch with tokenization"]
    documents_per_second: Annotated[Float, "documents over the sum of their total latency"]


class Scores(TypedDict, total=False):
    """Quality of the predictions of a cell."""

    accuracy: Annotated[Float, "accuracy, as scikit-learn defines it; null where quality is not claimed"]
    precision_macro: Annotated[
        Float, "macro precision, as scikit-learn defines it; null where quality is not claimed"
    ]
    recall_macro: Annotated[
        Float, "macro recall, as scikit-learn defines it; null where quality is not claimed"
    ]
    f1_macro: Annotated[Float, "macro F1, as scikit-learn defines it; null where quality is not claimed"]
    precision_weighted: Annotated[
        Float, "weighted precision, as scikit-learn defines it; null where quality is not claimed"
    ]
    recall_weighted: Annotated[
        Float, "weighted recall, as scikit-learn defines it; null where quality is not claimed"
    ]
    f1_weighted: Annotated[
        Float, "weighted F1, as scikit-learn defines it; null where quality is not claimed"
    ]


class ReadBack(TypedDict, total=False):
    """What the worker reads back of its own process and core; filled by ptdq.measure.worker."""

    pinned: Annotated[Bool, "whether the process was pinned to its core"]
    affinity: Annotated[Ints, "cores that the process was allowed on, read back"]
    runtime_threads: Annotated[Int, "threads that the runtime says it has; null where it does not say"]
    torch_threads: Annotated[Int, "torch.get_num_threads(), read back; null where torch is not loaded"]
    interop_threads: Annotated[Int, "torch.get_num_interop_threads(), read back; null as before"]
    engine: Annotated[Text, "torch.backends.quantized.engine, read back; null as before"]
    isa: Annotated[Text, "what runtimes were kept to by the worker's environment, read back; null: all"]
    torch_capability: Annotated[
        Text, "instructions that torch's own kernels use, as it says; null where torch is not loaded"
    ]
    peak_rss_bytes: Annotated[Int, "largest resident set of the worker"]
    load_seconds: Annotated[Float, "artifact to callable"]
    start_seconds: Annotated[Float, "start of the process to the first document, loading included"]
    warmup_seconds: Annotated[Float, "warm-up, first calls of each shape included"]
    met: Annotated[Bool, "whether cells that were to run at once with this one did begin at once"]
    wall_seconds: Annotated[Float, "start of the process to its last result"]
    cpu_seconds: Annotated[Float, "processor time while documents were evaluated, all threads"]
    measure_seconds: Annotated[Float, "wall time while documents were evaluated"]
    started_at: Annotated[Moment, "start of the process"]
    ended_at: Annotated[Moment, "last result"]
    load_average_before: Annotated[Float, "one-minute load average before the first document"]
    load_average_after: Annotated[Float, "the same after the last"]
    steal_seconds: Annotated[Float, "time the hypervisor took from this core meanwhile; null if unknown"]
    other_seconds: Annotated[Float, "time others used this core meanwhile; null if unknown"]
    throttle_count: Annotated[Int, "thermal throttling events of the core meanwhile; null if unknown"]
    frequency_mhz_before: Annotated[Float, "clock of the core before; null if unknown"]
    frequency_mhz_after: Annotated[Float, "the same after"]
    involuntary_switches: Annotated[Int, "times the worker was taken off its core"]
    still_seconds: Annotated[
        Float, "time that the worker stood still: stopped, frozen, or waiting for a disk"
    ]
    suspended_seconds: Annotated[Float, "time that the machine was suspended meanwhile"]
    clock_jump_seconds: Annotated[Float, "how far the system's clock was set meanwhile"]
    parent_stopped: Annotated[Bool, "whether the run's own process was stopped meanwhile"]


class _CellStatus(TypedDict, total=False):
    batch_size: Annotated[int, "documents in a batch"]
    status: Annotated[Status, "ok, or failed: a failed cell has an error and no figures"]
    error: Annotated[Text, "why the cell failed; null where it did not"]
    documents: Annotated[Int, "documents evaluated, warm-up not counted"]
    warmup_documents: Annotated[Int, "documents evaluated before, and flagged"]


class Course(TypedDict, total=False):
    """How the times went over a cell."""

    warmup_suggested: Annotated[Int, "first documents that differ from the rest, from the data"]
    drift: Annotated[Float, "trend at the end of the cell: log of the change over its second half"]
    step_at: Annotated[Int, "document at which the level of the times shifts; null if it does not"]
    step_ratio: Annotated[Float, "level after over level before the shift; null if it does not"]
    flags: Annotated[Names, "what was out of line while the cell ran, in words"]


class CellRow(Placed, _CellStatus, Latencies, Scores, ReadBack, Course, total=False):
    """``cells``: one measurement."""


class PredictionRow(Placed, total=False):
    """``predictions``, and ``control``, in which the other cores idle: one document of a cell."""

    doc_id: Annotated[str, "document"]
    position: Annotated[int, "place of the document in the cell, warm-up included, from 0"]
    batch: Annotated[int, "batch of the cell that the document was in, from 0"]
    tokens: Annotated[int, "tokens of the document after truncation, padding not counted"]
    truncated: Annotated[bool, "whether truncation shortened the document"]
    label: Annotated[Int, "class id in the data; null where the task has no classes"]
    prediction: Annotated[Int, "class id predicted; null as before"]
    logits: Annotated[Float32s, "output of the model, one per class"]
    tokenize_ns: Annotated[int, "tokenization of the document's batch"]
    forward_ns: Annotated[int, "forward pass of the document's batch"]
    warmup: Annotated[bool, "warm-up: kept, and left out of every figure"]
    first_of_shape: Annotated[
        Bool, "warm-up for its shape: the first batch of as many documents and tokens"
    ]


class DocumentRow(TypedDict, total=False):
    """``documents``: what was evaluated."""

    doc_id: Annotated[str, "stable id: row number and hash of the text"]
    text: Annotated[str, "the document"]
    pair: Annotated[Text, "second text of a document that is a pair; null: it is a single text"]
    label: Annotated[Int, "class id; null where the task has no classes"]
    target: Annotated[
        Floats,
        "what is true where it is not one class: 0 or 1 for each label, a value, or the relevance of a "
        "candidate; else null",
    ]
    group: Annotated[Text, "documents of one group belong together; null: the text alone"]


class ClassRow(CellKey, total=False):
    """``classes``: one class of a cell."""

    class_id: Annotated[int, "class"]
    class_name: Annotated[str, "its name in the model's id2label"]
    precision: Annotated[Float, "precision"]
    recall: Annotated[Float, "recall"]
    f1: Annotated[Float, "F1"]
    support: Annotated[int, "documents of the class"]


class MeasureRow(Place, total=False):
    """``measures``: quality of a variant at a task other than one class, by each of its measures."""

    measure: Annotated[
        str, "its name, with the k of recall@k as a number; of a task the first is the main one"
    ]
    value: Annotated[Float, "of the variant"]
    difference: Annotated[Float, "variant minus baseline; null for the baseline"]
    difference_low: Annotated[Float, "lower end of its 95 % interval"]
    difference_high: Annotated[Float, "upper end of it"]
    ratio: Annotated[Float, "share of the baseline's that is kept; null where none is asked for"]
    ratio_low: Annotated[
        Float, "one-sided lower bound of it, at the level that Holm leaves to the variant"
    ]
    drop_bound: Annotated[Float, "one-sided upper bound of how much worse it is, at the gates' level"]


class VariantRow(TypedDict, total=False):
    """``variants``: what was prepared."""

    run_id: Annotated[str, "the run"]
    variant: Annotated[str, "name of the variant"]
    digest: Annotated[Text, "content hash of the artifact"]
    artifact_bytes: Annotated[Int, "size of the artifact's files"]
    state_dict_bytes: Annotated[Int, "size of torch.save(state_dict()); null without a torch module"]
    converted: Annotated[Names, "modules that were converted"]
    kept_float: Annotated[Names, "modules with parameters that stayed float32"]
    engine: Annotated[Text, "quantized engine that it was prepared for"]
    prepare_seconds: Annotated[Float, "checkpoint to artifact, compilation included, when it was made"]
    cached: Annotated[Bool, "whether the artifact was there already"]
    details: Annotated[Text, "JSON: what else the variant says of its preparation"]
    instruction_set: Annotated[
        Text, "instruction sets of its products, as the runtime says; `by the CPU` where it says nothing"
    ]


class PairKey(TypedDict, total=False):
    """Which two variants a row compares."""

    run_id: Annotated[str, "the run"]
    baseline: Annotated[str, "variant compared against"]
    variant: Annotated[str, "variant compared"]
    max_length: Annotated[int, "documents are truncated to this many tokens"]


class Speedup(TypedDict, total=False):
    """A speed-up and its interval."""

    speedup: Annotated[Float, "speed-up: median forward latency of the baseline over that of the variant"]
    speedup_low: Annotated[Float, "lower end of its 95 % interval; null with too few rounds"]
    speedup_high: Annotated[Float, "upper end of its 95 % interval; null with too few rounds"]
    speedup_refused: Annotated[Text, "why there is no interval; null where there is one"]


class _PairSize(TypedDict, total=False):
    rounds: Annotated[int, "rounds with both variants"]
    documents: Annotated[int, "documents that both evaluated"]
    timing_documents: Annotated[
        Int, "documents that their times are of; null before there were such: all of them"
    ]
    timing_groups: Annotated[
        Int, "groups of documents that belong together among these, copies included: each counts as one"
    ]


class PairTiming(TypedDict, total=False):
    """What the times say of two variants."""

    speedup_p95: Annotated[
        Float, "speed-up: 95th percentile of forward latency of the baseline over that of the variant"
    ]
    speedup_p95_low: Annotated[Float, "lower end of its 95 % interval; null with too few rounds"]
    speedup_p95_high: Annotated[Float, "upper end of its 95 % interval; null with too few rounds"]
    speedup_p95_refused: Annotated[Text, "why there is no interval; null where there is one"]
    round_speedups: Annotated[Floats, "ratio of medians in each round"]
    noise_floor: Annotated[
        Float,
        "schema version 1: ratio that nine of ten A/A comparisons stay below, above 1; null since",
    ]
    latency_verdict: Annotated[
        Verdict | OldVerdict | None,
        "of the median forward latency: faster, slower, the same (within the smallest effect of "
        "interest) or can't tell; in schema version 1 no detectable difference for the last two",
    ]
    rounds_needed: Annotated[
        Int, "schema version 1: estimate of the rounds that would settle it; null since"
    ]
    confounded: Annotated[Text, "why the timings cannot be compared; null where they can"]
    speedup_total: Annotated[
        Float,
        "speed-up: mean time per document, tokenization included, baseline over variant",
    ]
    speedup_total_low: Annotated[Float, "lower end of its 95 % interval; null with too few rounds"]
    speedup_total_high: Annotated[Float, "upper end of its 95 % interval; null with too few rounds"]
    speedup_total_refused: Annotated[Text, "why there is no interval; null where there is one"]
    total_verdict: Annotated[
        Verdict | None, "of the mean time per document: decides; null before schema version 2"
    ]
    p95_verdict: Annotated[
        Verdict | None, "of the 95th percentile of forward latency; null before schema version 2"
    ]
    speedup_total_interval_kind: Annotated[
        IntervalKind | None,
        "one comparison; or picked as fastest: the lower end allows for the choice",
    ]
    speedup_total_p: Annotated[Float, "two-sided p-value of no difference in mean time per document"]
    speedup_total_p_adjusted: Annotated[
        Float, "the same, by Holm over all variants and lengths compared with this baseline"
    ]
    speedup_total_df: Annotated[Float, "degrees of freedom of the rounds"]
    speedup_total_simultaneous_low: Annotated[
        Float, "lower end of the interval that holds for all variants at this length at once"
    ]
    speedup_total_simultaneous_high: Annotated[Float, "upper end of it"]
    speedup_interval_kind: Annotated[
        IntervalKind | None,
        "one comparison; or picked as fastest: the lower end allows for the choice",
    ]
    speedup_p: Annotated[Float, "two-sided p-value of no difference in median forward latency"]
    speedup_p_adjusted: Annotated[
        Float, "the same, by Holm over all variants and lengths compared with this baseline"
    ]
    speedup_df: Annotated[Float, "degrees of freedom of the rounds"]
    speedup_simultaneous_low: Annotated[
        Float, "lower end of the interval that holds for all variants at this length at once"
    ]
    speedup_simultaneous_high: Annotated[Float, "upper end of it"]
    speedup_p95_interval_kind: Annotated[
        IntervalKind | None,
        "one comparison; or picked as fastest: the lower end allows for the choice",
    ]
    speedup_p95_p: Annotated[Float, "two-sided p-value of no difference in 95th percentile"]
    speedup_p95_p_adjusted: Annotated[
        Float, "the same, by Holm over all variants and lengths compared with this baseline"
    ]
    speedup_p95_df: Annotated[Float, "degrees of freedom of the rounds"]
    speedup_p95_simultaneous_low: Annotated[
        Float, "lower end of the interval that holds for all variants at this length at once"
    ]
    speedup_p95_simultaneous_high: Annotated[Float, "upper end of it"]
    documents_se: Annotated[
        Float, "standard error of log speedup_total that the choice of documents causes"
    ]
    rounds_se: Annotated[Float, "standard error of it that the rounds cause"]
    calls_se: Annotated[Float, "the part of rounds_se that single calls cause"]
    cores_se: Annotated[Float, "the part of rounds_se that it costs to take the cores' own speed out"]
    cell_sd: Annotated[
        Float, "standard deviation of the log of the mean time per document of a cell of the variant"
    ]
    cores_sd: Annotated[Float, "standard deviation of the cores' log speed; null with a single core"]
    noisier: Annotated[Bool, "whether the variant is noisier than the others, for itself"]
    p95_ms: Annotated[
        Float, "95th percentile of the variant's forward latency, the geometric mean over the rounds"
    ]
    p95_ms_bound: Annotated[
        Float, "one-sided 95 % upper bound of it, for documents and rounds that could have been"
    ]
    p95_ms_refused: Annotated[Text, "why there is no bound; null where there is one"]


class PairQuality(TypedDict, total=False):
    """What the predictions say of two variants."""

    accuracy_difference: Annotated[Float, "variant minus baseline; null where not claimed"]
    accuracy_difference_low: Annotated[Float, "lower end of its 95 % interval"]
    accuracy_difference_high: Annotated[Float, "upper end of its 95 % interval"]
    f1_macro_difference: Annotated[Float, "variant minus baseline"]
    f1_macro_difference_low: Annotated[Float, "lower end of its 95 % interval"]
    f1_macro_difference_high: Annotated[Float, "upper end of its 95 % interval"]
    f1_weighted_difference: Annotated[Float, "variant minus baseline"]
    f1_weighted_difference_low: Annotated[Float, "lower end of its 95 % interval"]
    f1_weighted_difference_high: Annotated[Float, "upper end of its 95 % interval"]
    texts: Annotated[Int, "groups of documents that were resampled: different texts, or the groups named"]
    baseline_accuracy: Annotated[Float, "accuracy of the baseline"]
    majority_share: Annotated[Float, "share of the largest class, which a constant answer would reach"]
    chance_p: Annotated[Float, "p of the baseline agreeing with the labels by chance alone"]
    f1_drop_bound: Annotated[
        Float, "one-sided upper bound of the drop in weighted F1, at the gates' level"
    ]
    f1_macro_ratio: Annotated[Float, "macro F1 of the variant over that of the baseline"]
    f1_macro_ratio_low: Annotated[Float, "one-sided lower bound of it, as of f1_ratio_low"]
    f1_ratio: Annotated[Float, "weighted F1 of the variant over that of the baseline"]
    f1_ratio_low: Annotated[
        Float,
        "one-sided lower bound of it, at the level that Holm leaves to the variant; 95 % in schema "
        "version 1",
    ]
    main_difference: Annotated[
        Float, "main measure of a task other than one class: variant minus baseline; else null"
    ]
    main_difference_low: Annotated[Float, "lower end of its 95 % interval"]
    main_difference_high: Annotated[Float, "upper end of it"]
    main_drop_bound: Annotated[Float, "one-sided upper bound of the drop of it, at the gates' level"]
    main_ratio: Annotated[Float, "the variant's over the baseline's"]
    main_ratio_low: Annotated[Float, "one-sided lower bound of it, as of f1_ratio_low"]
    non_inferiority: Annotated[
        NonInferiority | None,
        "non-inferior, inferior, or undecided, at the run's margin, of weighted and macro F1; null but "
        "against the run's baseline (schema version 1: of weighted F1, of every pair)",
    ]
    documents_needed: Annotated[
        Int,
        "estimate: documents in all that would decide it; null if decided, or out of reach",
    ]
    discordant_better: Annotated[Int, "documents right in the variant only"]
    discordant_worse: Annotated[Int, "documents right in the baseline only"]
    mcnemar_p: Annotated[Float, "exact McNemar, two-sided; copies of a text count once"]
    agreement: Annotated[Float, "share of documents with the same prediction"]
    kappa: Annotated[Float, "Cohen's kappa of the two predictions"]
    largest_logit_difference: Annotated[Float, "over documents and classes"]
    class_changes: Annotated[Text, "JSON: per class, change of recall, p and Holm-corrected p"]
    log_loss_baseline: Annotated[Float, "mean negative log probability of the true class, nats"]
    log_loss_difference: Annotated[Float, "variant minus baseline; positive is worse"]
    log_loss_difference_low: Annotated[Float, "lower end of its 95 % interval"]
    log_loss_difference_high: Annotated[Float, "upper end of it"]
    brier_baseline: Annotated[Float, "mean squared difference of probabilities and truth, over classes"]
    brier_difference: Annotated[Float, "variant minus baseline; positive is worse"]
    brier_difference_low: Annotated[Float, "lower end of its 95 % interval"]
    brier_difference_high: Annotated[Float, "upper end of it"]
    calibration_error_baseline: Annotated[Float, "expected calibration error of the baseline, a share"]
    calibration_error: Annotated[Float, "the same of the variant"]


class ComparisonRow(PairKey, _PairSize, Speedup, PairTiming, PairQuality, total=False):
    """``comparisons``: two variants at one length."""


class Bucket(TypedDict, total=False):
    """Documents of similar length."""

    tokens_from: Annotated[int, "shortest document of the bucket, in tokens"]
    tokens_to: Annotated[int, "longest document of the bucket, in tokens"]
    documents: Annotated[int, "documents in it"]


class _BucketVerdict(TypedDict, total=False):
    latency_verdict: Annotated[
        Verdict | None, "as of comparisons, for these documents; null before schema version 2"
    ]
    speedup_p_adjusted: Annotated[Float, "by Holm over all buckets, variants and lengths"]


class BucketRow(PairKey, Bucket, Speedup, _BucketVerdict, total=False):
    """``buckets``: a comparison with the baseline, for documents of similar length."""


class BestRow(TypedDict, total=False):
    """``best``: a variant, the baseline perhaps, that can't be told from the best at a length."""

    run_id: Annotated[str, "the run"]
    measure: Annotated[Measure, "by which of the speed-ups"]
    max_length: Annotated[int, "documents are truncated to this many tokens"]
    variant: Annotated[str, "name of the variant"]
    fastest: Annotated[bool, "whether it came out fastest"]
    speedup: Annotated[Float, "of the fastest: its speed-up, drawn towards that of the others; else null"]
    speedup_low: Annotated[Float, "lower end of its 95 % interval, which knows of the choice"]
    speedup_high: Annotated[Float, "upper end of it"]


class FirstCallRow(Place, total=False):
    """``first_calls``: what the first call of an input length costs more than later ones."""

    calls: Annotated[int, "first calls, of all lengths and rounds"]
    first_ms: Annotated[float, "median forward latency of these"]
    later_ms: Annotated[float, "median over the same documents, called later"]
    extra_ms: Annotated[float, "median of the difference, document by document"]
    process_ms: Annotated[
        float, "sum of the differences over all lengths: what a process pays, median over rounds"
    ]


class CalibrationRow(Place, total=False):
    """``calibration``: how often predictions of similar confidence are right."""

    confidence: Annotated[float, "mean probability of the predicted class in the bin"]
    accuracy: Annotated[float, "share of right predictions in it"]
    documents: Annotated[int, "documents in it"]


class InterferenceRow(Place, total=False):
    """``interference``: the same documents and core, with the other cores idle and busy."""

    documents: Annotated[int, "documents of the control"]
    solo_p50_ms: Annotated[float, "median forward latency, other cores idle"]
    parallel_p50_ms: Annotated[float, "median over the same documents and core, other cores busy"]
    slowdown: Annotated[float, "the second over the first"]
