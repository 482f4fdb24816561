"""A variant for tests, named ``tests.flows.slow:Slow``: a worker of it never comes to its end."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from tasks.variants.base import Inputs, Predictor, Settings
from tasks.variants.fp32 import Fp32

WAITS = "slow: waits"
"""The last line of its log, once it does."""

_DOCUMENTS = 10
"""More than the proof of an artifact takes, fewer than there are."""


class Slow(Fp32):
    """The float model, until it stops in the middle of the documents."""

    name = "slow"
    summary = "for tests: stops in the middle"

    def load(self, directory: Path, settings: Settings) -> Predictor:
        predict, calls = super().load(directory, settings), itertools.count(1)

        def stop_halfway(inputs: Inputs):  # type: ignore[no-untyped-def]
            if next(calls) > _DOCUMENTS:
                print(WAITS, flush=True)
                time.sleep(3600)
            return predict(inputs)

        return stop_halfway
