"""A graph in ONNX Runtime, with the options that were measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray


class Model:
    """A function from a tokenizer's outputs to logits."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._names = [port.name for port in session.get_inputs()]

    @property
    def threads(self) -> int:
        """Threads of an operator, as the session says."""
        return int(self._session.get_session_options().intra_op_num_threads)

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        (logits,) = self._session.run(None, {name: inputs[name] for name in self._names})
        return cast(NDArray[np.float32], logits)


def open_model(artifact: Path, threads: int) -> Model:
    """The graph of an artifact."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return Model(
        onnxruntime.InferenceSession(artifact / "model.onnx", options, providers=["CPUExecutionProvider"])
    )
