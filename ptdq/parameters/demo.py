"""The embedded default as a value of ``model`` and ``data``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ptdq.parameters.model import Parameters

DEMO = "demo"
"""As model and data: the embedded default, a synthetic corpus and a model trained on it."""

DEMO_VALUES: dict[str, Any] = {
    "model": DEMO,
    "data": DEMO,
    "max_length": [192],
    "limit": 1200,
    "timing_documents": 100,
    "control_documents": 0,
    "margin": 0.98,
}
"""Parameters of ``ptdq demo``: small enough for three minutes on two cores, and a margin that so few
documents can decide though a variant changes one answer in fifty."""


class DemoFiles(Protocol):
    """Where the embedded default lies, as :func:`ptdq.demo.build.make_demo` gives it."""

    @property
    def model(self) -> Path: ...

    @property
    def data(self) -> Path: ...

    @property
    def calibration(self) -> Path: ...


def with_demo(parameters: Parameters, make: Callable[[], DemoFiles]) -> Parameters:
    """The same with ``demo`` replaced by the files of the embedded default, made if it is asked for.

    Variants that calibrate, and choices, take its training documents.
    """
    if DEMO not in (parameters.model, parameters.data):
        return parameters
    files = make()
    values: dict[str, Any] = {}
    if parameters.model == DEMO:
        values["model"] = str(files.model)
    if parameters.data == DEMO:
        values["data"] = str(files.data)
        values["calibration_data"] = parameters.calibration_data or str(files.calibration)
    return parameters.model_copy(update=values)
