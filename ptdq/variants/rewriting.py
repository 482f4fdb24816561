"""The rewrite of :mod:`ptdq.variants.encoder`, and the proof that the model computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptdq.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from ptdq.inputs.source import Source


def rewrite_exactly(source: Source, module: nn.Module) -> dict[str, str]:
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
            f"variant int8-best: the rewritten encoder differs from the model by {difference:.3g}; use "
            "openvino-int8-static for this model"
        )
    return moved
