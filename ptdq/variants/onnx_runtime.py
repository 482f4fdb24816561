"""ONNX Runtime: exported, fused by its transformer optimizer, float32 or dynamic int8.

Settings, each from the documentation:

* the transformer optimizer fuses attention, GELU, layer normalization with its residual, embeddings:
  https://onnxruntime.ai/docs/performance/transformers-optimization.html
* dynamic quantization for transformers, weights int8 (signed, for VNNI) with a scale per channel,
  which the page recommends where accuracy suffers and costs no time here; of seven bits
  (``reduce_range``) where the CPU has no VNNI, since its 16-bit sums saturate:
  https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
* one call at a time, so ``ORT_SEQUENTIAL``, one inter-op thread, as many intra-op threads as asked
  for, and no spinning, which with one thread has nobody to wait for:
  https://onnxruntime.ai/docs/performance/tune-performance/threading.html

The artifact is one ``.onnx`` file, data only.
"""

from __future__ import annotations

import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ptdq import runtimes as loaders
from ptdq.errors import UserError
from ptdq.host.machine import adds_int8_exactly
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant, is_kept
from ptdq.variants.families import FIXED_WHEN_TRACED
from ptdq.variants.steps import step

if TYPE_CHECKING:
    from torch import nn

    from ptdq.inputs.source import Source

GRAPH = "model.onnx"
OPSET = 17
_PRODUCTS = ("MatMul", "Gemm")


class OnnxFp32(Variant):
    """The float model in ONNX Runtime with fused operators."""

    name = "onnx-fp32"
    summary = "ONNX Runtime with its transformer optimizer, float32"
    requires = ("onnx", "onnxruntime", "onnxscript")
    extra = "onnx"
    quantizes = False
    refuses = FIXED_WHEN_TRACED
    uses_torch = False
    heeds_cap = False
    exported = loaders.alone("onnx_runtime.py")

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module()
        with tempfile.TemporaryDirectory() as scratch:
            plain = Path(scratch) / GRAPH
            export(source, module, plain)
            fused = optimize(plain, module, directory / GRAPH)
        return self._prepared(module, directory, settings, [], fused)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        from ptdq.runtimes.onnx_runtime import open_model

        return open_model(directory, settings.threads)

    def _prepared(
        self,
        module: nn.Module,
        directory: Path,
        settings: Settings,
        converted: list[str],
        fused: dict[str, int],
    ) -> Prepared:
        from ptdq.inputs.source import leaf_modules

        return Prepared(
            # The runtime reads files only: what is in memory is a session of the same file.
            predict=self.load(directory, settings),
            converted=converted,
            kept_float=[name for name, _ in leaf_modules(module) if name not in set(converted)],
            details={"fused": fused},
        )


class OnnxInt8Dynamic(OnnxFp32):
    """Integer products for linear layers and attention's projections, ranges taken on the fly."""

    name = "onnx-int8-dynamic"
    summary = "ONNX Runtime with its transformer optimizer, dynamic int8"
    version = 2
    quantizes = True

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        module = source.module()
        with tempfile.TemporaryDirectory() as scratch:
            plain, optimized = Path(scratch) / GRAPH, Path(scratch) / "optimized.onnx"
            export(source, module, plain)
            fused = optimize(plain, module, optimized)
            linear = linear_nodes(plain, optimized, module)
            # Attention has one weight for query, key and value: one kept in float keeps all three.
            excluded = [
                node
                for node, names in linear.items()
                if any(is_kept(name, settings.keep_float) for name in names)
            ]
            # The quantizer warns on the root logger that the model was not preprocessed: it was.
            with quiet_root_logger():
                quantize_dynamic(
                    optimized,
                    directory / GRAPH,
                    weight_type=QuantType.QInt8,
                    per_channel=True,
                    reduce_range=not adds_int8_exactly(),
                    nodes_to_exclude=excluded,
                    # What fused operators give; shape inference does not know them.
                    extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
                )
        converted = [
            name for node, names in linear.items() if node not in excluded for name in names
        ] + quantized_tables(directory / GRAPH)
        return self._prepared(module, directory, settings, converted, fused)


