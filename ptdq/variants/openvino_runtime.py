"""OpenVINO: float32 as converted, and int8 with static ranges by NNCF.

Settings, each from the documentation:

* ``PERFORMANCE_HINT=LATENCY``, one stream, as many inference threads as asked for:
  https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/optimizing-latency.html
* no thread pinning by OpenVINO (``ENABLE_CPU_PINNING=NO``), since the worker has pinned itself:
  https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
* ``INFERENCE_PRECISION_HINT=f32`` for what is not quantized, so that a CPU with bfloat16 does not
  silently use it under the name of float32 or int8 (same page). No effect where it has none;
* static quantization with ``model_type=TRANSFORMER`` (more careful with attention, smoothing on) and
  its default preset, mixed:
  https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training/basic-quantization-flow.html

The artifact is OpenVINO's own format (``.xml`` and ``.bin``), data only.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ptdq import runtimes as loaders
from ptdq.errors import UserError
from ptdq.variants.base import Calibration, Predictor, Prepared, Settings, Variant

if TYPE_CHECKING:
    from torch import nn

    from ptdq.inputs.source import Source

GRAPH = "model.xml"
_MODULE = re.compile(r"^__module\.model\.([\w.]+?)/")


class OpenvinoFp32(Variant):
    """The float model converted to OpenVINO."""

    name = "openvino-fp32"
    summary = "OpenVINO, float32"
    requires: ClassVar[tuple[str, ...]] = ("openvino",)
    extra = "openvino"
    quantizes = False
    repeats = False
    uses_torch = False
    exported = loaders.alone("openvino_runtime.py")

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module()
        graph = convert(source, module)
        return finish(graph, module, directory, settings)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        from ptdq.runtimes.openvino_runtime import open_model

        return open_model(directory, settings.threads)


class OpenvinoInt8Static(OpenvinoFp32):
    """Weights and activations in int8, ranges of the activations from a calibration sample."""

    name = "openvino-int8-static"
    summary = "OpenVINO, int8 with static ranges (NNCF)"
    requires = ("openvino", "nncf")
    calibrates = True
    quantizes = True

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module()
        graph = quantize(convert(source, module), self.name, settings, calibration)
        return finish(graph, module, directory, settings)


def convert(source: Source, module: nn.Module) -> Any:
    """The model as an OpenVINO graph with dynamic batch and length, its inputs named.

    Raises:
        UserError: OpenVINO cannot convert it.
    """
    import openvino
    import torch

    from ptdq.variants.exported import Positional, example_inputs, input_names

    names = input_names(source, module)
    try:
        with torch.inference_mode():
            graph = openvino.convert_model(
                Positional(module, names), example_input=example_inputs(source, names)
            )
    except Exception as error:
        raise UserError(f"OpenVINO cannot convert this model: {str(error).splitlines()[0]}") from error
    for name, port in zip(names, graph.inputs, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_partial_shape(openvino.PartialShape([-1, -1]))
    graph.validate_nodes_and_infer_types()
    return graph


def quantize(
    graph: Any, variant: str, settings: Settings, calibration: Calibration | None, **options: Any
) -> Any:
    """Static int8 by NNCF; ``options`` go to ``nncf.quantize``.

    Raises:
        UserError: there is nothing to calibrate on.
    """
    import nncf

    if calibration is None or not calibration.inputs:
        raise UserError(f"variant {variant} needs calibration documents, and there are none")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    names = [port.any_name for port in graph.inputs]
    keep = [rf"__module\.model\.{re.escape(name)}[./].*" for name in settings.keep_float]
    return nncf.quantize(
        graph,
        nncf.Dataset([[inputs[name] for name in names] for inputs in calibration.inputs]),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calibration.inputs),
        ignored_scope=nncf.IgnoredScope(patterns=keep, validate=False) if keep else None,
        **options,
    )


def finish(
    graph: Any,
    module: nn.Module,
    directory: Path,
    settings: Settings,
    details: dict[str, Any] | None = None,
) -> Prepared:
    """Write the graph, and say what became int8."""
    import openvino

    from ptdq.inputs.source import leaf_modules
    from ptdq.runtimes.openvino_runtime import compiled

    openvino.save_model(graph, directory / GRAPH, compress_to_fp16=False)
    converted = quantized_modules(graph)
    return Prepared(
        predict=compiled(graph, settings.threads),
        converted=converted,
        kept_float=[name for name, _ in leaf_modules(module) if name not in set(converted)],
        details={"runtime": f"openvino {openvino.__version__}", **(details or {})},
    )


def quantized_modules(graph: Any) -> list[str]:
    """Qualified names of the modules whose weights are integers: their constants say so."""
    names: dict[str, None] = {}
    for node in graph.get_ordered_ops():
        if node.get_type_name() not in ("MatMul", "Gather", "Convolution", "LSTMSequence"):
            continue
        match = _MODULE.match(node.get_friendly_name())
        if match and any(_is_integer_constant(value.get_node()) for value in node.input_values()):
            names[match.group(1)] = None
    return list(names)


def _is_integer_constant(node: Any) -> bool:
    """Whether a value is a compressed weight: Constant(int8) → Convert → scale and zero point."""
    steps = ("Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize")
    while node.get_type_name() in steps:
        node = node.input_value(0).get_node()
    kind = node.get_element_type().get_type_name()
    return node.get_type_name() == "Constant" and kind in ("i8", "u8") and len(node.shape) > 1
