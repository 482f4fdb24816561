"""torchao's quantized weights from plain tensors.

Self-contained, and copied verbatim beside an exported artifact, as :mod:`ptdq.runtimes.rebuild` is.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

PART = "::"
"""Between the name of a quantized tensor and that of one of its parts."""


def set_quantized_weights(module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Put quantized weights into a skeleton; what they are made of is taken out of ``tensors``.

    Args:
        module: the skeleton.
        tensors: plain ones, and integers and scales named ``weight::part``.
    """
    # What a quantized tensor is besides its parts is the same for all: taken from an example.
    example = nn.Sequential(nn.Linear(16, 16))
    quantize_(example, Int8DynamicActivationInt8WeightConfig())
    kind: Any = type(cast(nn.Linear, example[0]).weight)
    _, attributes = cast(Any, example[0].weight).__tensor_flatten__()
    quantized: dict[str, dict[str, torch.Tensor]] = {}
    for key in [key for key in tensors if PART in key]:
        name, _, part = key.partition(PART)
        quantized.setdefault(name, {})[part] = tensors.pop(key)
    for name, parts in quantized.items():
        data = parts["qdata"]
        weight = kind.__tensor_unflatten__(
            parts, {**attributes, "block_size": [1, data.shape[1]]}, data.shape, data.stride()
        )
        owner = module.get_submodule(name.rpartition(".")[0])
        owner.register_parameter("weight", nn.Parameter(weight, requires_grad=False))
