"""OpenVINO: float32 as converted, and int8 with static ranges by NNCF.

Settings, each from the documentation:

* ``PERFORMANCE_HINT=LATENCY``, one stream, as many inference threads as asked for:
  https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/optimizing-latency.html
* no thread pinning by OpenVINO (``ENABLE_CPU_PINNING=NO``), since the worker has pinned itself:
  https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
* ``INFERENCE_PRECISION_HINT=f32`` for what is not quantized, so that a CPU with bfloat16 does not
  silently use it under the name of float32 or int8 (same page). No effect where it has none. ``bf16``
  for the variants that are named after it:
  https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/precision-control.html
* inputs are padded to multiples of 16 tokens (:mod:`ptdq.variants.padding`), since the CPU plugin makes
  and keeps kernels for every shape that it meets:
  https://docs.openvino.ai/2026/openvino-workflow/running-inference/model-input-output/dynamic-shapes.html
* weights of seven bits where the CPU has no VNNI (``overflow_fix``), since its 16-bit sums saturate:
  https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training/basic-quantization-flow.html
* static quantization with ``model_type=TRANSFORMER`` (more careful with attention, smoothing on) and
  its default preset, mixed:
  https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training/basic-quantization-flow.html

The artifact is OpenVINO's own format (``.xml`` and ``.bin``), data only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ptdq import runtimes as loaders
from ptdq.errors import UserError
from ptdq.host.machine import adds_int8_exactly
from ptdq.store.disk import write_json
from ptdq.variants.base import BFLOAT16, Calibration, Predictor, Prepared, Settings, Variant
from ptdq.variants.families import NOT_IN_OPENVINO
from ptdq.variants.masks import let_all_see
from ptdq.variants.steps import step

if TYPE_CHECKING:
    from torch import nn

    from ptdq.inputs.source import Source

GRAPH = "model.xml"
_MODULE = re.compile(r"^__module\.model\.([\w.]+?)/")


class OpenvinoFp32(Variant):
    """The float model converted to OpenVINO."""

    name = "openvino-fp32"
    version = 3
    summary = "OpenVINO, float32"
    requires: ClassVar[tuple[str, ...]] = ("openvino",)
    extra = "openvino"
    quantizes = False
    refuses = NOT_IN_OPENVINO
    repeats = False
    uses_torch = False
    exported = loaders.alone("openvino_runtime.py")
    precision: ClassVar[str] = "f32"
    """Of the arithmetic that is not int8."""

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        module = source.module()
        graph = self.graph(source, module, settings, calibration)
        return finish(graph, source, module, directory, settings, self.precision)

    def graph(
        self, source: Source, module: nn.Module, settings: Settings, calibration: Calibration | None
    ) -> Any:
        """The graph that is served."""
        return convert(source, module)

    def load(self, directory: Path, settings: Settings) -> Predictor:
        from ptdq.runtimes.openvino_runtime import open_model
        from ptdq.runtimes.padding import with_padding

        return with_padding(open_model(directory, settings.threads), directory)


class OpenvinoBfloat16(OpenvinoFp32):
    """The float model with everything in bfloat16 that the CPU plugin has in it."""

    name = "openvino-bfloat16"
    summary = "OpenVINO, bfloat16"
    quantizes = True
    instructions = BFLOAT16
    precision = "bf16"


class OpenvinoInt8Static(OpenvinoFp32):
    """Weights and activations in int8, ranges of the activations from a calibration sample."""

    name = "openvino-int8-static"
    summary = "OpenVINO, int8 with static ranges (NNCF)"
    requires = ("openvino", "nncf")
    calibrates = True
    quantizes = True

    def graph(
        self, source: Source, module: nn.Module, settings: Settings, calibration: Calibration | None
    ) -> Any:
        return quantize(convert(source, module), self.name, settings, calibration)


class OpenvinoInt8StaticBf16(OpenvinoInt8Static):
    """The same with bfloat16 for what is not int8: attention, normalization, activations."""

    name = "openvino-int8-static-bf16"
    summary = "OpenVINO, int8 with static ranges (NNCF), bfloat16 for the rest"
    instructions = BFLOAT16
    precision = "bf16"


def convert(source: Source, module: nn.Module) -> Any:
    """The model as an OpenVINO graph with dynamic batch and length, its inputs named.

    Raises:
        UserError: OpenVINO cannot convert it.
    """
    import openvino
    import torch

    from ptdq.variants.exported import Positional, example_inputs, input_names

    step("converting the model")
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
    let_all_see(graph, source.longest_input())
    return graph


def quantize(
    graph: Any,
    variant: str,
    settings: Settings,
    calibration: Calibration | None,
    preset: Any = None,
    float_types: Sequence[str] = (),
    **options: Any,
) -> Any:
    """Static int8 by NNCF.

    Args:
        graph: of the float model.
        variant: whose name errors have.
        settings: what stays float.
        calibration: what ranges are taken from.
        preset: of NNCF.
        float_types: kinds of operations that stay float.
        options: fields of its ``AdvancedQuantizationParameters``.

    Raises:
        UserError: there is nothing to calibrate on.
    """
    import nncf

    if calibration is None or not calibration.inputs:
        raise UserError(f"variant {variant} needs calibration documents, and there are none")
    step(f"quantizing on {len(calibration.inputs)} documents")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    names = [port.any_name for port in graph.inputs]
    keep = [rf"__module\.model\.{re.escape(name)}[./].*" for name in settings.keep_float]
    return nncf.quantize(
        graph.clone(),  # which leaves behind branches that lead nowhere: NNCF does not find them
        nncf.Dataset([[inputs[name] for name in names] for inputs in calibration.inputs]),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=preset,
        subset_size=len(calibration.inputs),
        ignored_scope=nncf.IgnoredScope(
            names=_depthwise(graph), patterns=keep, types=list(float_types), validate=False
        ),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=None if adds_int8_exactly() else nncf.OverflowFix.ENABLE,
            **options,
        ),
    )


def _depthwise(graph: Any) -> list[str]:
    """Convolutions of each channel alone, by name: they stay float.

    NNCF gives each channel of what they take a range of its own, and where the graph transposes that
    before (ConvBERT does) takes positions for channels: documents of two lengths, and it fails. They are
    a thousandth of the model's products.
    """
    found = []
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "GroupConvolution":
            groups, outputs, inputs = list(node.input_value(1).get_shape())[:3]
            if groups > 1 and outputs == inputs == 1:
                found.append(node.get_friendly_name())
    return found


def finish(
    graph: Any,
    source: Source,
    module: nn.Module,
    directory: Path,
    settings: Settings,
    precision: str,
    details: dict[str, Any] | None = None,
) -> Prepared:
    """Write the graph, its precision and how inputs are padded, and say what was converted."""
    import openvino

    from ptdq.inputs.source import leaf_modules
    from ptdq.runtimes.openvino_runtime import compiled
    from ptdq.runtimes.padding import with_padding
    from ptdq.variants.padding import write_padding

    step("writing the graph and trying padding")
    # Sixteen bits are enough for weights of which bfloat16 takes the first eight digits.
    halved = precision == "bf16"
    openvino.save_model(graph, directory / GRAPH, compress_to_fp16=halved)
    if halved:
        graph = openvino.Core().read_model(directory / GRAPH)
    write_options(directory, precision)
    names = [port.any_name for port in graph.inputs]
    padded = write_padding(source, module, names, directory)
    modules = [name for name, _ in leaf_modules(module)]
    integers = quantized_modules(graph)
    converted = modules if halved else integers
    notes = [f"{len(integers)} modules in int8, the rest in bfloat16"] if halved and integers else []
    return Prepared(
        predict=with_padding(compiled(graph, settings.threads, precision), directory),
        converted=converted,
        kept_float=[name for name in modules if name not in set(converted)],
        details={
            "runtime": f"openvino {openvino.__version__}",
            "padded": padded,
            "notes": notes,
            **(details or {}),
        },
    )


def write_options(directory: Path, precision: str, shapes: Sequence[int] = ()) -> None:
    """Write how the graph of an artifact is compiled.

    Args:
        directory: the artifact.
        precision: of what is not int8.
        shapes: lengths in tokens of single documents for which it has branches, with nothing left open.
    """
    from ptdq.runtimes.openvino_runtime import PRECISION

    write_json(directory / PRECISION, {"precision": precision, **({"shapes": shapes} if shapes else {})})


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
    if node.get_type_name() != "Constant":
        return False  # such as one of the results of a split, which has no type of its own
    return node.get_element_type().get_type_name() in ("i8", "u8") and len(node.shape) > 1