def export(source: Source, module: nn.Module, path: Path) -> None:
    """Write the model as ONNX with dynamic batch and length.

    By the exporter that traces, and with attention written out: the graph that it gives is the one
    whose patterns the transformer optimizer knows. (From the newer exporter's graph, or from scaled
    dot product attention, it fuses neither attention nor embeddings.)

    Raises:
        UserError: the model cannot be exported.
    """
    import torch

    from ptdq.variants.exported import Positional, example_inputs, input_names

    step("exporting the model")
    names = input_names(source, module)
    choose: Any = getattr(module, "set_attn_implementation", None)
    if choose is not None:
        choose("eager")
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's, and that this exporter is the older one
            torch.onnx.export(
                Positional(module, names),
                example_inputs(source, names),
                path,
                input_names=names,
                output_names=["logits"],
                dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:
        raise UserError(f"ONNX cannot express this model: {str(error).splitlines()[0]}") from error


def optimize(plain: Path, module: nn.Module, path: Path, attention: bool = True) -> dict[str, int]:
    """Fuse operators and write the graph to ``path``; returns how many of each kind were fused.

    Attention is fused only where ``attention`` says so.
    """
    step("fusing operators")
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    config: Any = getattr(module, "config", None)
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    options = FusionOptions("bert")
    # Fused, the attention of a decoder (of BART, T5) would look at the tokens that follow.
    options.enable_attention = attention and not getattr(config, "is_encoder_decoder", False)
    model = optimizer.optimize_model(
        str(plain),
        model_type="bert",
        # Zero: the optimizer finds them in the graph (a model that is no transformer has none).
        num_heads=getattr(config, "num_attention_heads", 0),
        hidden_size=getattr(config, "hidden_size", 0),
        optimization_options=options,
    )
    model.save_model_to_file(str(path))
    return {kind: count for kind, count in model.get_fused_operator_statistics().items() if count}


def linear_nodes(plain: Path, optimized: Path, module: nn.Module) -> dict[str, list[str]]:
    """From nodes of the optimized graph that multiply by a weight to the linear modules they hold.

    Query, key and value of a layer vanish, in the order of the graph, into one ``Attention`` node.
    """
    import onnx
    import torch

    linear = {n for n, child in module.named_modules() if isinstance(child, torch.nn.Linear)}
    before = onnx.load(plain).graph.node
    after = onnx.load(optimized).graph.node
    present = {node.name for node in after}
    modules = {node.name: _module_of(node.name, linear) for node in before if node.op_type in _PRODUCTS}
    vanished = [name for node, name in modules.items() if name and node not in present]
    nodes: dict[str, list[str]] = {}
    for node in after:
        if node.op_type == "Attention":
            nodes[node.name], vanished = vanished[:3], vanished[3:]
        elif modules.get(node.name):
            nodes[node.name] = [cast(str, modules[node.name])]
    return nodes


def _module_of(node: str, modules: set[str]) -> str | None:
    """``/model/bert/pooler/dense/Gemm`` is of ``bert.pooler.dense``, if there is such a module."""
    parts = node.strip("/").split("/")[1:-1]
    for name in (".".join(parts), ".".join(re.sub(r"_\d+$", "", part) for part in parts)):
        if name in modules:
            return name
    return None


def quantized_tables(path: Path) -> list[str]:
    """Qualified names of embeddings whose table is stored in integers."""
    import onnx

    ending = ".weight_quantized"
    weights = (tensor.name for tensor in onnx.load(path).graph.initializer)
    return [name.removeprefix("model.").removesuffix(ending) for name in weights if name.endswith(ending)]


@contextmanager
def quiet_root_logger() -> Iterator[None]:
    """Nothing below an error on the root logger inside."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
