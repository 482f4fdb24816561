"""ONNX Runtime, int8 with static ranges: products in the QDQ format, a scale for each channel.

Settings, from https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html:

* QDQ, which the page advises for static quantization; activations unsigned and weights signed, for VNNI.
  Without VNNI the 16-bit sums of that pair saturate: weights are then reduced to seven bits;
* the float graph is optimized first. Attention is not fused: its fused operator has no static form. The
  products of two activations inside it stay float, since only the linear layers are quantized;
* tables of the embeddings are quantized as by dynamic quantization: they have no ranges to take.

The artifact is one ``.onnx`` file, data only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptdq.errors import UserError
from ptdq.host.machine import adds_int8_exactly
from ptdq.variants.base import Calibration, Inputs, Prepared, Settings, is_kept
from ptdq.variants.onnx_runtime import (
    GRAPH,
    OnnxFp32,
    export,
    linear_nodes,
    optimize,
    quantized_tables,
    quiet_root_logger,
)
from ptdq.variants.steps import step

if TYPE_CHECKING:
    from ptdq.inputs.source import Source

_PLAIN = "_MatMul"
_DEQUANTIZE = "DequantizeLinear"


class OnnxInt8Static(OnnxFp32):
    """Integer products for linear layers, ranges taken once, from a calibration sample."""

    name = "onnx-int8-static"
    summary = "ONNX Runtime with its transformer optimizer, int8 with static ranges (QDQ)"
    calibrates = True
    quantizes = True

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        if calibration is None or not calibration.inputs:
            raise UserError(f"variant {self.name} needs calibration documents, and there are none")
        module = source.module()
        with tempfile.TemporaryDirectory() as scratch:
            plain, optimized = Path(scratch) / GRAPH, Path(scratch) / "optimized.onnx"
            export(source, module, plain)
            fused = optimize(plain, module, optimized, attention=False)
            linear = linear_nodes(plain, optimized, module)
            wanted = {
                node: names
                for node, names in linear.items()
                if not any(is_kept(name, settings.keep_float) for name in names)
            }
            tables = Path(scratch) / "tables.onnx"
            with quiet_root_logger():
                _quantize_tables(optimized, tables)
                step(f"quantizing on {len(calibration.inputs)} documents")
                _quantize_products(tables, directory / GRAPH, list(wanted), calibration.inputs)
        integers = _quantized_products(directory / GRAPH)
        converted = [name for node, names in wanted.items() if node in integers for name in names]
        converted += quantized_tables(directory / GRAPH)
        return self._prepared(module, directory, settings, converted, fused)


def _quantize_tables(graph: Path, target: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        graph,
        target,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["EmbedLayerNormalization", "Gather"],
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def _quantize_products(graph: Path, target: Path, nodes: Sequence[str], inputs: Sequence[Inputs]) -> None:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    if not nodes:
        target.write_bytes(graph.read_bytes())
        return
    # What fused operators give has no type otherwise, and what has none is not quantized.
    typed = onnx.load(graph)
    with suppress(Exception):  # it stops at shapes that it cannot tell: those operators stay float then
        typed = SymbolicShapeInference.infer_shapes(typed, auto_merge=True)
    quantize_static(
        typed,
        target,
        _reader(inputs, [port.name for port in onnx.load(graph).graph.input]),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=not adds_int8_exactly(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # The pass over the tables has made plain products of those with a bias, under other names.
        nodes_to_quantize=[*nodes, *(f"{node}{_PLAIN}" for node in nodes)],
        # What a product gives is added to and normalized in float.
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]},
    )


def _quantized_products(path: Path) -> set[str]:
    """Names of the nodes that multiply by a weight in integers."""
    import onnx

    graph = onnx.load(path).graph
    integers = {output for node in graph.node if node.op_type == _DEQUANTIZE for output in node.output}
    return {
        node.name.removesuffix(_PLAIN)
        for node in graph.node
        if len(node.input) > 1 and set(node.input[:2]) <= integers
    }


def _reader(inputs: Sequence[Inputs], names: Sequence[str]) -> Any:
    """The calibration documents as ONNX Runtime asks for them, one after the other."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Inputs] = iter(inputs)

        def get_next(self) -> dict[str, Any] | None:
            example = next(self._left, None)
            return None if example is None else {name: example[name] for name in names}

    return Reader()
