"""Variants that have their weights in int8 and multiply in float, each by another runtime.

What a user gets where nothing was fused: small files, no time saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ptdq.inputs.source import WEIGHTS, Source, leaf_modules, torch_predictor
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant
from ptdq.variants.onnx_runtime import GRAPH, OnnxFp32
from ptdq.variants.openvino_runtime import OpenvinoFp32


class _Dequantizing(nn.Module):
    """A linear layer that makes its float weight anew at each call."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        scale = linear.weight.detach().abs().max() / 127
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.integers = nn.Parameter((linear.weight.detach() / scale).round().to(torch.int8), False)
        self.bias = linear.bias

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(values, self.integers.float() * self.scale, self.bias)


def _linear(module: nn.Module) -> list[str]:
    return [name for name, child in module.named_modules() if type(child) is nn.Linear]


class DequantizedEager(Variant):
    """torch, eager."""

    name = "tests.support.dequantized:DequantizedEager"
    summary = "weights in int8, products in float32"

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module()
        names = _linear(module)
        _replace(module, names)
        save_file({k: v.clone() for k, v in module.state_dict().items()}, directory / WEIGHTS)
        kept = [name for name, _ in leaf_modules(module) if name not in names]
        return Prepared(torch_predictor(module), names, kept)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        module = Source.open(directory, settings).skeleton()
        module = module.to_empty(device="cpu")
        _replace(module, _linear(module))
        module.load_state_dict(load_file(directory / WEIGHTS), strict=True)
        return torch_predictor(module)


def _replace(module: nn.Module, names: list[str]) -> None:
    for name in names:
        parent, _, own = name.rpartition(".")
        setattr(module.get_submodule(parent), own, _Dequantizing(module.get_submodule(name)))  # type: ignore[arg-type]


class DequantizedOnnx(OnnxFp32):
    """ONNX Runtime: a ``DequantizeLinear`` before each product."""

    name = "tests.support.dequantized:DequantizedOnnx"
    quantizes = True

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        import onnx
        from onnx import numpy_helper

        super().prepare(source, directory, settings, calibration)
        model = onnx.load(directory / GRAPH)
        weights = {tensor.name: tensor for tensor in model.graph.initializer}
        changed = []
        for node in list(model.graph.node):
            if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in weights:
                continue
            values = numpy_helper.to_array(weights[node.input[1]])
            scale = np.float32(np.abs(values).max() / 127)
            name = node.input[1]
            integers = np.round(values / scale).astype(np.int8)
            model.graph.initializer.append(numpy_helper.from_array(integers, f"{name}_int"))
            model.graph.initializer.append(numpy_helper.from_array(np.array(scale), f"{name}_scale"))
            made = onnx.helper.make_node(
                "DequantizeLinear",
                [f"{name}_int", f"{name}_scale"],
                [f"{name}_{node.name}"],
                f"dq_{node.name}",
            )
            node.input[1] = f"{name}_{node.name}"
            model.graph.node.insert(list(model.graph.node).index(node), made)
            changed.append(node.name)
        onnx.save(model, directory / GRAPH)
        return Prepared(self.load(directory, settings), changed, [])


class DequantizedOpenvino(OpenvinoFp32):
    """OpenVINO: NNCF's compression of weights alone."""

    name = "tests.support.dequantized:DequantizedOpenvino"
    quantizes = True

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        import nncf
        import openvino

        prepared = super().prepare(source, directory, settings, calibration)
        path = directory / "model.xml"
        model: Any = nncf.compress_weights(
            openvino.Core().read_model(path), mode=nncf.CompressWeightsMode.INT8_SYM
        )
        scratch = directory / "compressed.xml"
        openvino.save_model(model, scratch, compress_to_fp16=False)
        del model
        for ending in (".xml", ".bin"):
            scratch.with_suffix(ending).replace(path.with_suffix(ending))
        return Prepared(self.load(directory, settings), prepared.kept_float, [])
