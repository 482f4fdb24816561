"""ONNX Runtime: exported, fused by its transformer optimizer, float32 or dynamic int8.

Settings, each from the documentation:

* the transformer optimizer fuses attention, GELU, layer normalization with its residual, embeddings:
  https://onnxruntime.ai/docs/performance/transformers-optimization.html
* dynamic quantization for transformers, weights int8 (signed, for VNNI) with a scale per channel,
  which the page recommends where accuracy suffers and costs no time here:
  https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
* one call at a time, so ``ORT_SEQUENTIAL``, one inter-op thread, as many intra-op threads as asked
  for, and no spinning, which with one thread has nobody to wait for:
  https://onnxruntime.ai/docs/performance/tune-performance/threading.html

The artifact is one ``.onnx`` file, data only.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from tasks.errors import UserError
from tasks.variants.base import Calibration, Inputs, Predictor, Prepared, Settings, Variant

if TYPE_CHECKING:
    from torch import nn

    from tasks.models import Source

GRAPH = "model.onnx"
OPSET = 18


class OnnxFp32(Variant):
    """The float model in ONNX Runtime with fused operators."""

    name = "onnx-fp32"
    summary = "ONNX Runtime with its transformer optimizer, float32"
    requires = ("onnx", "onnxruntime", "onnxscript")
    extra = "onnx"
    quantizes = False

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
        return session(directory / GRAPH, settings)

    def _prepared(
        self,
        module: nn.Module,
        directory: Path,
        settings: Settings,
        converted: list[str],
        fused: dict[str, int],
    ) -> Prepared:
        from tasks.models import leaf_modules

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
    quantizes = True

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        module = source.module()
        with tempfile.TemporaryDirectory() as scratch:
            plain, optimized = Path(scratch) / GRAPH, Path(scratch) / "optimized.onnx"
            export(source, module, plain)
            fused = optimize(plain, module, optimized)
            # The quantizer warns that the model was not preprocessed; the optimizer did that.
            logging.getLogger().setLevel(logging.ERROR)
            quantize_dynamic(
                optimized,
                directory / GRAPH,
                weight_type=QuantType.QInt8,
                per_channel=True,
                nodes_to_exclude=kept_nodes(optimized, settings.keep_float),
            )
        return self._prepared(module, directory, settings, [], fused)
