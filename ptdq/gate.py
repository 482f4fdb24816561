"""A gate for pipelines: the old model and the new one in one run, interleaved, and one answer.

The old artifacts are measured again beside the new ones, in the same rounds on the same cores, so the
machine's mood touches both alike. They come from an earlier run whose artifacts are still in the cache,
or from the old model itself, which is prepared and judged first, in a run that is as short as can be.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ptdq.errors import UserError
from ptdq.execution import Ended, check_input, execute
from ptdq.parameters import Group, Parameters, default_values, make_parameters, names
from ptdq.store.baseline import NONE

TARGET_WIDTH = 0.05
MAX_MINUTES = 20.0
"""Of a gate, where nothing else is asked for."""

_KEPT = ("margin", "min_effect")
_SHORT: dict[str, Any] = {
    "repeats": 1,
    "timing_documents": 8,
    "control_documents": 0,
    "target_width": None,
    "max_minutes": default_values()["max_minutes"],
    "publish_to": None,
    "track": None,
    "baseline": NONE,
}
"""Of the old model's own run, whose times are not used: it leaves artifacts and predictions."""


@dataclass(frozen=True)
class Old:
    """The old model.

    Attributes:
        model: directory, or id on the hub.
        revision: of one on the hub.
    """

    model: str
    revision: str | None = None


def gate(values: Mapping[str, Any], old: Old | None = None, verbose: bool = False) -> Ended:
    """Measure old and new side by side; what became worse fails, as do the gates that are set.

    Args:
        values: parameters of the run; ``baseline`` among them where there is no ``old``.
        old: the old model.
        verbose: see :func:`ptdq.execution.execute`.

    Raises:
        UserError: the input is wrong; nothing was measured.
        RunFailed: the old model could not be prepared or judged, or the run failed as a whole.
    """
    asked = new_parameters(values, old)
    if old is None:
        return execute(asked, verbose=verbose)
    # Found now, not after the old model's run; the baseline is not there yet.
    check_input(asked.model_copy(update={"baseline": NONE}), resume=False)
    before = old_parameters(asked, old)
    ended = execute(before, verbose=verbose)
    if ended.error is not None:
        raise ended.error
    return execute(asked, verbose=verbose)


def new_parameters(values: Mapping[str, Any], old: Old | None) -> Parameters:
    """Parameters of the run that decides.

    Raises:
        UserError: there is nothing to compare with, or twice; or a parameter is wrong.
    """
    run_id = values.get("run_id") or time.strftime("gate-%Y%m%dT%H%M%SZ", time.gmtime())
    usual = {"target_width": TARGET_WIDTH, "max_minutes": MAX_MINUTES, "fail_on_regression": True}
    given = {**usual, **values, "run_id": run_id}
    if old is not None and given.get("baseline") is not None:
        raise UserError("old_model, baseline: give one of them")
    if old is None and given.get("baseline") in (None, NONE):
        raise UserError(
            "baseline: a gate compares with something; give an earlier run (--baseline), or the old "
            "model (--old-model)"
        )
    if old is not None:
        given["baseline"] = f"{run_id}-old"
    return make_parameters(given)


def old_parameters(asked: Parameters, old: Old) -> Parameters:
    """Parameters of the old model's own run: the same documents and variants, as short as can be."""
    gates = {name: default_values()[name] for name in names(Group.VERDICT) if name not in _KEPT}
    own = {"model": old.model, "revision": old.revision, "run_id": asked.baseline}
    return make_parameters(asked.model_dump() | gates | _SHORT | own)
