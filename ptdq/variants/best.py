"""The project's own variant: static int8 on OpenVINO's kernels, of a model that computes less.

OpenVINO with NNCF was the fastest of the runtimes at every length, so it is the engine here too.
What is added:

* :mod:`ptdq.variants.encoder`: the model is rewritten before it is converted, so that its last layer
  is computed for the first token alone. The rewrite is exact. A model that cannot be rewritten is
  quantized as it is;
* smoothing (SmoothQuant, https://arxiv.org/abs/2211.10438, which NNCF applies to every transformer) is
  left out where the calibration documents show no need of it: it puts a multiplication in float before
  each linear layer. Left out, unless the model without it answers more of those documents otherwise
  than float32 does than the model with it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptdq.errors import UserError
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, is_kept
from ptdq.variants.openvino_runtime import OpenvinoInt8Static, convert, finish, quantize

if TYPE_CHECKING:
    from torch import nn

    from ptdq.inputs.source import Source


class Int8Best(OpenvinoInt8Static):
    """``openvino-int8-static`` after exact rewrites of the encoder."""

    name = "int8-best"
    version = 3
    summary = "OpenVINO int8 static, last layer for the first token alone, smoothing where needed"

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module()
        moved = _rewrite(source, module)
        now = {old: new for new, old in moved.items()}
        kept = replace(settings, keep_float=_renamed(settings.keep_float, now))
        graph, changed = _quantize(source, module, kept, calibration)
        details = {"rewritten": bool(moved), "changed_without_and_with_smoothing": changed}
        prepared = finish(graph, source, module, directory, settings, self.precision, details)
        return replace(
            prepared,
            converted=[moved.get(name, name) for name in prepared.converted],
            kept_float=[moved.get(name, name) for name in prepared.kept_float],
        )


def _quantize(
    source: Source, module: nn.Module, settings: Settings, calibration: Calibration | None
) -> tuple[Any, list[int]]:
    """The graph in int8, and calibration documents answered otherwise than by float32.

    The list holds their number without smoothing, and with it, where that had to be tried.
    """
    import nncf

    from ptdq.inputs.source import torch_predictor
    from ptdq.runtimes.openvino_runtime import compiled

    def answers(predict: Predictor) -> NDArray[np.int64]:
        assert calibration is not None
        return np.concatenate([predict(inputs).argmax(axis=1) for inputs in calibration.inputs])

    off = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)
    options: list[dict[str, Any]] = [{"smooth_quant_alphas": off}, {}]
    graphs, changed, expected = [], [], None
    for option in options:
        graphs.append(quantize(convert(source, module), Int8Best.name, settings, calibration, **option))
        if expected is None:
            expected = answers(torch_predictor(module))
        changed.append(
            int((answers(compiled(graphs[-1], settings.threads, Int8Best.precision)) != expected).sum())
        )
        if changed[0] == 0:
            break
    return graphs[int(np.argmin(changed))], changed


def _rewrite(source: Source, module: nn.Module) -> dict[str, str]:
    """Rewrite the encoder of ``module`` and prove on padded inputs that its logits are the same.

    Returns:
        From new to old names of the modules that moved; empty where the model stays as it is.

    Raises:
        UserError: the rewritten model computes something else.
    """
    import torch

    from ptdq.variants.encoder import rewrite
    from ptdq.variants.exported import TOLERANCE, Positional, example_inputs, input_names

    names = input_names(source, module)
    inputs, function = example_inputs(source, names), Positional(module, names)
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
    new_names: dict[str, None] = {}
    for name in names:
        inside = [new for old, new in now.items() if is_kept(old, [name])]
        new_names.update(dict.fromkeys(inside or [name]))
    return tuple(new_names)
