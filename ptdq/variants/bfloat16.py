"""Weights and arithmetic in bfloat16, eager.

Half the size. Faster only where the CPU multiplies bfloat16 (``avx512_bf16``, ``amx_bf16``); on others
oneDNN converts to float32 and it is slower.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from ptdq import runtimes as loaders
from ptdq.inputs.source import (
    WEIGHTS,
    Source,
    assign_tensors,
    leaf_modules,
    torch_predictor,
    write_weights,
)
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant


class Bfloat16(Variant):
    """``model.to(torch.bfloat16)``; the logits are given back as float32."""

    name = "bfloat16"
    summary = "weights and arithmetic in bfloat16, eager"
    exported = loaders.eager("bfloat16.py")

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module().to(torch.bfloat16)
        write_weights(module, directory / WEIGHTS)
        return Prepared(
            predict=torch_predictor(module),
            converted=[name for name, _ in leaf_modules(module)],
            kept_float=[],
            module=module,
        )

    def load(self, directory: Path, settings: Settings) -> Predictor:
        # Buffers that are not saved are made in float32: they follow the weights.
        module = Source.open(directory, settings).skeleton().to(torch.bfloat16)
        assign_tensors(module, load_file(directory / WEIGHTS), directory / WEIGHTS)
        return torch_predictor(module)
