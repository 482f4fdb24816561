"""torchao's PT2E quantization for x86, compiled ahead of time: quantize the exported graph, then compile.

The recipe is the documented one for CPUs with Inductor: export, ``X86InductorQuantizer``, calibrate
(static) or not (dynamic), convert, compile with freezing, here by AOTInductor so that the worker only
loads. https://docs.pytorch.org/ao/stable/pt2e_quantization/pt2e_quant_x86_inductor.html

Ranges are reduced to seven bits where the CPU has no VNNI, since its 16-bit sums would saturate, as
the quantizer's own documentation says.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from ptdq.errors import UserError, line_of
from ptdq.host.machine import adds_int8_exactly
from ptdq.variants.aot import (
    PACKAGE,
    Fp32Compiled,
    check_compiled,
    compile_package,
    dynamic_shapes,
    export,
)
from ptdq.variants.base import BFLOAT16, Calibration, Prepared, Settings
from ptdq.variants.families import NOT_IN_PT2E_DYNAMIC, NOT_IN_PT2E_STATIC
from ptdq.variants.steps import step

if TYPE_CHECKING:
    from ptdq.inputs.source import Source


class Int8Pt2eDynamic(Fp32Compiled):
    """Ranges of the activations are taken on the fly."""

    name = "int8-pt2e-dynamic"
    version = 3
    summary = "torchao PT2E, int8 with dynamic ranges, AOTInductor"
    requires = ("torchao",)
    extra = "torchao"
    quantizes = True
    refuses = NOT_IN_PT2E_DYNAMIC
    pads = False  # what is padded would have a say in the ranges
    mixed: ClassVar[bool] = False
    """Whether what is not int8 is computed in bfloat16, where torch's autocast does so."""

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        from ptdq.inputs.source import leaf_modules
        from ptdq.variants.exported import Positional, example_inputs, input_names

        if self.calibrates and (calibration is None or not calibration.inputs):
            raise UserError(f"variant {self.name} needs calibration documents, and there are none")
        module = source.module()
        names = input_names(source, module)
        program = export(source, module, names)
        samples = [
            tuple(torch.from_numpy(inputs[name]) for name in names)
            for inputs in (calibration.inputs if self.calibrates and calibration else ())
        ]
        graph = quantized(
            program.module(), settings, samples or [example_inputs(source, names)], self.calibrates
        )
        converted = quantized_modules(graph)
        if self.mixed:
            _forget_types(graph)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            # The exported graph takes its tensors one by one, no longer as one variadic argument.
            (shapes,) = dynamic_shapes(source, module, names)
            again = torch.export.export(graph, example_inputs(source, names), dynamic_shapes=shapes)
            compile_package(again, directory / PACKAGE, settings)
        padded = self.write_signature(source, module, names, directory)
        predict = self.load(directory, settings)
        check_compiled(self.name, source, predict, graph, Positional(module, names), names)
        return Prepared(
            predict=predict,
            converted=converted,
            kept_float=[name for name, _ in leaf_modules(module) if name not in set(converted)],
            details={"padded": padded},
        )


class Int8Pt2eStatic(Int8Pt2eDynamic):
    """Ranges of the activations are taken once, from a calibration sample."""

    name = "int8-pt2e-static"
    summary = "torchao PT2E, int8 with static ranges, AOTInductor"
    calibrates = True
    refuses = NOT_IN_PT2E_STATIC
    pads = True


class Int8MixedBf16(Int8Pt2eStatic):
    """The same, exported and compiled under autocast: "int8-mixed-bf16" of the recipe named above."""

    name = "int8-mixed-bf16"
    summary = "torchao PT2E, int8 with static ranges, bfloat16 for the rest, AOTInductor"
    instructions = BFLOAT16
    mixed = True


def quantized(
    graph: Any, settings: Settings, samples: Sequence[tuple[torch.Tensor, ...]], static: bool
) -> Any:
    """An exported graph quantized: its linear layers and, where static, convolutions.

    Of convolutions over one dimension the quantizer knows only those that an ``nn.ReLU`` follows.

    Args:
        graph: the exported module.
        settings: what stays float.
        samples: what ranges are taken from; dynamic, any input of the graph's signature.
        static: whether ranges of the activations are taken once.

    Raises:
        UserError: the quantizer cannot take this graph.
    """
    from torchao.quantization.pt2e import move_exported_model_to_eval
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    config = x86.get_default_x86_inductor_quantization_config(
        is_dynamic=not static, reduce_range=not adds_int8_exactly()
    )
    quantizer: Any = _of_numbers(x86.X86InductorQuantizer)().set_global(config)
    for name in settings.keep_float:
        quantizer.set_module_name_qconfig(f"model.{name}", None)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # observers that saw nothing, deprecations inside torchao
        try:
            observed = prepare_pt2e(graph, quantizer)
        except ValueError as error:
            raise UserError(f"torchao PT2E cannot quantize this model: {line_of(error)}") from error
        step(f"taking ranges from {len(samples)} documents")
        for sample in samples:
            observed(*sample)
        step("quantizing")
        result: Any = convert_pt2e(observed)
    move_exported_model_to_eval(result)
    return result


def _of_numbers(quantizer: Any) -> Any:
    """The quantizer, but for operations on integers: ids of positions, computed in the graph, are none
    of a layer's activations."""

    class OfNumbers(quantizer):  # type: ignore[misc]
        def annotate(self, model: Any) -> Any:
            annotated = super().annotate(model)
            for node in annotated.graph.nodes:
                annotation = node.meta.get("quantization_annotation")
                inputs = [] if annotation is None else [node, *annotation.input_qspec_map]
                values = [given.meta.get("val") for given in inputs]
                if any(isinstance(v, torch.Tensor) and not v.is_floating_point() for v in values):
                    del node.meta["quantization_annotation"]
            return annotated

    return OfNumbers


def _forget_types(graph: Any) -> None:
    """Drop the assertions that tensors are float32: the first export put them there, and some go."""
    for node in list(graph.graph.nodes):
        if node.target == torch.ops.aten._assert_tensor_metadata.default:
            graph.graph.erase_node(node)
    graph.recompile()


def quantized_modules(graph: Any) -> list[str]:
    """Qualified names of the linear layers and convolutions whose inputs are dequantized integers."""
    operations = {torch.ops.aten.linear, torch.ops.aten.conv1d, torch.ops.aten.conv2d}
    names: dict[str, None] = {}
    for node in graph.graph.nodes:
        if getattr(node.target, "overloadpacket", None) not in operations:
            continue
        if "dequantize" not in str(node.args[0].target):
            continue
        path = list(node.meta["nn_module_stack"].values())[-1][0]
        names[path.removeprefix("L['self'].").removeprefix("model.")] = None
    return list(names)
