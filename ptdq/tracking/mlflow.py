"""MLflow, through its public client: a run of MLflow for each run.

It goes to the tracking server that the URI names, else to the one that MLflow is set up for
(MLFLOW_TRACKING_URI), and into the experiment of MLFLOW_EXPERIMENT_NAME, else ``ptdq``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from ptdq.tracking.tracked import Tracked

T = TypeVar("T")

_PARAMETERS, _METRICS = 100, 1000
"""What MLflow takes at a time."""
_LONGEST = 500
"""Characters of a value that every version of its servers takes."""


def track(run: Tracked, uri: str | None) -> str:
    """Make a run of MLflow with all of ``run``, and say which.

    It is ended as failed, and the error raised, where something could not be sent.
    """
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "ptdq")
    experiment = client.get_experiment_by_name(name)
    identity = experiment.experiment_id if experiment is not None else client.create_experiment(name)
    made = client.create_run(identity, run_name=run.run_id).info.run_id
    status = "FAILED"
    try:
        now = int(time.time() * 1000)
        parameters = [Param(_key(n), value[:_LONGEST]) for n, value in run.parameters.items()]
        metrics = [Metric(_key(n), value, now, 0) for n, value in run.metrics.items()]
        tags = [RunTag(n, value) for n, value in run.tags.items()]
        client.log_batch(made, tags=tags)
        for some in _pieces(parameters, _PARAMETERS):
            client.log_batch(made, params=some)
        for few in _pieces(metrics, _METRICS):
            client.log_batch(made, metrics=few)
        for path in run.files:
            place = path.parent.relative_to(run.directory).as_posix()
            client.log_artifact(made, str(path), None if place == "." else place)
        status = "FINISHED"
    finally:
        client.set_terminated(made, status)
    return f"MLflow run {made} of experiment {name}"


def _key(name: str) -> str:
    """A name that MLflow takes; those of variants of other packages have colons."""
    return re.sub(r"[^\w./ -]", "_", name)


def _pieces(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
