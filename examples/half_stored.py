"""A variant of one's own, from the root: ``ptdq run --variant examples.half_stored:HalfStored``.

A package of its own would name it in its ``pyproject.toml``, and then it is listed by ``ptdq variants``::

    [project.entry-points."ptdq.variants"]
    half-stored = "my_package.half_stored:HalfStored"
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from ptdq.variants import (
    Calibration,
    Predictor,
    Prepared,
    Settings,
    Source,
    Variant,
    assign_tensors,
    leaf_modules,
    torch_predictor,
    write_weights,
)

WEIGHTS = "half.safetensors"


class HalfStored(Variant):
    """Half the size on disk; in memory and in speed it is the float32 model with rounded weights."""

    name = "half-stored"
    summary = "float16 on disk, float32 in memory"

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module().half()
        write_weights(module, directory / WEIGHTS)
        names = [name for name, _ in leaf_modules(module)]
        predict = torch_predictor(module.float())
        return Prepared(predict, converted=names, kept_float=[], module=module)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        module = Source.open(directory, settings).skeleton()
        tensors = {name: tensor.float() for name, tensor in load_file(directory / WEIGHTS).items()}
        assign_tensors(module, tensors, directory / WEIGHTS)
        return torch_predictor(module)
