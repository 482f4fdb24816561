"""The events of a run, for automations of Prefect: the one place that knows their names.

| event | when |
| --- | --- |
| ``ptdq.verdict.ship`` | a run came to its report, and some variant is to be shipped |
| ``ptdq.verdict.dont-ship`` | it came to its report, and none is |
| ``ptdq.verdict.cant-tell`` | it came to its report, and the figures do not decide |
| ``ptdq.regression`` | a variant got worse since the baseline run |

The resource is the model, ``prefect.resource.id`` = ``ptdq.model.HASH``; labels and payload are in
:data:`LABELS` and :data:`PAYLOAD`. Flow run, flow and deployment are related resources, as of every event
of Prefect.
"""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event

from ptdq.analysis import tables
from ptdq.orchestration.artifacts import verdict_row
from ptdq.store.layout import RunFiles
from ptdq.store.run import Run, load
from ptdq.store.schema import SCHEMA_VERSION

VERDICTS = {
    "ship": "ptdq.verdict.ship",
    "don't ship": "ptdq.verdict.dont-ship",
    "can't tell": "ptdq.verdict.cant-tell",
}
REGRESSION = "ptdq.regression"

LABELS: dict[str, str] = {
    "prefect.resource.id": "ptdq.model. and the content hash of the checkpoint",
    "prefect.resource.name": "the checkpoint, as it was asked for",
    "ptdq.run-id": "the run",
    "ptdq.variant": "the variant that the verdict is about; empty where it is about none",
}
"""Labels of the resource, which a trigger can match."""

PAYLOAD: dict[str, str] = {
    "verdict": "the row of the artifact ptdq-verdict",
    "comparisons": "the rows of the artifact ptdq-comparisons",
    "regressions": "of ptdq.regression: what got worse, in words",
    "changes": "of ptdq.regression: what changed since the baseline, a row for each variant and length",
    "baseline": "of ptdq.regression: the run that is compared with",
}
"""What the payload holds; directory, variant and figures are in its rows."""


def emit_verdict(files: RunFiles) -> None:
    """Emit the events of a run that has its report."""
    run = load(files)
    common = {"schema_version": SCHEMA_VERSION, "run_id": files.run_id}
    payload: dict[str, Any] = {
        "verdict": {**common, **verdict_row(run)},
        "comparisons": [{**common, **row} for row in tables.against_baseline(run)],
    }
    emit_event(VERDICTS[payload["verdict"]["decision"]], resource=_resource(run), payload=payload)
    change = run.record.baseline
    if change is not None and change.regressions:
        what = {
            "regressions": change.regressions,
            "changes": change.changes,
            "baseline": change.old,
        }
        emit_event(REGRESSION, resource=_resource(run), payload=payload | what)


def _resource(run: Run) -> dict[str, str]:
    record = run.record
    return {
        "prefect.resource.id": f"ptdq.model.{record.model.digest}",
        "prefect.resource.name": record.model.name or "",
        "ptdq.run-id": run.files.run_id,
        "ptdq.variant": (record.verdict.variant if record.verdict is not None else None) or "",
    }
