"""What a user would pick otherwise, as variants like any other: the same workers, rounds, intervals.

Optimum Intel's OpenVINO models as one gets them, with their defaults: the float model, which computes in
bfloat16 where the CPU has it, and the quantized one; and Optimum's dynamic int8 for ONNX Runtime as
sentence-transformers makes it for a CPU with VNNI, told how many threads it has, since ONNX Runtime takes
a thread for each core of the machine and moves them out of the cores that it was pinned to. They are
prepared and run in environments of their own, which ``make bench-peers`` makes: ``peers.txt``, and
``peers-onnx.txt`` for an older transformers.
"""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptdq.errors import UserError
from ptdq.variants.base import Calibration, Inputs, Predictor, Prepared, Settings, Variant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptdq.inputs.source import Source

MODEL = "optimum"
ONNX_MODEL = "model_quantized.onnx"
ROOT = Path(__file__).parents[2]


class Peer(Variant):
    """A model of Optimum's: what is common to all."""

    repeats = False

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        from ptdq.inputs.source import leaf_modules

        self.write(source, directory / MODEL, calibration)
        modules = [name for name, _ in leaf_modules(source.skeleton())]
        # Which of them are in another format than float32 is the runtime's to choose, by the CPU.
        return Prepared(self.load(directory, settings), converted=modules, kept_float=[])

    @abstractmethod
    def write(self, source: Source, target: Path, calibration: Calibration | None) -> None:
        """Export the model as a user would."""

    @abstractmethod
    def opened(self, directory: Path, threads: int) -> Any:
        """What was written, as a user would open it."""

    def load(self, directory: Path, settings: Settings) -> Predictor:
        import torch

        model = self.opened(directory / MODEL, settings.threads)

        def predict(inputs: Inputs) -> NDArray[np.float32]:
            output = model(**{name: torch.from_numpy(ids) for name, ids in inputs.items()})
            return np.asarray(output.logits, np.float32)

        return predict


class OptimumFloat(Peer):
    """Optimum Intel's float model at its defaults."""

    name = "tests.benchmarks.peers:OptimumFloat"
    summary = "Optimum Intel, float model, its defaults"
    python = str(ROOT / ".venv-peers" / "bin" / "python")

    def write(self, source: Source, target: Path, calibration: Calibration | None) -> None:
        _exported(source).save_pretrained(target)

    def opened(self, directory: Path, threads: int) -> Any:
        from optimum.intel import OVModelForSequenceClassification

        return OVModelForSequenceClassification.from_pretrained(directory)


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


class OptimumOnnxInt8(Peer):
    """Optimum's dynamic int8 for ONNX Runtime, as sentence-transformers offers it for avx512_vnni."""

    name = "tests.benchmarks.peers:OptimumOnnxInt8"
    summary = "Optimum, ONNX Runtime, dynamic int8, its defaults for VNNI"
    python = str(ROOT / ".venv-peers-onnx" / "bin" / "python")

    def write(self, source: Source, target: Path, calibration: Calibration | None) -> None:
        from optimum.onnxruntime import ORTModelForSequenceClassification, ORTQuantizer
        from optimum.onnxruntime.configuration import AutoQuantizationConfig

        with tempfile.TemporaryDirectory(prefix="ptdq-peer-") as scratch:
            model: Any = ORTModelForSequenceClassification.from_pretrained(source.directory, export=True)
            model.save_pretrained(scratch)
            ORTQuantizer.from_pretrained(scratch).quantize(
                save_dir=target, quantization_config=AutoQuantizationConfig.avx512_vnni(is_static=False)
            )

    def opened(self, directory: Path, threads: int) -> Any:
        from onnxruntime import SessionOptions
        from optimum.onnxruntime import ORTModelForSequenceClassification

        options = SessionOptions()
        options.intra_op_num_threads = threads
        return ORTModelForSequenceClassification.from_pretrained(
            directory, file_name=ONNX_MODEL, session_options=options
        )


def _exported(source: Source) -> Any:
    from optimum.intel import OVModelForSequenceClassification

    return OVModelForSequenceClassification.from_pretrained(source.directory, export=True, compile=False)


NAMES = [OptimumFloat.name, OptimumInt8.name, OptimumOnnxInt8.name]
