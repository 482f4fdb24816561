"""A graph in ONNX Runtime, with the options that were measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray


def open_model(
    artifact: Path, threads: int
) -> Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]:
    """A function from a tokenizer's outputs to logits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = onnxruntime.InferenceSession(
        artifact / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    names = [port.name for port in model.get_inputs()]

    def predict(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        (logits,) = model.run(None, {name: inputs[name] for name in names})
        return cast(NDArray[np.float32], logits)

    return predict
