"""What a user would pick otherwise, as variants like any other: the same workers, rounds, intervals.

Optimum Intel's OpenVINO models as one gets them, with their defaults: the float model, which computes in
bfloat16 where the CPU has it, and the quantized one. Their preparation and their workers run in an
environment of their own (``peers.txt``), which ``make bench-peers`` makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptdq.errors import UserError
from ptdq.variants.base import Calibration, Inputs, Predictor, Prepared, Settings, Variant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptdq.inputs.source import Source

MODEL = "optimum"
PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"


class OptimumFloat(Variant):
    """Optimum Intel's float model at its defaults."""

    name = "tests.benchmarks.peers:OptimumFloat"
    summary = "Optimum Intel, float model, its defaults"
    python = str(PYTHON)
    repeats = False

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        from ptdq.inputs.source import leaf_modules

        self.write(source, directory / MODEL, calibration)
        modules = [name for name, _ in leaf_modules(source.skeleton())]
        # Which of them are in another format than float32 is the runtime's to choose, by the CPU.
        return Prepared(self.load(directory, settings), converted=modules, kept_float=[])

    def write(self, source: Source, target: Path, calibration: Calibration | None) -> None:
        """Export the model as a user would."""
        _exported(source).save_pretrained(target)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        import torch
        from optimum.intel import OVModelForSequenceClassification

        model: Any = OVModelForSequenceClassification.from_pretrained(directory / MODEL)

        def predict(inputs: Inputs) -> NDArray[np.float32]:
            output = model(**{name: torch.from_numpy(ids) for name, ids in inputs.items()})
            return np.asarray(output.logits, np.float32)

        return predict


class OptimumInt8(OptimumFloat):
    """Optimum Intel's static int8 at its defaults, ranges from the calibration documents."""

    name = "tests.benchmarks.peers:OptimumInt8"
    summary = "Optimum Intel, int8 with static ranges, its defaults"
    calibrates = True

    def write(self, source: Source, target: Path, calibration: Calibration | None) -> None:
        import nncf
        from optimum.intel import OVConfig, OVQuantizationConfig, OVQuantizer

        if calibration is None or not calibration.inputs:
            raise UserError(f"variant {self.name} needs calibration documents, and there are none")
        OVQuantizer.from_pretrained(_exported(source)).quantize(
            calibration_dataset=nncf.Dataset([dict(one) for one in calibration.inputs]),
            save_directory=target,
            ov_config=OVConfig(
                quantization_config=OVQuantizationConfig(num_samples=len(calibration.inputs))
            ),
        )


def _exported(source: Source) -> Any:
    from optimum.intel import OVModelForSequenceClassification

    return OVModelForSequenceClassification.from_pretrained(source.directory, export=True, compile=False)


NAMES = [OptimumFloat.name, OptimumInt8.name]
