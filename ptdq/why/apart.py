"""Branches of a graph as models of their own: a profiler says of those in one model only which was taken.

They share no weights then, so that it takes more memory; what they compute is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray


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

        names = [port.any_name for port in model.inputs]
        self._names, self._fixed = names, {}
        for length in lengths:
            fixed = model.clone()
            fixed.reshape({name: [1, length] for name in names})
            self._fixed[length] = Model(compile_for_cpu(fixed), names)
        self._any = Model(compile_for_cpu(model), names)
        self.threads = self._any.threads

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        batch, tokens = inputs[self._names[0]].shape
        model = self._fixed.get(tokens, self._any) if batch == 1 else self._any
        return model(inputs)
