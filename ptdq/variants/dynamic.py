"""Dynamic quantization of torch: int8 (or float16) weights, activations quantized on the fly.

This is the one module that touches ``torch.ao.quantization``, which is deprecated in favour of torchao
(https://github.com/pytorch/ao/issues/2259) and still works in torch 2.13. The modules that come of it
(``torch.ao.nn.quantized``) are made here and loaded by :mod:`ptdq.runtimes.rebuild`.

A quantized state dict holds packed parameters, which only pickle can save. So an artifact holds the
integers, scales and zero points as plain tensors in safetensors, and loading packs them again: the
packed form depends on the engine and the CPU, the integers do not.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ptdq import runtimes as loaders
from ptdq.errors import UserError
from ptdq.inputs.source import (
    CONVOLUTIONS,
    OF_CONVOLUTIONS,
    WEIGHTS,
    Source,
    assign_tensors,
    leaf_modules,
    torch_predictor,
    unique_tensors,
)
from ptdq.runtimes.rebuild import QuantizedEmbedding, set_quantized
from ptdq.store.disk import read_json, write_json
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant, is_kept

# The deprecation is known and contained here; users of ptdq can do nothing about it.
warnings.filterwarnings("ignore", message="torch.ao.quantization is deprecated")

import torch.ao.nn.quantized as nnq  # noqa: E402
import torch.ao.nn.quantized.dynamic as nnqd  # noqa: E402
import torch.ao.quantization as aoq  # noqa: E402

MODULES = "quantized.json"
TYPES: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (nn.Linear, nn.LSTM, nn.GRU, nn.Embedding)
}


class Dynamic(Variant, ABC):
    """What the dynamic variants share: they differ in the qconfig that a module gets."""

    dtype: ClassVar[torch.dtype] = torch.qint8
    exported = loaders.eager("dynamic.py")

    @abstractmethod
    def qconfig(self, kind: type[nn.Module], settings: Settings) -> Any:
        """The qconfig of a module of this type."""

    def kinds(self, settings: Settings) -> tuple[str, ...]:
        """Module types or names that are converted."""
        return settings.modules

    def prepare(
        self,
        source: Source,
        directory: Path,
        settings: Settings,
        calibration: Calibration | None,
    ) -> Prepared:
        quantized = self.quantize(source.module(), settings)
        converted = save_quantized(quantized, directory)
        return Prepared(
            predict=torch_predictor(quantized),
            converted=converted,
            kept_float=[name for name, _ in leaf_modules(quantized)],
            module=quantized,
            details={"notes": notes(quantized, settings)},
        )

    def quantize(self, module: nn.Module, settings: Settings) -> nn.Module:
        """A quantized copy of ``module``, which stays as it is."""
        torch.backends.quantized.engine = settings.engine
        chosen = select_modules(module, self.kinds(settings), settings.keep_float)
        spec = {name: self.qconfig(type(child), settings) for name, child in chosen.items()}
        quantized: nn.Module = aoq.quantize_dynamic(module, spec, dtype=self.dtype)
        for child in quantized.modules():
            if type(child) is nnq.Embedding:
                child.__class__ = QuantizedEmbedding
        return quantized

    def load(self, directory: Path, settings: Settings) -> Predictor:
        torch.backends.quantized.engine = settings.engine
        return torch_predictor(load_quantized(Source.open(directory, settings).skeleton(), directory))


class Int8Dynamic(Dynamic):
    """The reference experiment's variant: ``quantize_dynamic`` over ``nn.Linear`` with qint8."""

    name = "int8-dynamic"
    summary = "quantize_dynamic, nn.Linear, int8 weights"

    def qconfig(self, kind: type[nn.Module], settings: Settings) -> Any:
        if kind is nn.Embedding:
            return aoq.float_qparams_weight_only_qconfig
        per_channel = settings.granularity == "per-channel"
        return aoq.per_channel_dynamic_qconfig if per_channel else aoq.default_dynamic_qconfig


