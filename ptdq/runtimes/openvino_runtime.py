"""A graph in OpenVINO, compiled for this CPU with the options that were measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import openvino
from numpy.typing import NDArray

PRECISION = "precision.json"


class Model:
    """A function from a tokenizer's outputs to logits, for one caller at a time."""

    def __init__(self, compiled_model: Any) -> None:
        self._model = compiled_model
        self._request = compiled_model.create_infer_request()
        self._names = [port.any_name for port in compiled_model.inputs]

    @property
    def threads(self) -> int:
        """Threads of an inference, as the compiled model says."""
        return int(self._model.get_property("INFERENCE_NUM_THREADS"))

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        self._request.infer([inputs[name] for name in self._names], share_inputs=True)
        # A copy: the tensor is overwritten by the next call.
        return cast(NDArray[np.float32], self._request.get_output_tensor(0).data.copy())


def open_model(artifact: Path, threads: int) -> Model:
    """The graph of an artifact."""
    precision = json.loads((artifact / PRECISION).read_text(encoding="utf-8"))["precision"]
    return compiled(artifact / "model.xml", threads, precision)


def compiled(graph: Any, threads: int, precision: str) -> Model:
    """The same, of a graph or the path of one; ``precision`` is that of what is not int8."""
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
    }
    return Model(openvino.Core().compile_model(graph, "CPU", options))
