"""What the records ``run.json``, ``evaluation.json`` and ``matrix.json`` hold, as typed values.

The keys of the files are the names of the fields. A field that an older version did not write has a
default, so that its records are still read; a key that is no field is refused, since then another
program, or a later version, wrote the file. A new field needs a default, and nothing else.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from ptdq.problem.task import Task

Status = Literal["running", "broken off", "completed"]


class Part(BaseModel):
    """A part of a record: immutable, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelFacts(Part):
    """The model that was measured.

    Attributes:
        digest: content hash of the checkpoint.
        labels: names of the classes, by class id.
        parameters: number of weights.
        max_positions: longest input that it takes; None where it names no bound.
        task: what it was measured at; None in records of earlier versions, which knew one alone.
        task_why: how that was known, in words.
        multiply_adds_per_length: of one document's forward pass, by the number of tokens.
    """

    name: str | None = None
    revision: str | None = None
    digest: str | None = None
    architecture: str | None = None
    labels: list[str] = []
    parameters: int | None = None
    max_positions: int | None = None
    random_weights: bool = False
    task: str | None = None
    task_why: str = ""
    multiply_adds_per_length: dict[str, int] = {}


class SharedFacts(Part):
    """Test documents that are among the calibration documents; see ``statistics.duplicates.Shared``."""

    copies: int
    near: int
    compared: int
    test: int
    compared_with: int
    calibration: int


class DataFacts(Part):
    """The documents that were evaluated.

    Attributes:
        path: as it was asked for.
        digest: content hash of the documents and their labels.
        documents: number of documents.
        classes: number of documents of each class.
        synthetic: whether they are made up, as those of the demo.
        sampled_from: number of documents that they are a sample of; None where they are all.
        lines: of the file; None where it has none.
        notes: what the file was found to be, other than its name says.
        texts: number of different texts; copies of one count as one. None in an older version.
        groups: number of groups of documents that belong together, by their text or the column of
            groups; None where none was named.
        group_digest: content hash of the names of the groups.
        shared: what they have in common with the calibration documents; None where there are none.
        pairs: whether each is a pair of texts.
        queries: number of queries whose candidates they are; None for other tasks.
    """

    path: str | None = None
    digest: str | None = None
    documents: int | None = None
    classes: dict[str, int] = {}
    synthetic: bool = False
    sampled_from: int | None = None
    lines: int | None = None
    notes: list[str] = []
    texts: int | None = None
    groups: int | None = None
    group_digest: str | None = None
    shared: SharedFacts | None = None
    pairs: bool = False
    queries: int | None = None


class MachineFacts(Part):
    """The machine that measured.

    Attributes:
        flags: those of the CPU's flags that matter for quantized inference.
        cores: those that cells ran on.
        cores_usable: those that the run was allowed to use.
        can_pin: whether a process can be kept on a core.
        governor: of the first core's clock; None where it cannot be read.
        load_before: one-minute load average when the run began.
        load_after: the same after the last cell.
    """

    cpu: str | None = None
    flags: list[str] | None = None
    cores: list[int] | None = None
    cores_usable: list[int] | None = None
    can_pin: bool | None = None
    governor: str | None = None
    memory_bytes: int | None = None
    system: str | None = None
    architecture: str | None = None
    python: str | None = None
    node: str | None = None
    load_before: float | None = None
    load_after: float | None = None


class ProcessFacts(Part):
    """A process that works on a run; see :mod:`ptdq.store.in_use`.

    Attributes:
        node: name of the machine.
        boot_id: of its kernel, another one after each start; None where it has none.
    """

    pid: int
    node: str
    boot_id: str | None = None


class CellPlan(Part):
    """A cell of the design; see :class:`ptdq.measure.design.Cell`."""

    cell_id: str
    variant: str
    max_length: int
    repeat: int
    core: int
    order: int
    seed: int | None = None


