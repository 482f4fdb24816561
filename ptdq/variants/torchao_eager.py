"""torchao's ``quantize_``, eager: the successor of the deprecated ``torch.ao.quantization``.

Int8 weights with a scale per output channel, activations quantized per token on the fly, as in
https://docs.pytorch.org/ao/stable/api_reference/generated/torchao.quantization.Int8DynamicActivationInt8WeightConfig.html
torchao documents it for use under ``torch.compile``; eager, each step of quantizing is an operation
of its own. The compiled counterpart is ``int8-pt2e-dynamic``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ptdq import runtimes as loaders
from ptdq.inputs.source import WEIGHTS, Source, assign_tensors, leaf_modules, torch_predictor
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant, is_kept


class Int8Torchao(Variant):
    """``quantize_`` with ``Int8DynamicActivationInt8WeightConfig`` over ``nn.Linear``."""

    name = "int8-torchao"
    summary = "torchao quantize_, int8 weights and dynamic activations, eager"
    requires = ("torchao",)
    extra = "torchao"
    exported = loaders.eager("torchao_eager.py", "torchao_rebuild.py")

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        module = source.module()
        chosen = linear_modules(module, settings)
        quantize_(
            module,
            Int8DynamicActivationInt8WeightConfig(),
            filter_fn=lambda child, name: name in chosen,
        )
        save(module, directory / WEIGHTS)
        return Prepared(
            predict=torch_predictor(module),
            converted=chosen,
            kept_float=[name for name, _ in leaf_modules(module) if name not in set(chosen)],
            module=module,
        )

    def load(self, directory: Path, settings: Settings) -> Predictor:
        from ptdq.runtimes.torchao_rebuild import set_quantized_weights

        module, tensors = Source.open(directory, settings).skeleton(), load_file(directory / WEIGHTS)
        set_quantized_weights(module, tensors)
        assign_tensors(module, tensors, directory / WEIGHTS)
        return torch_predictor(module)


def linear_modules(module: nn.Module, settings: Settings) -> list[str]:
    """Names of the linear layers that are not kept in float."""
    # Exactly the type: a subclass may do more than its parent (as in nn.MultiheadAttention).
    return [
        name
        for name, child in module.named_modules()
        if type(child) is nn.Linear and not is_kept(name, settings.keep_float)
    ]


def save(module: nn.Module, path: Path) -> None:
    """Write integers and scales as plain tensors: what a quantized tensor is besides is its type."""
    from ptdq.runtimes.torchao_rebuild import PART

    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in module.state_dict().items():
        if hasattr(tensor, "qdata"):
            parts, _ = cast(Any, tensor).__tensor_flatten__()
            tensors.update({f"{name}{PART}{part}": getattr(tensor, part) for part in parts})
        else:
            tensors[name] = tensor
    save_file({name: tensor.detach().clone() for name, tensor in tensors.items()}, path)
