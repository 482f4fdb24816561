"""A variant for tests, ``tests.support.held:Held``: its worker waits in the middle of the documents.

For ever, or, where ``PTDQ_TEST_HOLD`` names a file, while that file exists. Where ``PTDQ_TEST_CLOCK``
has a number of seconds, the clock of its process is set by so many afterwards.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from ptdq.variants.base import Inputs, Predictor, Settings
from ptdq.variants.fp32 import Fp32

HELD = "tests.support.held:Held"

HOLD = "PTDQ_TEST_HOLD"

CLOCK = "PTDQ_TEST_CLOCK"

WAITS = "held: waits"
"""The last line of its log, once it does."""

_CALLS = 10
"""More than the proof of an artifact takes, fewer than there are."""
_LATER = 30
"""The warm-up of a cell is over by then: what befalls it is measured."""


class Held(Fp32):
    """The float model, which stops in the middle of the documents."""

    name = "held"
    summary = "for tests: waits in the middle"

    def load(self, directory: Path, settings: Settings) -> Predictor:
        predict, calls = super().load(directory, settings), itertools.count(1)

        def wait_halfway(inputs: Inputs):  # type: ignore[no-untyped-def]
            call = next(calls)
            if call == _CALLS + 1:
                print(WAITS, flush=True)
                while HOLD not in os.environ or Path(os.environ[HOLD]).exists():
                    time.sleep(0.05)
            if call == _LATER + 1:
                set_clock(float(os.environ.get(CLOCK, "0")))
            return predict(inputs)

        return wait_halfway


def set_clock(seconds: float) -> None:
    """What this process is told of the time moves by so many seconds; the machine's own clock stays."""
    real = time.time
    time.time = lambda: real() + seconds
