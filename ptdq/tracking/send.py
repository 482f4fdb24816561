"""Finding the tracker that a run's parameters name, and giving it the run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import entry_points

from ptdq.errors import RunFailed, UserError, line_of
from ptdq.store.layout import RunFiles
from ptdq.tracking.tracked import Tracked, tracked

GROUP = "ptdq.trackers"
MLFLOW = "mlflow"

Tracker = Callable[[Tracked, str | None], str]


def check(track: str | None) -> None:
    """Find before hours of work that there is no such tracker, or that it is not installed.

    Args:
        track: the parameter; None where nothing is tracked.

    Raises:
        UserError: it cannot be used; says what to do.
    """
    if track is not None:
        _find(track)


def track(files: RunFiles, track: str) -> str:
    """Give a finished run to the tracker; returns where it is.

    Raises:
        UserError: there is no such tracker.
        RunFailed: it failed. The run itself is whole.
    """
    function, target = _find(track), track.partition(":")[2]
    try:
        return function(tracked(files), target or None)
    except Exception as error:  # each tracker has errors of its own
        raise RunFailed(
            f"track {track}: {line_of(error)}; the report is whole: {files.report}", str(files.directory)
        ) from error


def _find(track: str) -> Tracker:
    name = track.partition(":")[0]
    if name == MLFLOW:
        if importlib.util.find_spec("mlflow") is None:
            raise UserError("track mlflow: MLflow is not installed (pip install mlflow)")
        from ptdq.tracking import mlflow

        return mlflow.track
    others = {point.name: point for point in entry_points(group=GROUP)}
    if name not in others:
        raise UserError(f"track {track}: no such tracker; there are {', '.join([MLFLOW, *others])}")
    try:
        tracker: Tracker = others[name].load()
    except Exception as error:  # anyone's module runs here
        raise UserError(
            f"track {track}: {others[name].value} cannot be loaded ({line_of(error)})"
        ) from error
    return tracker
