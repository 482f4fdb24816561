"""``make bench-peers``: ``int8-best`` against what a user would pick otherwise, in one run.

Optimum Intel's OpenVINO models as one gets them, with their defaults: the float model, which computes in
bfloat16 where the CPU has it, and the quantized one. They are variants of ptdq like any other, so that
the same workers, rounds and intervals serve all. The environment is one of its own (``peers.txt``).

The machine must be otherwise idle. Weights are random unless ``MODEL`` names a checkpoint with weights.

    make bench-peers MODEL=path/to/model DATA=path/to/test.csv

Writes ``tests/benchmarks/results/peers.json`` and prints a table.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ptdq.errors import UserError
from ptdq.variants.base import Calibration, Inputs, Predictor, Prepared, Settings, Variant
from tests.benchmarks.variants import arguments, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptdq.inputs.source import Source

RESULTS = Path(__file__).parent / "results" / "peers.json"
MODEL = "optimum"
VARIANTS = [
    "fp32", "int8-best", "openvino-int8-static",
    "tests.benchmarks.peers:OptimumFloat", "tests.benchmarks.peers:OptimumInt8",
]  # fmt: skip


class OptimumFloat(Variant):
    """Optimum Intel's float model at its defaults."""

    name = "tests.benchmarks.peers:OptimumFloat"
    summary = "Optimum Intel, float model, its defaults"
    requires: ClassVar[tuple[str, ...]] = ("optimum-intel",)
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


def main() -> None:
    """Run all of them, or those named, and write what was found."""
    parser = arguments(__doc__.splitlines()[0], RESULTS, documents=64)
    parser.add_argument("--tune-minutes", type=float, default=15)
    chosen = parser.parse_args()
    measure(chosen, VARIANTS, [128, 384], tune_minutes=chosen.tune_minutes)


if __name__ == "__main__":
    main()
