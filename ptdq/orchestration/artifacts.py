"""What a flow run shows in Prefect: the one place that knows the artifacts' keys.

Keys are stable; the same key again makes a new version. Latest: ``Artifact.get(key)``, or
``prefect artifact inspect KEY --limit 1 -o json``.

| key | kind | payload |
| --- | --- | --- |
| ``ptdq-report`` | markdown | the report, plots embedded |
| ``ptdq-plot`` | image | the speed-ups with their intervals; none where nothing was compared |
| ``ptdq-verdict`` | table | one row: what was measured, and the decision |
| ``ptdq-figures`` | table | a row for each variant and length |
| ``ptdq-comparisons`` | table | a row for each variant against the baseline, and length |
| ``ptdq-files`` | link | the run's directory |
| ``ptdq-progress`` | progress | documents done, per cent |
| ``ptdq-matrix`` | markdown | the report of a matrix |
| ``ptdq-machines`` | table | a row for each machine of a matrix |
| ``ptdq-evaluation`` | markdown | the report of a sharded evaluation |

The columns of the tables, with their meaning, are in :data:`COLUMNS`. Every row has its schema_version,
and run_id or matrix_id. Columns may be added; the version changes when one goes or changes its meaning.
The newest version of a key is that of any run on the server: look at model, data and deployment of the
verdict before acting on it, as ``examples/latest_verdict.py`` does.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import ObjectNotFound
from prefect.runtime import deployment

from ptdq.analysis import tables
from ptdq.measure.progress import Done, Progress
from ptdq.store.layout import RunFiles
from ptdq.store.run import Run, load
from ptdq.store.schema import SCHEMA_VERSION, schema

REPORT = "ptdq-report"
PLOT = "ptdq-plot"
VERDICT = "ptdq-verdict"
FIGURES = "ptdq-figures"
COMPARISONS = "ptdq-comparisons"
FILES = "ptdq-files"
PROGRESS = "ptdq-progress"
MATRIX = "ptdq-matrix"
MACHINES = "ptdq-machines"
EVALUATION = "ptdq-evaluation"

MAIN_PLOT = "ratios"


_VERSION = {"schema_version": "version of the columns, as in ptdq/store/schema.py"}
_RUN = {**_VERSION, "run_id": "the run"}


def _declared(table: str, *names: str) -> dict[str, str]:
    """Columns of a table of :mod:`ptdq.store.schema` with their meaning: these, or all."""
    fields = {field.name: field.metadata[b"description"].decode() for field in schema(table)}
    return {name: fields[name] for name in names or fields}


COLUMNS: dict[str, dict[str, str]] = {
    VERDICT: {
        **_RUN,
        "model": "the checkpoint, as it was asked for",
        "model_digest": "content hash of the checkpoint",
        "data": "the documents, as they were asked for",
        "data_digest": "content hash of the documents and labels that were evaluated",
        "deployment": "name of the deployment that ran it; null for a run started otherwise",
        "decision": "ship, don't ship, or can't tell",
        "variant": "the variant that the decision is about; null where it is about none",
        "headline": "the decision in a sentence",
        "directory": "the run's directory, on the machine that ran it",
    },
    FIGURES: {
        **_RUN,
        **_declared("cells", "variant", "max_length"),
        "rounds": "rounds that finished",
        "forward_p50_ms": "median forward latency of a batch; median over rounds",
        "forward_p95_ms": "95th percentile of it; median over rounds",
        "total_mean_ms": "mean latency with tokenization; mean over rounds",
        "documents_per_second": "documents over the sum of their total latency",
        "f1_weighted": "weighted F1, mean over rounds; absent where quality is not claimed",
        "accuracy": "accuracy, mean over rounds; absent where quality is not claimed",
        "main": "main measure of a task other than one class; absent of those with one",
        "artifact_mb": "size of the artifact's files, 10**6 bytes",
    },
    COMPARISONS: {**_RUN, **_declared("comparisons")},
    MACHINES: {
        **_VERSION,
        **_declared("matrix", "matrix_id", "machine", "cpu", "cores", "cores_usable", "flags"),
        "cpu": "the CPU's name as its maker gives it; `several CPUs: …` where the runs found several",
        "runs": "runs that the machine was given",
        "failed": "those of them that failed",
        "compared": "models and lengths that the rates are over: those that every machine finished",
        "variants": "the fastest variants, not found inferior, that the rates are of",
        "documents_per_second_core": "documents per second of one core; geometric mean",
        "documents_per_second": "the same of the cores that were measured on side by side",
        "price": "of an hour of the machine; null where none was given",
        "documents_per_price": "documents for one unit of the price",
        "directory": "the matrix's directory",
    },
}
"""Column to meaning, of each artifact that is a table."""


def publish_run(files: RunFiles, markdown: str) -> None:
    """Make the artifacts of a finished run.

    Args:
        files: of the run, with its tables.
        markdown: the report.
    """
    run = load(files)
    create_markdown_artifact(markdown, key=REPORT, description=f"Report of run {files.run_id}")
    plot = files.plot(MAIN_PLOT)
    if plot.is_file():
        image = f"data:image/png;base64,{base64.b64encode(plot.read_bytes()).decode()}"
        create_image_artifact(image, key=PLOT, description=f"Speed-ups of run {files.run_id}")
    common = {"schema_version": SCHEMA_VERSION, "run_id": files.run_id}
    for key, rows, what in (
        (VERDICT, [verdict_row(run)], "Verdict"),
        (FIGURES, tables.figures(run), "Latency, quality and size"),
        (COMPARISONS, tables.against_baseline(run), "Comparisons with the baseline"),
    ):
        plain = [{**common, **row} for row in rows]
        create_table_artifact(plain, key=key, description=f"{what} of run {files.run_id}")
    create_link_artifact(
        files.directory.resolve().as_uri(), key=FILES, link_text=str(files.directory),
        description=f"Files of run {files.run_id}",
    )  # fmt: skip


def verdict_row(run: Run) -> dict[str, Any]:
    """The row of :data:`VERDICT`, but for what every row has."""
    record = run.record
    if record.verdict is None:
        raise ValueError(f"run {run.files.run_id} has no verdict")  # it is published when it has one
    return {
        "model": record.model.name,
        "model_digest": record.model.digest,
        "data": record.data.path,
        "data_digest": record.data.digest,
        "deployment": _deployment(),
        "decision": record.verdict.decision,
        "variant": record.verdict.variant,
        "headline": record.verdict.headline,
        "directory": str(run.files.directory.resolve()),
    }


def _deployment() -> str | None:
    """Name of the deployment that the flow run is of; None without one, or where it is deleted."""
    try:
        return cast("str | None", deployment.name)
    except ObjectNotFound:
        return None


def publish_matrix(
    matrix_id: str, directory: Path, markdown: str, machines: Sequence[Mapping[str, Any]]
) -> None:
    """Make the artifacts of a finished matrix."""
    create_markdown_artifact(markdown, key=MATRIX, description=f"Report of matrix {matrix_id}")
    common = {"schema_version": SCHEMA_VERSION, "matrix_id": matrix_id}
    rows = [{**common, **row, "directory": str(directory.resolve())} for row in machines]
    create_table_artifact(rows, key=MACHINES, description=f"Machines of matrix {matrix_id}")


def publish_evaluation(run_id: str, markdown: str) -> None:
    """Make the artifact of a finished sharded evaluation."""
    create_markdown_artifact(markdown, key=EVALUATION, description=f"Evaluation {run_id}")


class PrefectProgress(Progress):
    """A progress artifact that follows the documents done; no cell is lost to a server that is away."""

    def __init__(self) -> None:
        self._artifact = cast(
            UUID, create_progress_artifact(0.0, key=PROGRESS, description="Documents evaluated")
        )

    def show(self, done: Done) -> None:
        with contextlib.suppress(HTTPError):
            update_progress_artifact(self._artifact, 100.0 * done.documents / max(done.of_documents, 1))
