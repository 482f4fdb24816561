"""The project's own variant: static int8 on OpenVINO's kernels, of a model that computes less.

OpenVINO with NNCF was the fastest of the runtimes at every length, so it is the engine here too.
What is added is :mod:`tasks.variants.encoder`: the model is rewritten before it is converted, so that
its last layer is computed for the first token alone. The rewrite is exact; quality is that of static
quantization. A model that cannot be rewritten is quantized as it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import UserError
from tasks.variants.base import Calibration, Prepared, Settings
from tasks.variants.openvino_runtime import OpenvinoInt8Static, convert, finish, quantize

if TYPE_CHECKING:
    from torch import nn

    from tasks.models import Source

# Rounding of sums in another order; a wrong rewrite is off by orders of size more.
TOLERANCE = 1e-3


class Int8Best(OpenvinoInt8Static):
    """``openvino-int8-static`` after exact rewrites of the encoder."""

    name = "int8-best"
    summary = "OpenVINO int8 static, last layer computed for the classified token alone"

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module()
        moved = _rewrite(source, module)
        now = {old: new for new, old in moved.items()}
        kept = replace(settings, keep_float=_renamed(settings.keep_float, now))
        graph = quantize(convert(source, module), self.name, kept, calibration)
        prepared = finish(graph, module, directory, settings, {"rewritten": bool(moved)})
        return replace(
            prepared,
            converted=[moved.get(name, name) for name in prepared.converted],
            kept_float=[moved.get(name, name) for name in prepared.kept_float],
        )


def _rewrite(source: Source, module: nn.Module) -> dict[str, str]:
    """Rewrite the encoder of ``module`` and prove on padded inputs that its logits are the same.

    Returns:
        From new to old names of the modules that moved; empty where the model stays as it is.

    Raises:
        UserError: the rewritten model computes something else.
    """
    import torch

    from tasks.variants.encoder import rewrite
    from tasks.variants.exported import Positional, example_inputs, input_names

    names = input_names(source, module)
    inputs, function = example_inputs(names), Positional(module, names)
    with torch.inference_mode():
        before = function(*inputs)
        moved = rewrite(module)
        difference = float((function(*inputs) - before).abs().max()) if moved else 0.0
    if difference > TOLERANCE * max(1.0, float(before.abs().max())):
        raise UserError(
            f"variant {Int8Best.name}: the rewritten encoder differs from the model by "
            f"{difference:.3g}; use openvino-int8-static for this model"
        )
    return moved


def _renamed(names: tuple[str, ...], now: dict[str, str]) -> tuple[str, ...]:
    """What modules (or prefixes of names) of the original model are called after the rewrite."""
    found: dict[str, None] = {}
    for name in names:
        inside = [new for old, new in now.items() if old == name or old.startswith(f"{name}.")]
        found.update(dict.fromkeys(inside or [name]))
    return tuple(found)
