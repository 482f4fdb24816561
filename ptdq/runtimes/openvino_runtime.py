"""A graph in OpenVINO, compiled for this CPU with the options that were measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import openvino
from numpy.typing import NDArray


def open_model(
    artifact: Path, threads: int
) -> Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]:
    """A function from a tokenizer's outputs to logits, for one caller at a time."""
    return compiled(artifact / "model.xml", threads)


def compiled(
    graph: Any, threads: int
) -> Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]:
    """The same, of a graph or the path of one."""
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = openvino.Core().compile_model(graph, "CPU", options)
    request = model.create_infer_request()
    names = [port.any_name for port in model.inputs]

    def predict(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        request.infer([inputs[name] for name in names], share_inputs=True)
        # A copy: the tensor is overwritten by the next call.
        return cast(NDArray[np.float32], request.get_output_tensor(0).data.copy())

    return predict
