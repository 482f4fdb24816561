"""What a tracker is given of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptdq.analysis import tables
from ptdq.store.layout import RunFiles
from ptdq.store.run import Run, load

FIGURES = ("forward_p50_ms", "forward_p95_ms", "total_mean_ms", "documents_per_second", "artifact_mb")
SCORES = ("f1_weighted", "accuracy", "main")
COMPARED = ("speedup_total", "speedup", "speedup_p95")
QUALITY = ("f1_weighted_difference", "accuracy_difference", "main_difference")


@dataclass(frozen=True)
class Tracked:
    """A finished run, for a tracker.

    Attributes:
        run_id: its name.
        directory: where its files lie.
        parameters: as asked for, with hashes of model and data; each as text.
        metrics: figures, ``VARIANT.LENGTH.NAME``; a comparison with the baseline has ``NAME_low`` and
            ``NAME_high`` beside it, the bounds of its interval.
        tags: the decision, its variant, the machine.
        files: report, plots, record and tables.
    """

    run_id: str
    directory: Path
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: Sequence[Path]


def tracked(files: RunFiles) -> Tracked:
    """What a tracker is given of this run."""
    run = load(files)
    record = run.record
    hashes = {"model_digest": record.model.digest, "data_digest": record.data.digest}
    verdict = record.verdict
    tags = {
        "ptdq.decision": verdict.decision if verdict is not None else "",
        "ptdq.variant": (verdict.variant if verdict is not None else None) or "",
        "ptdq.cpu": record.machine.cpu or "",
        "ptdq.command": record.command or "",
    }
    paths = [*files.directory.glob("[!.]*.*"), *files.directory.glob("plots/[!.]*.*")]
    return Tracked(
        run_id=files.run_id,
        directory=files.directory,
        parameters={name: _text(value) for name, value in {**record.parameters, **hashes}.items()},
        metrics=_metrics(run),
        tags=tags,
        files=sorted(paths),
    )


def _metrics(run: Run) -> dict[str, float]:
    metrics: dict[str, Any] = {}
    for row in tables.figures(run):
        place = f"{row['variant']}.{row['max_length']}"
        metrics |= {f"{place}.{name}": row.get(name) for name in (*FIGURES, *SCORES)}
    intervals = [f"{n}{end}" for n in (*COMPARED, *QUALITY) for end in ("", "_low", "_high")]
    for compared in tables.against_baseline(run):
        place = f"{compared['variant']}.{compared['max_length']}"
        metrics |= {f"{place}.{name}": compared.get(name) for name in [*intervals, "f1_ratio"]}
    return {name: float(v) for name, v in metrics.items() if v is not None and math.isfinite(v)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
