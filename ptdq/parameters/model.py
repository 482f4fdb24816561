"""The parameters of a run, one field each."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ptdq.parameters.checks import MaxLength, Share, VariantName, distinct, local_path, plain_name
from ptdq.parameters.purpose import Group, Mark, Purpose, marked
from ptdq.problem.task import RECALL_AT, Task

SUBJECT, MODEL, DATA, QUANTIZATION, MEASUREMENT, VERDICT, FILES = Group
UNMEASURED, EVALUATE, SENSITIVITY, STUDY_ONLY, RUN_ONLY, TUNE, MATRIX, EXTENDS, GATE, EXPLAINS = Purpose

Isa = Literal["avx2", "avx512_vnni", "amx_int8"]

NONE = "none"
"""In place of a column: there is none, on purpose."""


class Parameters(BaseModel):
    """Parameters of the flow ``quantization-benchmark``. The defaults are the reference experiment's."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    model: Annotated[str, SUBJECT, EVALUATE, SENSITIVITY, MATRIX] = Field(
        description="Checkpoint directory of a sequence classifier, its id on the model hub, or `demo`."
    )
    data: Annotated[str, SUBJECT, EVALUATE, SENSITIVITY] = Field(
        description="Labelled documents: CSV, TSV, JSON lines or Parquet; a path, a URL, or `demo`. "
        "With `split`, a data set by its name on the hub."
    )
    variant: Annotated[list[VariantName], SUBJECT, EVALUATE] = Field(
        ["fp32", "int8-dynamic"],
        description="Variants to compare; the first is the baseline. `all`: every installed one, at its "
        "place among others.",
        min_length=1,
    )
    max_length: Annotated[list[MaxLength], SUBJECT, EVALUATE, SENSITIVITY, STUDY_ONLY, MATRIX] = Field(
        [128, 256, 384], description="Documents are truncated to this many tokens.", min_length=1
    )
    batch_size: Annotated[int, SUBJECT, EVALUATE] = Field(
        1, ge=1, description="Documents in a batch, padded to its longest."
    )

    revision: Annotated[str | None, MODEL, EVALUATE, SENSITIVITY, TUNE] = Field(
        None, description="Branch, tag or commit of a model on the hub."
    )
    random_weights: Annotated[bool, MODEL, TUNE] = Field(
        False,
        description="Build the model's shape from a configuration, with random weights: latency and "
        "size are measured, and quality is not claimed.",
    )
    model_loader: Annotated[str | None, MODEL, EVALUATE, SENSITIVITY, TUNE] = Field(
        None,
        description="package.module:function that takes the model's directory and returns an "
        "nn.Module, for models that transformers does not know.",
    )
    trust_remote_code: Annotated[bool, MODEL, EVALUATE, SENSITIVITY, TUNE] = Field(
        False, description="Run code that comes with the checkpoint. Only for those you trust."
    )

    task: Annotated[Task | None, DATA, EVALUATE, SENSITIVITY, TUNE] = Field(
        None,
        description="What the model answers: one class of several, yes or no from one output, any number "
        "of labels, a number, or an order of candidates. By default what its configuration says.",
    )
    threshold: Annotated[float, DATA, EVALUATE, SENSITIVITY, EXPLAINS, TUNE] = Field(
        0.5,
        gt=0,
        lt=1,
        description="Tasks binary and multi-label: a label is given where its probability is over this.",
    )
    recall_at: Annotated[int, DATA, EVALUATE] = Field(
        RECALL_AT,
        ge=1,
        description="Task rerank: recall@k looks for the relevant candidates in so many first places. "
        "NDCG and MRR look in the first ten.",
    )
    text_column: Annotated[str, DATA, EVALUATE, SENSITIVITY, TUNE] = Field(
        "text", description="Column with the documents."
    )
    text_pair_column: Annotated[str | None, DATA, EVALUATE, SENSITIVITY, TUNE] = Field(
        None,
        description="Column with the second text of each document, for models of pairs (entailment, "
        "duplicates). The longer text of a pair is cut first. `none`: single texts are meant, whatever "
        "the model was trained on.",
    )
    label_column: Annotated[str, DATA, EVALUATE, SENSITIVITY] = Field(
        "label", description="Column with the labels: ids or names."
    )
    label_columns: Annotated[list[str], DATA, EVALUATE, SENSITIVITY] = Field(
        [],
        description="In place of `label_column`: columns of 0 and 1, one for each label of a multi-label "
        "model, by the labels' names.",
    )
    label_map: Annotated[str | None, DATA, EVALUATE, SENSITIVITY] = Field(
        None, description="JSON file that maps labels of the data to class ids of the model."
    )
    group_column: Annotated[str | None, DATA, EVALUATE, SENSITIVITY] = Field(
        None,
        description="Column that says which documents belong together, such as an author or a ticket: "
        "they count as one in every interval and test. Copies of a text always do.",
    )
    split: Annotated[str | None, DATA, SENSITIVITY] = Field(
        None,
        description="Split of the data set that `data` names then, read by the package datasets "
        "(`ag_news`, `glue:sst2`, or a directory of `save_to_disk`).",
    )
    encoding: Annotated[str, DATA, EVALUATE, SENSITIVITY, TUNE] = Field(
        "utf-8", description="Encoding of a text file (GBK files are common)."
    )
    limit: Annotated[int | None, DATA, SENSITIVITY, STUDY_ONLY, RUN_ONLY, EXPLAINS] = Field(
        None, ge=1, description="Take a stratified sample of this many documents."
    )
    calibration_data: Annotated[str | None, DATA, SENSITIVITY, EXPLAINS, TUNE] = Field(
        None,
        description="Documents from which static variants take ranges: a file like `data`, and never "
        "the same; labelled or not. Without it they are left out, or use random text where the "
        "weights are random.",
    )

    engine: Annotated[str | None, QUANTIZATION, EVALUATE, SENSITIVITY, EXPLAINS, TUNE] = Field(
        None, description="Quantized engine of torch; the best supported one by default."
    )
    modules: Annotated[list[str], QUANTIZATION, EVALUATE, SENSITIVITY, EXPLAINS] = Field(
        ["Linear"],
        description="What the dynamic variants convert: module types (Linear, LSTM, GRU, Embedding) "
        "or qualified names.",
        min_length=1,
    )
    keep_float: Annotated[list[str], QUANTIZATION, EVALUATE, SENSITIVITY, EXPLAINS, TUNE] = Field(
        [], description="Modules that stay float32, by qualified name or a prefix of it."
    )
    keep_float_mixed: Annotated[list[str], QUANTIZATION, EVALUATE, EXPLAINS, TUNE] = Field(
        [],
        description="Modules that int8-dynamic-mixed also keeps in float32, as `ptdq sensitivity` "
        "found them.",
    )
    granularity: Annotated[
        Literal["per-tensor", "per-channel"], QUANTIZATION, EVALUATE, SENSITIVITY, EXPLAINS
    ] = Field("per-tensor", description="One weight scale per tensor, or one per output channel.")
    tune_minutes: Annotated[float, QUANTIZATION, TUNE] = Field(
        5,
        ge=0,
        description="Minutes for which int8-best is searched, once for a model, its calibration data and "
        "this machine; 0: its first candidate is taken.",
    )
    dtype: Annotated[Literal["qint8", "float16"], QUANTIZATION, EVALUATE] = Field(
        "qint8",
        description="Weights of int8-dynamic. With float16 it is the variant float16-dynamic.",
    )

    repeats: Annotated[int, MEASUREMENT, EXTENDS, EXPLAINS] = Field(
        4, ge=1, description="Rounds of fresh processes."
    )
    target_width: Annotated[Share | None, MEASUREMENT, EXTENDS] = Field(
        None,
        description="Add rounds until the interval of the time per document is this narrow for each "
        "variant: for 5% (or 0.05) from the speed-up / 1.05 to the speed-up × 1.05.",
    )
    max_minutes: Annotated[float, MEASUREMENT, EXTENDS] = Field(
        30, gt=0, description="Add no round for `target_width` that would end later than this."
    )
    timing_documents: Annotated[int | None, MEASUREMENT, EXPLAINS] = Field(
        None,
        ge=1,
        description="Measure time on so many documents, chosen over their lengths in tokens, and quality "
        "once on all. By default every cell takes all documents.",
    )
    warmup: Annotated[int, MEASUREMENT, EXPLAINS] = Field(
        3, ge=0, description="Warm-up batches of a cell; kept, flagged, not counted."
    )
    cores: Annotated[str | None, MEASUREMENT, SENSITIVITY, STUDY_ONLY] = Field(
        None,
        description="Cores to use: how many, or which ones, as in 0,1 (a single one: 3,). By default as "
        "many of the usable ones as give every comparison an interval with these repeats.",
    )
    isa: Annotated[Isa | None, MEASUREMENT, TUNE, EXPLAINS] = Field(
        None,
        description="Keep runtimes to these instructions at most, as on a CPU that has no more. Variants "
        "whose runtime cannot be kept to them are left out.",
    )
    isolation: Annotated[Literal["parallel", "solo", "same"], MEASUREMENT] = Field(
        "parallel",
        description="A cell on every core at a time, one on the whole machine, or the same variant on "
        "all cores at once, as replicas are deployed.",
    )
    control_documents: Annotated[int, MEASUREMENT] = Field(
        16,
        ge=0,
        description="Documents of the control, in which each variant runs with the other cores idle.",
    )
    seed: Annotated[int, MEASUREMENT, SENSITIVITY, EXPLAINS] = Field(
        0, ge=0, description="Seed of samples, orders and resampling."
    )
    cell_timeout: Annotated[float, MEASUREMENT, UNMEASURED, EVALUATE] = Field(
        3600, gt=0, description="Seconds that one cell may take."
    )
    run_timeout: Annotated[float | None, MEASUREMENT, UNMEASURED, SENSITIVITY, STUDY_ONLY] = Field(
        None, gt=0, description="Seconds that the run may take."
    )
    max_wait: Annotated[
        float | None, MEASUREMENT, UNMEASURED, EVALUATE, SENSITIVITY, STUDY_ONLY, TUNE
    ] = Field(
        None,
        ge=0,
        description="Seconds to wait for another benchmark on this machine to end; 0: fail at once.",
    )
    max_load: Annotated[float, MEASUREMENT, UNMEASURED] = Field(
        0.2,
        ge=0,
        description="Share of a core that other programs may use; beyond it the run waits, and is "
        "flagged if that does not help.",
    )
    load_wait: Annotated[float, MEASUREMENT, UNMEASURED] = Field(
        10, ge=0, description="Seconds to wait for other programs; 0: only flag."
    )

    margin: Annotated[float, VERDICT, SENSITIVITY] = Field(
        0.99,
        gt=0,
        le=1,
        description="Share of the baseline's weighted and macro F1 that a variant must keep.",
    )
    min_effect: Annotated[float, VERDICT] = Field(
        0.02,
        gt=0,
        lt=1,
        description="Smallest difference in time that matters, as a share: within it two variants are "
        "the same.",
    )
    min_speedup: Annotated[float | None, VERDICT, GATE] = Field(
        None, gt=0, description="Gate: smallest speed-up of the time per document, tokenization included."
    )
    max_f1_drop: Annotated[float | None, VERDICT, GATE] = Field(
        None, ge=0, description="Gate: largest drop in weighted F1."
    )
    max_quality_drop: Annotated[float | None, VERDICT, GATE] = Field(
        None,
        ge=0,
        description="Gate: largest drop in the main figure of the task: weighted F1, micro F1, Spearman "
        "or NDCG@10.",
    )
    max_recall_drop: Annotated[float | None, VERDICT, GATE] = Field(
        None, ge=0, le=1, description="Gate: largest drop in the recall of any class."
    )
    max_size_ratio: Annotated[float | None, VERDICT, GATE] = Field(
        None, gt=0, description="Gate: largest size of the artifact, relative to the baseline's."
    )
    max_p95_ms: Annotated[float | None, VERDICT, GATE] = Field(
        None, gt=0, description="Gate: largest 95th percentile of forward latency, ms."
    )
    baseline: Annotated[str | None, VERDICT, MATRIX] = Field(
        None,
        description="Earlier run to report the change from: its id, `none`, or `variable:NAME` for the "
        "one that a variable of Prefect names. Its artifacts are measured again beside the new ones, "
        "where they differ and are still in the cache. By default the run that `ptdq baseline` marked, "
        "if any.",
    )
    fail_on_regression: Annotated[bool, VERDICT] = Field(
        False,
        description="Gate: fail where a variant has become decidedly slower or worse than in the "
        "baseline run; where none is marked, than in the last run of the same model and data that was "
        "well.",
    )

    results_dir: Annotated[str, FILES, UNMEASURED, EVALUATE, SENSITIVITY, MATRIX] = Field(
        "results", description="Directory that gets a directory for each run."
    )
    publish_to: Annotated[str | None, FILES, UNMEASURED] = Field(
        None,
        description="Where report and tables of the finished run are copied to: a path or any URL that "
        "fsspec opens (s3://bucket/results), or a block of Prefect "
        "(block://remote-file-system/NAME), which `ptdq history` and `ptdq compare` read.",
    )
    track: Annotated[str | None, FILES, UNMEASURED] = Field(
        None,
        description="Tracker that gets parameters, figures with intervals, report and tables of the "
        "finished run: `mlflow`, `mlflow:URI`, or one of another package.",
    )
    run_id: Annotated[
        str | None, FILES, UNMEASURED, EVALUATE, SENSITIVITY, STUDY_ONLY, RUN_ONLY, MATRIX
    ] = Field(None, description="Name of the run; made from the time by default.")
    no_cache: Annotated[bool, FILES, UNMEASURED, EVALUATE, TUNE] = Field(
        False, description="Prepare artifacts anew, whatever is in the cache."
    )

    _distinct = field_validator("variant", "max_length", "modules", "label_columns")(distinct)
    _plain_name = field_validator("run_id")(plain_name)
    _local_path = field_validator("results_dir")(local_path)

    @property
    def pair_column(self) -> str | None:
        """Column with the second texts of pairs; None where documents are single texts."""
        return None if self.text_pair_column == NONE else self.text_pair_column

    @property
    def text_columns(self) -> str | tuple[str, str]:
        """Column with the documents; of pairs, both."""
        second = self.pair_column
        return self.text_column if second is None else (self.text_column, second)

    @model_validator(mode="after")
    def _apply_dtype(self) -> Self:
        if self.dtype == "float16" and "int8-dynamic" in self.variant:
            variants = ["float16-dynamic" if v == "int8-dynamic" else v for v in self.variant]
            object.__setattr__(self, "variant", list(dict.fromkeys(variants)))
        return self


def names(*marks: Mark, without: Collection[Mark] = ()) -> tuple[str, ...]:
    """Parameters of a run, in order, that have all of these marks and none of those in ``without``."""
    return marked(Parameters, *marks, without=without)
