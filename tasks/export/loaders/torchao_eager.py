"""Linear layers quantized by torchao, eager.

Integers and scales are plain tensors named ``weight::part``; torchao says what they are parts of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from eager import predictor, skeleton  # type: ignore[import-not-found]
from rebuild import assign_tensors  # type: ignore[import-not-found]
from safetensors.torch import load_file
from torch import nn
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_


def open_model(artifact: Path, threads: int) -> Any:
    """A function from a tokenizer's outputs to logits."""
    example = nn.Sequential(nn.Linear(16, 16))
    quantize_(example, Int8DynamicActivationInt8WeightConfig())
    kind: Any = type(cast(nn.Linear, example[0]).weight)
    _, attributes = cast(Any, example[0].weight).__tensor_flatten__()
    quantized: dict[str, dict[str, torch.Tensor]] = {}
    plain: dict[str, torch.Tensor] = {}
    for key, tensor in load_file(artifact / "model.safetensors").items():
        name, _, part = key.partition("::")
        if part:
            quantized.setdefault(name, {})[part] = tensor
        else:
            plain[name] = tensor
    module = skeleton(artifact)
    for name, parts in quantized.items():
        data = parts["qdata"]
        weight = kind.__tensor_unflatten__(
            parts, {**attributes, "block_size": [1, data.shape[1]]}, data.shape, data.stride()
        )
        owner = module.get_submodule(name.rpartition(".")[0])
        owner.register_parameter("weight", nn.Parameter(weight, requires_grad=False))
    assign_tensors(module, plain)
    return predictor(module, threads)
