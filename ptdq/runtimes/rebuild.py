"""Modules from plain tensors: a skeleton without memory, its weights, quantized modules.

Self-contained on purpose: it imports torch alone, and ``ptdq export`` copies it verbatim beside an
artifact, so that what is exported is read by the code that was measured.

Split from :mod:`ptdq.variants.dynamic`, which alone touches ``torch.ao.quantization``; the modules in
which that results, ``torch.ao.nn.quantized``, are needed here to load them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.ao.nn.quantized as nnq
import torch.ao.nn.quantized.dynamic as nnqd
from torch import nn

# The deprecation is known and contained; those who load a model can do nothing about it.
warnings.filterwarnings("ignore", message="torch.quantize_per_tensor, torch.quantize_per_channel")
warnings.filterwarnings("ignore", message=".*TypedStorage is deprecated")


@contextmanager
def meta_parameters() -> Iterator[None]:
    """Modules built inside have their parameters on the meta device, and real buffers.

    ``torch.device("meta")`` would put buffers there as well, and those that are not saved (position
    ids) could not be read back.
    """
    original = nn.Module.register_parameter

    def register(self: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None:
            parameter = nn.Parameter(parameter.to("meta"), requires_grad=False)
        original(self, name, parameter)

    nn.Module.register_parameter = register  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]


def plain_linear(module: nn.Module) -> nn.Module:
    """``module`` with transformers' ``Conv1D`` (in GPT-2) as what it is, a linear layer transposed."""
    for name, child in list(module.named_modules()):
        kind = type(child)
        if (kind.__module__, kind.__name__) == ("transformers.pytorch_utils", "Conv1D"):
            layer: Any = child
            linear = nn.Linear(layer.nx, layer.nf, device="meta")
            linear.weight = nn.Parameter(layer.weight.detach().t().contiguous(), requires_grad=False)
            linear.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
            module.set_submodule(name, linear, strict=True)
    return module


def assign_tensors(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put tensors in the place of the parameters and buffers of these names, without a copy.

    ``load_state_dict`` would ask for the tensors of quantized modules as well, which a skeleton
    with such modules already has.

    Raises:
        ValueError: a tensor has another shape, is missing or is not of this module.
    """
    for name, tensor in tensors.items():
        parent, _, leaf = name.rpartition(".")
        owner = module.get_submodule(parent)
        expected: torch.Tensor | None = owner._parameters.get(leaf)
        if expected is None:
            expected = owner._buffers.get(leaf)
        if expected is None or expected.shape != tensor.shape:
            wanted = "no such tensor" if expected is None else f"shape {tuple(expected.shape)}"
            raise ValueError(f"{name} {tuple(tensor.shape)}: the model has {wanted}")
        if leaf in owner._parameters:
            owner._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
        else:
            owner._buffers[leaf] = tensor
    missing = _without_memory(module)
    tie: Any = getattr(module, "tie_weights", None)
    # Tensors of two names are saved under one. Not asked where all is there: tables that share a tensor
    # may be quantized by now, and a model does not know those.
    if missing and tie is not None:
        tie()
        missing = _without_memory(module)
    if missing:
        raise ValueError(f"lacks {', '.join(missing[:3])}")


def _without_memory(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if parameter.is_meta]


def set_quantized(
    module: nn.Module, records: Mapping[str, Any], tensors: dict[str, torch.Tensor]
) -> None:
    """Put quantized modules into a skeleton; what they are made of is taken out of ``tensors``.

    Args:
        module: the skeleton.
        records: by qualified name, kind, arguments and names of the tensors of a module.
        tensors: integers, scales, zero points and biases, by qualified name.
    """
    for name, record in records.items():
        take = {key: tensors.pop(f"{name}.{key}") for key in record["tensors"]}
        module.set_submodule(name, _READERS[record["kind"]](record["arguments"], take), strict=True)


class QuantizedEmbedding(nnq.Embedding):
    """The quantized table of torch, for models that do more with a table than look up contiguous ids.

    Its kernel refuses indices that are not contiguous, which models make by ``expand``. And where torch
    has a method ``weight``, a table has a tensor: DeBERTa reads that of its relative positions whole.
    """

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """Rows of the table, float32."""
        return super().forward(indices.contiguous())

    @property
    def weight(self) -> torch.Tensor:  # type: ignore[override]
        """The whole table, float32 [rows, width]."""
        return self.quantized_weight().dequantize()

    def quantized_weight(self) -> torch.Tensor:
        """The table as it is held, integers with a scale and a zero point for each row."""
        table: torch.Tensor = self._packed_params._weight()
        return table

    def extra_repr(self) -> str:
        """Rows and width."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


def _join(key: str, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """A quantized weight from its plain tensors, or a float one as it is."""
    if key in tensors:
        return tensors[key].float()
    integers, scale, zero = (tensors[f"{key}_{part}"] for part in ("int", "scale", "zero"))
    if scale.ndim == 0:
        return torch._make_per_tensor_quantized_tensor(integers, scale.item(), int(zero.item()))
    return torch._make_per_channel_quantized_tensor(integers, scale, zero, 0)


def _read_linear(arguments: dict[str, Any], tensors: dict[str, torch.Tensor]) -> nn.Module:
    weight = _join("weight", tensors)
    dtype = torch.qint8 if weight.is_quantized else torch.float16
    linear = nnqd.Linear(**arguments, dtype=dtype)
    linear.set_weight_bias(weight, tensors.get("bias"))
    return linear


def _read_embedding(arguments: dict[str, Any], tensors: dict[str, torch.Tensor]) -> nn.Module:
    return QuantizedEmbedding(**arguments, _weight=_join("weight", tensors), dtype=torch.quint8)


def _recurrent_reader(
    kind: Callable[..., Any],
) -> Callable[[dict[str, Any], dict[str, torch.Tensor]], nn.Module]:
    def read(arguments: dict[str, Any], tensors: dict[str, torch.Tensor]) -> nn.Module:
        sizes = {k: v for k, v in arguments.items() if k not in ("weights", "biases")}
        weights = {key: _join(key, tensors) for key in arguments["weights"]}
        quantized = next(iter(weights.values())).is_quantized
        module = kind(**sizes, dtype=torch.qint8 if quantized else torch.float16)
        module.set_weight_bias({**weights, **{key: tensors[key] for key in arguments["biases"]}})
        return module.eval()  # type: ignore[no-any-return]

    return read


_READERS: dict[str, Callable[[dict[str, Any], dict[str, torch.Tensor]], nn.Module]] = {
    "Linear": _read_linear,
    "Embedding": _read_embedding,
    "LSTM": _recurrent_reader(nnqd.LSTM),
    "GRU": _recurrent_reader(nnqd.GRU),
}
