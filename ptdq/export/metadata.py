"""What the model hub reads of a card: its first lines, with latency, size and quality as ``model-index``.

The form is that of the hub's documentation of model cards, made by the hub's own library
(https://huggingface.co/docs/hub/model-cards#evaluation-results).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ptdq.analysis import tables
from ptdq.problem.task import MEASURES, OF_CLASSES, main_measure
from ptdq.store.run import Run
from ptdq.text import plain

TASK = "text-classification"

_LONGEST = 100


def front_matter(run: Run, name: str) -> str:
    """The lines between the dashes, and the dashes.

    Args:
        run: that measured the variant.
        name: of the variant.
    """
    from huggingface_hub import EvalResult, ModelCardData

    data = run.get("data", "path", default="data")
    dataset: dict[str, Any] = {
        "task_type": TASK,
        "dataset_type": tame(data),
        "dataset_name": tame(PurePosixPath(data).name or data),
        "dataset_split": tame(split) if (split := run.get("parameters", "split")) else None,
    }
    model = run.get("model", "name", default="a model")
    results = [EvalResult(**dataset, **metric) for metric in _metrics(run, name)]
    card = ModelCardData(
        model_name=f"{tame(PurePosixPath(model).name or model)} as {tame(name)}",
        eval_results=results,
        pipeline_tag=TASK,
        tags=["cpu", "ptdq", tame(name)],
        # A name on the hub, which it links to; a directory of the machine would lead nowhere.
        base_model=tame(model) if run.get("model", "revision") else None,
    )
    return f"---\n{card.to_yaml()}\n---"


def tame(text: object) -> str:
    """Text of others in letters, digits and a few signs: not every reader takes these lines for YAML."""
    return re.sub(r"[^\w .,/()+-]", "_", plain(text))[:_LONGEST].strip()


def _metrics(run: Run, name: str) -> Iterator[dict[str, Any]]:
    """Type, name and value of each figure of the variant, with what it depends on."""
    where = {
        "cpu": tame(run.get("machine", "cpu", default="unknown")),
        "batch_size": run.get("parameters", "batch_size", default=1),
        "threads": 1,
    }
    speedups = {row["max_length"]: row for row in tables.against_baseline(run) if row["variant"] == name}
    for row in (row for row in tables.figures(run) if row["variant"] == name):
        length = {"max_length": row["max_length"]}
        if run.quality and run.task not in OF_CLASSES:
            main = main_measure(run.task)
            if (value := row.get("main")) is not None:
                yield _metric(main, MEASURES[run.task][main].words, value, length)
        elif run.quality:
            yield _metric("f1", "weighted F1", row["f1_weighted"], length)
            yield _metric("accuracy", "accuracy", row["accuracy"], length)
        at = f"at {row['max_length']} tokens"
        yield _metric(
            "latency", f"median forward latency {at}, ms", row["forward_p50_ms"], length | where
        )
        yield _metric(
            "latency", f"mean time per document {at}, tokenization included, ms",
            row["total_mean_ms"], length | where,
        )  # fmt: skip
        compared = speedups.get(row["max_length"])
        if compared is not None and compared["speedup_total"] is not None:
            ends = [compared["speedup_total_low"], compared["speedup_total_high"]]
            interval = {"interval_95": [_rounded(end) for end in ends]} if None not in ends else {}
            yield _metric(
                "speedup", f"speed-up of the time per document over {tame(run.baseline)} {at}",
                compared["speedup_total"], length | where | interval,
            )  # fmt: skip
    size = next(row["artifact_mb"] for row in tables.sizes(run) if row["variant"] == name)
    yield _metric("size", "size of the artifact, MB of 1e6 bytes", size, {})


def _metric(kind: str, name: str, value: float | None, depends_on: dict[str, Any]) -> dict[str, Any]:
    return {
        "metric_type": kind,
        "metric_name": name,
        "metric_value": None if value is None else _rounded(value),
        "metric_args": depends_on or None,
    }


def _rounded(value: float | None) -> float:
    return float(f"{value:.5g}")
