"""A graph in OpenVINO, compiled for this CPU with the options that were measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import openvino
from numpy.typing import NDArray

PRECISION = "precision.json"


class Model:
    """A function from a tokenizer's outputs to logits, for one caller at a time.

    Args:
        compiled_model: of any batch and length.
        fixed: by length, compiled for one document of that length alone.
    """

    def __init__(self, compiled_model: Any, fixed: Mapping[int, Any] | None = None) -> None:
        self._model = compiled_model
        self._request = compiled_model.create_infer_request()
        self._fixed = {length: one.create_infer_request() for length, one in (fixed or {}).items()}
        self._names = [port.any_name for port in compiled_model.inputs]

    @property
    def threads(self) -> int:
        """Threads of an inference, as the compiled model says."""
        return int(self._model.get_property("INFERENCE_NUM_THREADS"))

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        batch, tokens = inputs[self._names[0]].shape
        request = self._fixed.get(tokens, self._request) if batch == 1 else self._request
        request.infer([inputs[name] for name in self._names], share_inputs=True)
        # A copy: the tensor is overwritten by the next call.
        return cast(NDArray[np.float32], request.get_output_tensor(0).data.copy())


def open_model(artifact: Path, threads: int) -> Model:
    """The graph of an artifact."""
    options = json.loads((artifact / PRECISION).read_text(encoding="utf-8"))
    return compiled(artifact / "model.xml", threads, options["precision"], options.get("shapes", ()))


def compiled(graph: Any, threads: int, precision: str, shapes: Sequence[int] = ()) -> Model:
    """The same, of a graph or the path of one.

    Args:
        graph: of any batch and length.
        threads: of an inference.
        precision: of what is not int8.
        shapes: lengths for which the file is compiled as well, for one document each.
    """
    core = openvino.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
    }
    fixed = {}
    for length in shapes:
        model = core.read_model(graph)
        model.reshape({port.any_name: [1, length] for port in model.inputs})
        fixed[length] = core.compile_model(model, "CPU", options)
    return Model(core.compile_model(graph, "CPU", options), fixed)
