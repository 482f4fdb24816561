"""What goes into a model and what comes out, as arrays: the types that every runtime agrees on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ptdq.problem.answers import Answers

Inputs = Mapping[str, NDArray[np.int64]]
"""What a tokenizer gives: name (``input_ids``, ``attention_mask``, …) to ids, [batch, tokens]."""

Predictor = Callable[[Inputs], NDArray[np.float32]]
"""From token ids to logits, float32 [batch, classes]."""


@dataclass(frozen=True)
class Calibration:
    """Token ids from which static variants take ranges; never documents of the test set."""

    inputs: Sequence[Inputs]
    """Documents of different lengths, each with batch 1."""
    origin: str
    """What they are, in words, for the report."""
    answers: Answers = field(default_factory=Answers)
    """What of the logits is the model's answer."""