class Int8DynamicMixed(Int8Dynamic):
    """``int8-dynamic`` with the modules in float that a margin of F1 demands.

    Which ones, ``ptdq sensitivity`` finds: it writes them as ``keep_float_mixed``, apart from
    ``keep_float``, so that one run compares this variant with one that quantizes everything.
    """

    name = "int8-dynamic-mixed"
    summary = "quantize_dynamic, nn.Linear, int8 weights, but float where `ptdq sensitivity` found a need"
    takes_mixed = True

    def quantize(self, module: nn.Module, settings: Settings) -> nn.Module:
        if not settings.keep_float_mixed:
            raise UserError(
                f"variant {self.name}: keep_float_mixed is empty, so it would be int8-dynamic; "
                "`ptdq sensitivity` finds what to keep and writes the configuration"
            )
        kept = (*settings.keep_float, *settings.keep_float_mixed)
        return super().quantize(module, replace(settings, keep_float=kept))


class Int8DynamicEmbeddings(Int8Dynamic):
    """Per-channel linear layers, and embedding tables in int8 with a scale per row."""

    name = "int8-dynamic-embeddings"
    summary = "quantize_dynamic, nn.Linear per channel and nn.Embedding, int8 weights: near 4x smaller"

    def kinds(self, settings: Settings) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*settings.modules, "Embedding")))

    def qconfig(self, kind: type[nn.Module], settings: Settings) -> Any:
        if kind is nn.Embedding:
            return aoq.float_qparams_weight_only_qconfig
        return aoq.per_channel_dynamic_qconfig


class Float16Dynamic(Dynamic):
    """Weights in float16, arithmetic in float32: for completeness."""

    name = "float16-dynamic"
    summary = "quantize_dynamic, nn.Linear, float16 weights"
    dtype = torch.float16

    def qconfig(self, kind: type[nn.Module], settings: Settings) -> Any:
        return aoq.float16_dynamic_qconfig


def select_modules(
    module: nn.Module, wanted: tuple[str, ...], keep_float: tuple[str, ...]
) -> dict[str, nn.Module]:
    """The modules to convert, by qualified name.

    Args:
        module: the float model.
        wanted: module types (``Linear``, ``LSTM``, ``GRU``, ``Embedding``) or qualified names.
        keep_float: qualified names, or prefixes of them, to leave out.

    Raises:
        UserError: a name is neither a type that can be converted nor a module of this model.
    """
    names = dict(module.named_modules())
    for name in wanted:
        if name not in TYPES and name not in names:
            known = ", ".join(TYPES)
            raise UserError(
                f"modules: '{name}' is neither a type that can be quantized ({known}) "
                "nor the name of a module of this model"
            )
    chosen: dict[str, nn.Module] = {}
    for name, child in names.items():
        # Exactly the type: a subclass may do more than its parent (as in nn.MultiheadAttention).
        by_type = any(type(child) is TYPES.get(kind) for kind in wanted)
        by_name = name in wanted and type(child) in TYPES.values()
        if (by_type or by_name) and not is_kept(name, keep_float):
            chosen[name] = child
    return chosen


def notes(quantized: nn.Module, settings: Settings) -> list[str]:
    """What the report must say of a quantized model: large parts that stayed float unasked.

    A convolution cannot be converted: dynamic quantization saves reading weights, and a convolution
    reads few and computes much. A recurrent layer can, where ``modules`` names it.
    """
    wanted = (*settings.keep_float, *settings.keep_float_mixed)
    left = [child for name, child in quantized.named_modules() if not is_kept(name, wanted)]
    notes = []
    convolutions = sum(isinstance(child, CONVOLUTIONS) for child in left)
    if convolutions:
        count = f"{convolutions} convolution{'s' if convolutions > 1 else ''}"
        notes.append(
            f"dynamic quantization converts little of a convolutional model: {count} stayed float32; "
            f"{OF_CONVOLUTIONS}"
        )
    for kind in (nn.LSTM, nn.GRU):
        layers = sum(type(child) is kind for child in left)
        if layers:
            options = " ".join(f"--modules {name}" for name in (*settings.modules, kind.__name__))
            notes.append(
                f"{layers} {kind.__name__} module{'s' if layers > 1 else ''} stayed float32; "
                f"converted as well with {options}"
            )
    return notes


