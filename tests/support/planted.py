"""Variants with a planted difference (``tests.support.planted:Class``): what a comparison must find."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptdq.variants.base import Inputs, Predictor, Settings
from ptdq.variants.fp32 import Fp32

WORKER = "ptdq.measure.worker"


class Same(Fp32):
    """The float model under another name: nothing to find."""

    name = "same"


class Slower(Fp32):
    """The float model, with each call made 5 % longer by a busy loop on the same core."""

    name = "slower"
    share = 0.05

    def load(self, directory: Path, settings: Settings) -> Predictor:
        predict = super().load(directory, settings)

        def slower(inputs: Inputs) -> NDArray[np.float32]:
            start = time.perf_counter_ns()
            logits = predict(inputs)
            end = start + (time.perf_counter_ns() - start) * (1 + self.share)
            while time.perf_counter_ns() < end:
                pass
            return logits

        return slower


class Worse(Fp32):
    """The float model, with the logits of one document in eight turned upside down in the cells.

    There alone: what proves an artifact before it is measured would refuse it.
    """

    name = "worse"

    def load(self, directory: Path, settings: Settings) -> Predictor:
        predict = super().load(directory, settings)
        if (
            sys.modules["__main__"].__spec__ is None
            or WORKER not in sys.modules["__main__"].__spec__.name
        ):
            return predict

        def worse(inputs: Inputs) -> NDArray[np.float32]:
            logits = predict(inputs)
            turned = inputs["input_ids"].sum(axis=1) % 8 == 0
            return np.where(turned[:, None], -logits, logits)

        return worse
