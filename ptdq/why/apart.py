"""Branches of a graph as models of their own: a profiler says of those in one model only which was taken.

They share no weights then, so that it takes more memory; what they compute is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ptdq.runtimes.openvino_runtime import Model


@contextmanager
def branches_apart() -> Iterator[None]:
    """Artifacts of OpenVINO that are loaded in the block have their branches so."""
    if "openvino" not in sys.modules:
        yield
        return
    from ptdq.runtimes import openvino_runtime

    with patch.object(openvino_runtime, "of_lengths", Apart):
        yield


class Apart:
    """See :class:`ptdq.runtimes.openvino_runtime.Branched`.

    Args:
        model: of any batch and length.
        lengths: in tokens.
        compile_for_cpu: makes a compiled model.
    """

    def __init__(self, model: Any, lengths: Sequence[int], compile_for_cpu: Callable[[Any], Any]) -> None:
        from ptdq.runtimes.openvino_runtime import Model

        self._names = [port.any_name for port in model.inputs]
        self._graph, self._compile, self._lengths = model, compile_for_cpu, frozenset(lengths)
        self._any = Model(compile_for_cpu(model), self._names)
        self._fixed: dict[int, Model] = {}
        self.threads = self._any.threads

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        batch, tokens = inputs[self._names[0]].shape
        return (self._of(tokens) if batch == 1 and tokens in self._lengths else self._any)(inputs)

    def _of(self, tokens: int) -> Model:
        """Made when it is first called: each has a copy of the weights."""
        from ptdq.runtimes.openvino_runtime import Model

        if tokens not in self._fixed:
            fixed = self._graph.clone()
            fixed.reshape({name: [1, tokens] for name in self._names})
            self._fixed[tokens] = Model(self._compile(fixed), self._names)
        return self._fixed[tokens]
