"""Inputs padded to a few lengths, whose kernels are made when a model is loaded and not when it serves.

Runtimes that compile by shape make kernels at the first call of every length, which costs more than the
call. ``padding.json`` beside an artifact says how to pad; an artifact without it is called as it is.
Self-contained, as the other files here are.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RULE = "padding.json"
_Inputs = Mapping[str, NDArray[np.int64]]
_Predict = Callable[[_Inputs], NDArray[np.float32]]


class Padded:
    """A function from a tokenizer's outputs to logits, called with few lengths.

    Args:
        predict: what is called.
        step: it is called with multiples of so many tokens.
        longest: but with no more than so many.
        fill: by input, what padding holds.
        lengths: ascending; a single document is padded to one of these instead where at most a fifth of
            that is padding, or no more than a multiple of the step would be.

    Attributes:
        threads: those that the runtime says it has; None where it does not say.
    """

    def __init__(
        self,
        predict: _Predict,
        step: int,
        longest: int,
        fill: Mapping[str, int],
        lengths: Sequence[int] = (),
    ) -> None:
        self._predict, self._step, self._longest, self._fill = predict, step, longest, fill
        self._lengths = lengths
        self.threads: int | None = getattr(predict, "threads", None)

    def __call__(self, inputs: _Inputs) -> NDArray[np.float32]:
        given = {name: inputs[name] for name in self._fill}
        batch, tokens = next(iter(given.values())).shape
        length = self.padded(tokens, batch)
        if length == tokens:
            return self._predict(given)
        return self._predict({name: _pad(ids, length, self._fill[name]) for name, ids in given.items()})

    def warm(self, batch: int, longest: int) -> None:
        """Call every length up to that of ``longest`` tokens once, with ``batch`` documents."""
        for tokens in sorted({self.padded(n, batch) for n in range(1, min(longest, self._longest) + 1)}):
            # Padding alone, but not hidden: attention to nothing at all is not a number in some runtimes.
            values = {**self._fill, "attention_mask": 1}
            self._predict({name: np.full((batch, tokens), values[name], np.int64) for name in self._fill})

    def padded(self, tokens: int, batch: int = 1) -> int:
        """The length that ``batch`` documents of ``tokens`` are padded to."""
        stepped = max(tokens, min(-(-tokens // self._step) * self._step, self._longest))
        if batch == 1 and self._lengths and tokens <= self._lengths[-1]:
            length = self._lengths[bisect_left(self._lengths, tokens)]
            if length <= max(stepped, tokens * 5 // 4):
                return length
        return stepped


def _pad(ids: NDArray[np.int64], length: int, value: int) -> NDArray[np.int64]:
    batch, tokens = ids.shape
    padded = np.empty((batch, length), np.int64)
    padded[:, :tokens], padded[:, tokens:] = ids, value
    return padded


def with_padding(predict: _Predict, artifact: Path) -> _Predict:
    """``predict`` with the padding of its artifact, where that has any."""
    path = artifact / RULE
    if not path.exists():
        return predict
    return Padded(predict, **json.loads(path.read_text(encoding="utf-8")))
