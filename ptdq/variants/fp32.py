"""The float model as it is, eager: what every other variant is compared against."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ptdq import runtimes as loaders
from ptdq.inputs.source import WEIGHTS, Source, leaf_modules, torch_predictor
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant


class Fp32(Variant):
    """Eager float32; attention as transformers chooses it (scaled dot product)."""

    name = "fp32"
    summary = "the float32 model, eager"
    quantizes = False
    exported = loaders.eager("fp32.py")

    def prepare(
        self,
        source: Source,
        directory: Path,
        settings: Settings,
        calibration: Calibration | None,
    ) -> Prepared:
        link_or_copy(source.directory / WEIGHTS, directory / WEIGHTS)
        module = source.module()
        return Prepared(
            predict=torch_predictor(module),
            converted=[],
            kept_float=[name for name, _ in leaf_modules(module)],
            module=module,
        )

    def load(self, directory: Path, settings: Settings) -> Predictor:
        return torch_predictor(Source.open(directory, settings).module())


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for the same bytes where the file system can, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
