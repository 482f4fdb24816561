"""What a flow run shows in Prefect: the one place that knows the artifacts' keys.

Keys are stable; the same key again makes a new version. Latest: ``Artifact.get(key)``, or
``prefect artifact inspect KEY --limit 1 -o json``.

| key | kind | payload |
| --- | --- | --- |
| ``ptdq-report`` | markdown | the report, plots embedded |
| ``ptdq-verdict`` | table | one row: schema_version, run_id, decision, variant, headline, directory |
| ``ptdq-figures`` | table | a row for each variant and length |
| ``ptdq-comparisons`` | table | a row for each variant against the baseline, and length |
| ``ptdq-files`` | link | the run's directory |
| ``ptdq-progress`` | progress | documents done, per cent |
| ``ptdq-matrix`` | markdown | the report of a matrix |
| ``ptdq-machines`` | table | a row for each machine of a matrix |
| ``ptdq-evaluation`` | markdown | the report of a sharded evaluation |
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from tasks.measure.progress import Progress
from tasks.schema import SCHEMA_VERSION

REPORT = "ptdq-report"
VERDICT = "ptdq-verdict"
FIGURES = "ptdq-figures"
COMPARISONS = "ptdq-comparisons"
FILES = "ptdq-files"
PROGRESS = "ptdq-progress"
MATRIX = "ptdq-matrix"
MACHINES = "ptdq-machines"
EVALUATION = "ptdq-evaluation"


def publish(
    run_id: str,
    directory: Path,
    markdown: str,
    verdict: Mapping[str, Any],
    figures: Sequence[Mapping[str, Any]],
    comparisons: Sequence[Mapping[str, Any]],
) -> None:
    """Make the artifacts of a finished run."""
    create_markdown_artifact(markdown, key=REPORT, description=f"Report of run {run_id}")
    row = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "decision": verdict["decision"],
        "variant": verdict["variant"],
        "headline": verdict["headline"],
        "directory": str(directory.resolve()),
    }
    create_table_artifact([row], key=VERDICT, description=f"Verdict of run {run_id}")
    for key, rows, what in (
        (FIGURES, figures, "Latency, quality and size"),
        (COMPARISONS, comparisons, "Comparisons with the baseline"),
    ):
        plain = [dict(row) for row in rows]
        create_table_artifact(plain, key=key, description=f"{what} of run {run_id}")
    create_link_artifact(
        directory.resolve().as_uri(), key=FILES, link_text=str(directory),
        description=f"Files of run {run_id}",
    )  # fmt: skip


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

    def show(self, done: int, total: int) -> None:
        with contextlib.suppress(HTTPError):
            update_progress_artifact(self._artifact, 100.0 * done / max(total, 1))