class DesignPlan(Part):
    """The design; see :class:`ptdq.measure.design.Design`."""

    seed: int | None = None
    isolation: str | None = None
    cores: list[int] = []
    balanced: bool | None = None
    notes: list[str] = []
    cells: list[CellPlan] = []
    control: list[CellPlan] = []
    quality: list[CellPlan] = []

    @property
    def rounds(self) -> int:
        """Number of rounds; 0 where there is no cell."""
        return max((1 + cell.repeat for cell in self.cells), default=0)

    def begins_with(self, other: DesignPlan) -> bool:
        """Whether it has the cells of another, and perhaps more rounds."""
        kept = ("seed", "isolation", "cores", "control", "quality")
        same = all(getattr(self, name) == getattr(other, name) for name in kept)
        cells = {cell.cell_id: cell for cell in self.cells}
        return same and all(cells.get(cell.cell_id) == cell for cell in other.cells)


class LimitRate(Part):
    """Of one number format at one shape.

    Attributes:
        numbers: the format.
        library: the fastest that has a kernel for it.
        shape: rows, inner size and columns.
        gops: billions of operations per second.
    """

    numbers: str
    library: str
    shape: list[int]
    gops: float


class Limits(Part):
    """Peak rates of matrix products on one core: billions of operations per second.

    Attributes:
        float32_gflops: the most at any shape by any library, as are the others.
        int8_gops: likewise.
        bfloat16_gflops: None where the CPU does not multiply it.
        float16_gflops: likewise.
        rates: at each shape, the largest and the model's own.
        measured_before: moment at which an earlier run on this machine measured them; None where this
            one did.
    """

    float32_gflops: float
    int8_gops: float
    bfloat16_gflops: float | None = None
    float16_gflops: float | None = None
    rates: list[LimitRate] = []
    measured_before: str | None = None


class VerdictRecord(Part):
    """The decision; see :class:`ptdq.analysis.verdict.Verdict`."""

    decision: str
    variant: str | None = None
    headline: str = ""
    reasons: list[str] = []
    conditions: str | None = None


class GateRecord(Part):
    """One threshold for one variant; see :class:`ptdq.analysis.verdict.Gate`."""

    name: str
    variant: str
    threshold: float
    value: float | None = None
    bound: float | None = None
    passed: bool
    text: str = ""


class FailedCell(Part):
    """A cell without figures, and why."""

    variant: str
    max_length: int
    repeat: int
    error: str | None = None


class BaselineChange(Part):
    """What changed since an earlier run; see :class:`ptdq.analysis.changes.Comparison`.

    Attributes:
        error: why there is no comparison; then only this and ``old`` are set.
        changes: one row for each variant and length, fields of
            :class:`ptdq.analysis.changes.Change`.
    """

    schema_version: int = 0
    old: str
    new: str | None = None
    error: str | None = None
    timings_refused: str | None = None
    differences: list[str] = []
    changes: list[dict[str, Any]] = []
    notes: list[str] = []
    regressions: list[str] = []


class HistoryRecord(Part):
    """What the runs up to this one say; see :mod:`ptdq.analysis.shifts`.

    Attributes:
        runs: how many are like this one, itself included.
        series: how many series were long enough to be looked at.
        shifts: changes of level, oldest first, fields of :class:`ptdq.analysis.shifts.Shift`.
        spreads: how much runs differ, fields of :class:`ptdq.analysis.shifts.Spread`.
    """

    runs: int
    series: int
    shifts: list[dict[str, Any]] = []
    spreads: list[dict[str, Any]] = []


class Pruning(Part):
    """When the rows of the documents were dropped, and the bytes that this freed."""

    at: str
    freed_bytes: int


class Record(Part):
    """What all records have.

    Attributes:
        schema_version: of the tables and records; 0 where an early version wrote none.
        started_at: ISO 8601, UTC.
        ended_at: the same; None while it runs.
    """

    what: ClassVar[str] = "record"
    schema_version: int = 0
    started_at: str | None = None
    ended_at: str | None = None


