"""Inputs padded to a few lengths, whose kernels are made when a model is loaded and not when it serves.

Runtimes that compile by shape make kernels at the first call of every length, which costs more than the
call. ``padding.json`` beside an artifact says how to pad; an artifact without it is called as it is.
Self-contained, as the other files here are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RULE = "padding.json"
_Inputs = Mapping[str, NDArray[np.int64]]
_Predict = Callable[[_Inputs], NDArray[np.float32]]


class Padded:
    """A function from a tokenizer's outputs to logits, called with lengths that are multiples of a step.

    Attributes:
        threads: those that the runtime says it has; None where it does not say.
    """

    def __init__(self, predict: _Predict, step: int, longest: int, fill: Mapping[str, int]) -> None:
        """Args: what is called; tokens; the most tokens it takes; by input, what padding holds."""
        self._predict, self._step, self._longest, self._fill = predict, step, longest, fill
        self.threads: int | None = getattr(predict, "threads", None)

    def __call__(self, inputs: _Inputs) -> NDArray[np.float32]:
        return self._predict({name: self._pad(inputs[name], value) for name, value in self._fill.items()})

    def warm(self, batch: int, longest: int) -> None:
        """Call every length up to that of ``longest`` tokens once, with ``batch`` documents."""
        for tokens in sorted({self.padded(n) for n in range(1, min(longest, self._longest) + 1)}):
            # Padding alone, but not hidden: attention to nothing at all is not a number in some runtimes.
            values = {**self._fill, "attention_mask": 1}
            self._predict({name: np.full((batch, tokens), values[name], np.int64) for name in self._fill})

    def padded(self, tokens: int) -> int:
        """The length that inputs of ``tokens`` are padded to."""
        return max(tokens, min(-(-tokens // self._step) * self._step, self._longest))

    def _pad(self, ids: NDArray[np.int64], value: int) -> NDArray[np.int64]:
        batch, tokens = ids.shape
        filled = np.full((batch, self.padded(tokens)), value, np.int64)
        filled[:, :tokens] = ids
        return filled


def with_padding(predict: _Predict, artifact: Path) -> _Predict:
    """``predict`` with the padding of its artifact, where that has any."""
    path = artifact / RULE
    if not path.exists():
        return predict
    return Padded(predict, **json.loads(path.read_text(encoding="utf-8")))
