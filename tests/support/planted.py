"""Variants with a planted difference (``tests.support.planted:Class``): what a comparison must find."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptdq.inputs.source import Source
from ptdq.store.disk import read_json, write_json
from ptdq.variants.base import Calibration, Inputs, Predictor, Prepared, Settings
from ptdq.variants.fp32 import Fp32

WORKER = "ptdq.measure.worker"
THREADS = "threads.txt"
PREFIX = "prefix.txt"


class Same(Fp32):
    """The float model under another name: nothing to find."""

    name = "same"


class Slower(Fp32):
    """The float model, with each call made 5 % longer by a busy loop on the same core."""

    name = "slower"
    share = 0.05

    def load(self, directory: Path, settings: Settings) -> Predictor:
        return slowed(super().load(directory, settings), self.share)


class Night(Fp32):
    """The float model, with an artifact of its own each night and calls that may be made longer.

    Number of the night and share of the calls are in the environment where it is prepared.
    """

    name = "night"
    version = int(os.environ.get("PLANTED_NIGHT", "1"))

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        share = float(os.environ.get("PLANTED_SHARE", "0"))
        write_json(directory / "night.json", {"night": self.version, "share": share})
        return super().prepare(source, directory, settings, calibration)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        share = read_json(directory / "night.json")["share"]
        return slowed(super().load(directory, settings), float(share))


class Threads(Fp32):
    """The float model, with the number of threads that its preparation had in a file beside it."""

    name = "threads"

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        (directory / THREADS).write_text(os.environ["OMP_NUM_THREADS"])
        return super().prepare(source, directory, settings, calibration)


class Elsewhere(Fp32):
    """The float model in an environment of its own, which is in a file, and which workers must be in."""

    name = "elsewhere"
    python = os.environ.get("PLANTED_PYTHON")

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        (directory / PREFIX).write_text(sys.prefix)
        return super().prepare(source, directory, settings, calibration)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        if (prepared := (directory / PREFIX).read_text()) != sys.prefix:
            raise RuntimeError(f"prepared in {prepared} and loaded in {sys.prefix}")
        return super().load(directory, settings)


def slowed(predict: Predictor, share: float) -> Predictor:
    """The same with each call made longer by a share, by a busy loop on the same core."""

    def slower(inputs: Inputs) -> NDArray[np.float32]:
        start = time.perf_counter_ns()
        logits = predict(inputs)
        end = start + (time.perf_counter_ns() - start) * (1 + share)
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