class RunRecord(Record):
    """``run.json``.

    Attributes:
        flow_run_id: id of the flow run in Prefect.
        process: that works on the run, and has its directory locked; None where nobody can tell.
        broken_off: why the run did not come to its end.
        command: the command line that asks for the same.
        parameters: as asked for (``demo`` is not replaced by files).
        calibration: what static variants calibrated on, in words.
        versions: package to version, of those that are installed and matter.
        git_commit: of ptdq's own checkout, with ``-dirty`` where files differ; None in an installed
            package, where only the version is known.
        skipped: variants that ``all`` would have added, to the reason why it did not.
        since: the earlier run that it is compared with, by its id or directory; None without one.
        not_again: variants whose artifact of that run was not measured again, to the reason.
        resumed_at: moments at which the run was resumed.
        seconds: time that each stage took.
        limits: peak rates of one core; None where they could not be measured.
        width: why no more rounds were added, where a width of the intervals was asked for.
        baseline: what changed since an earlier run; None without one.
        history: what the runs like it say together; None where there are too few.
        pruned: set once the rows of the documents were dropped.
    """

    what: ClassVar[str] = "run"
    run_id: str | None = None
    flow_run_id: str | None = None
    status: Status | None = None
    process: ProcessFacts | None = None
    broken_off: str | None = None
    command: str | None = None
    parameters: dict[str, Any] = {}
    model: ModelFacts = Field(default_factory=ModelFacts)
    data: DataFacts = Field(default_factory=DataFacts)
    calibration: str | None = None
    machine: MachineFacts = Field(default_factory=MachineFacts)
    versions: dict[str, str] = {}
    git_commit: str | None = None
    design: DesignPlan = Field(default_factory=DesignPlan)
    skipped: dict[str, str] = {}
    since: str | None = None
    not_again: dict[str, str] = {}
    resumed_at: list[str] = []
    seconds: dict[str, float] = {}
    limits: Limits | None = None
    width: str | None = None
    verdict: VerdictRecord | None = None
    gates: list[GateRecord] = []
    failures: list[FailedCell] = []
    notes: list[str] = []
    baseline: BaselineChange | None = None
    history: HistoryRecord | None = None
    pruned: Pruning | None = None


class EvaluationRecord(Record):
    """``evaluation.json``: of a sharded evaluation.

    Attributes:
        asked: parameters that decide the result, and the content hash of the model.
        documents_digest: SHA-256 of the file with the documents in shards; None until it is written.
        documents: number of documents, as are the other figures None until all shards are done.
        task: what the model answers.
        groups: number of groups of documents, where the data names any.
        queries: number of queries, where the task is to rank their candidates.
        classes: names, by class id.
        confusion: documents by label and prediction [classes, classes], where each has one class.
        measures: of the task, by name, the main one first.
        seconds: loading, tokenizing and predicting, the sum over the shards.
        processes: number of processes that scored.
        peak_rss_bytes: largest resident set of any of them.
    """

    what: ClassVar[str] = "evaluation"
    run_id: str | None = None
    asked: dict[str, Any] = {}
    documents_digest: str | None = None
    documents: int | None = None
    task: Task | None = None
    groups: int | None = None
    queries: int | None = None
    shards: int | None = None
    classes: list[str] = []
    confusion: list[list[int]] = []
    measures: dict[str, float] = {}
    accuracy: float | None = None
    f1_macro: float | None = None
    f1_weighted: float | None = None
    seconds: float | None = None
    processes: int | None = None
    peak_rss_bytes: int | None = None
    notes: list[str] = []
    pruned: Pruning | None = None


class MatrixRecord(Record):
    """``matrix.json``: what was asked for."""

    what: ClassVar[str] = "matrix"
    parameters: dict[str, Any] = {}
