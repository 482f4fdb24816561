"""The calibration documents with the float model's outputs, as the processes of a search share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptdq.inputs.arrays import Inputs, Predictor


@dataclass(frozen=True)
class Samples:
    """Documents, one by one, and what the float model says of them.

    Attributes:
        inputs: token ids of each [1, tokens].
        expected: outputs of the float model [documents, outputs].
    """

    inputs: Sequence[Inputs]
    expected: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file."""
        arrays = {f"{n}:{name}": ids for n, one in enumerate(self.inputs) for name, ids in one.items()}
        np.savez(path, expected=self.expected, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Samples:
        """Read what :meth:`save` wrote."""
        with np.load(path) as arrays:
            expected = arrays["expected"]
            inputs: list[dict[str, NDArray[np.int64]]] = [{} for _ in expected]
            for key in arrays.files:
                place, _, name = key.partition(":")
                if name:
                    inputs[int(place)][name] = arrays[key]
        return cls(inputs, expected)

    @property
    def longest(self) -> int:
        """Tokens of the longest document."""
        return max(self.lengths())

    def over_lengths(self, count: int) -> list[Inputs]:
        """So many documents, from the shortest to the longest at equal distances."""
        by_length = sorted(self.inputs, key=lambda one: one["input_ids"].shape[1])
        places = np.unique(np.linspace(0, len(by_length) - 1, count).round().astype(int))
        return [by_length[place] for place in places]

    def lengths(self) -> list[int]:
        """Tokens of each document."""
        return [int(one["input_ids"].shape[1]) for one in self.inputs]


def outputs(predict: Predictor, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
    """What a model says of each document [documents, outputs]."""
    return np.concatenate([predict(one) for one in inputs])
