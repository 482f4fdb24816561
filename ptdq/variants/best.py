"""The project's own variant: int8 with static ranges, searched on the machine that it is to run on.

Its first candidate is OpenVINO with NNCF, the fastest of the runtimes at every length where it was
measured, of a model that computes less: :mod:`ptdq.variants.encoder` rewrites the last layer so that it
is computed for the first token alone, which is exact. From there a declared space is searched
(:mod:`ptdq.variants.tuning.space`): the number format of what is not int8, NNCF's preset, attention,
smoothing (SmoothQuant, https://arxiv.org/abs/2211.10438) and more modules in float where answers need
them, ONNX Runtime, AOTInductor; last, branches with fixed shapes. The fastest that keeps the answers of
the calibration documents is taken, timed in pinned processes by successive halving. ``tune_minutes``
bounds it; with 0 it is the first candidate, smoothed where that changes fewer answers.

The artifact is that of the engine chosen; ``engine.json`` names the variant whose loader it takes. **If
that is AOTInductor, it is machine code: load only what was made on a machine that you trust.**
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ptdq import runtimes as loaders
from ptdq.errors import UserError
from ptdq.store.disk import read_json, write_json
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant
from ptdq.variants.openvino_runtime import OpenvinoInt8Static

if TYPE_CHECKING:
    from ptdq.inputs.source import Source

ENGINE = "engine.json"
LOADERS = (
    "openvino-int8-static", "openvino-int8-static-bf16", "onnx-int8-static", "onnx-int8-dynamic",
    "int8-pt2e-static", "int8-mixed-bf16",
)  # fmt: skip
"""Variants of which a candidate may be: an artifact names one of them, and no other code."""


class Int8Best(OpenvinoInt8Static):
    """The fastest that keeps the answers, of those that were tried."""

    name = "int8-best"
    version = 11
    summary = "the fastest int8 here that keeps the calibration documents' answers, of a declared space"
    tunes = True
    # Of AOTInductor's artifacts too: nothing is in memory to compare with.
    repeats = False
    uses_torch = False
    exported = loaders.alone("openvino_runtime.py")

    def of(self, directory: Path) -> Variant:
        """The variant whose loader the artifact takes.

        Raises:
            UserError: the artifact names none that there is.
        """
        from ptdq.variants import registry

        path = directory / ENGINE
        # Earlier versions knew one engine.
        name = read_json(path).get("variant") if path.is_file() else LOADERS[0]
        if name not in LOADERS:
            raise UserError(f"{path}: there is no engine '{name}'")
        return registry.get(str(name))

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        from ptdq.variants.tuning.search import Search, check_calibration

        given = check_calibration(self.name, calibration)
        with tempfile.TemporaryDirectory(prefix=".tune-", dir=directory.parent) as scratch:
            search = Search(source, settings, given, Path(scratch))
            chosen = search.run()
            for path in Path(chosen.directory).iterdir():
                shutil.move(path, directory / path.name)
            details = {**chosen.details, "tuning": search.report(chosen)}
        write_json(directory / ENGINE, {"variant": chosen.candidate.variant})
        return Prepared(
            predict=self.load(directory, settings),
            converted=chosen.converted,
            kept_float=chosen.kept_float,
            details=details,
        )

    def load(self, directory: Path, settings: Settings) -> Predictor:
        return self.of(directory).load(directory, settings)