def save_quantized(module: nn.Module, directory: Path) -> list[str]:
    """Write a quantized module as safetensors and JSON; returns the names of converted modules."""
    records: dict[str, Any] = {}
    tensors: dict[str, torch.Tensor] = {}
    for name, child in module.named_modules():
        if type(child) not in _WRITERS:
            continue
        records[name] = _WRITERS[type(child)](child, f"{name}.", tensors)
    inside = tuple(f"{name}." for name in records)
    for name, tensor in unique_tensors(module).items():
        if not name.startswith(inside):
            tensors[name] = tensor
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / WEIGHTS)
    write_json(directory / MODULES, {"modules": records})
    return list(records)


def load_quantized(module: nn.Module, directory: Path) -> nn.Module:
    """Give a skeleton the quantized modules and the float tensors of an artifact.

    Raises:
        UserError: the artifact does not fit the skeleton.
    """
    tensors = load_file(directory / WEIGHTS)
    set_quantized(module, read_json(directory / MODULES)["modules"], tensors)
    assign_tensors(module, tensors, directory / WEIGHTS)
    return module.eval()


def _split(weight: torch.Tensor, key: str, tensors: dict[str, torch.Tensor]) -> None:
    """Add a quantized (or float) weight as plain tensors."""
    if not weight.is_quantized:
        tensors[key] = weight.detach().half()
        return
    tensors[f"{key}_int"] = weight.int_repr()
    if weight.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        tensors[f"{key}_scale"] = torch.tensor(weight.q_scale(), dtype=torch.float64)
        tensors[f"{key}_zero"] = torch.tensor(weight.q_zero_point(), dtype=torch.int64)
    else:
        tensors[f"{key}_scale"] = weight.q_per_channel_scales()
        tensors[f"{key}_zero"] = weight.q_per_channel_zero_points()


def _write(kind: str, arguments: dict[str, Any], own: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {"kind": kind, "arguments": arguments, "tensors": sorted(own)}


def _write_linear(child: Any, prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    own: dict[str, torch.Tensor] = {}
    weight, bias = child._weight_bias()
    _split(weight, "weight", own)
    if bias is not None:
        own["bias"] = bias.detach()
    tensors.update({prefix + key: value for key, value in own.items()})
    size = {"in_features": child.in_features, "out_features": child.out_features}
    return _write("Linear", size, own)


def _write_embedding(child: Any, prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    own: dict[str, torch.Tensor] = {}
    _split(child.quantized_weight(), "weight", own)
    tensors.update({prefix + key: value for key, value in own.items()})
    size = {"num_embeddings": child.num_embeddings, "embedding_dim": child.embedding_dim}
    return _write("Embedding", size, own)


def _write_recurrent(child: Any, prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    own: dict[str, torch.Tensor] = {}
    for key, weight in child.get_weight().items():
        _split(weight, key, own)
    own.update({key: bias.detach() for key, bias in child.get_bias().items()})
    tensors.update({prefix + key: value for key, value in own.items()})
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional")
    arguments: dict[str, Any] = {key: getattr(child, key) for key in names}
    arguments["weights"] = list(child.get_weight())
    arguments["biases"] = list(child.get_bias())
    return _write(type(child).__name__, arguments, own)


_WRITERS: dict[type, Callable[[Any, str, dict[str, torch.Tensor]], dict[str, Any]]] = {
    nnqd.Linear: _write_linear,
    QuantizedEmbedding: _write_embedding,
    nnqd.LSTM: _write_recurrent,
    nnqd.GRU: _write_recurrent,
}
