"""torch's own profiler: eager modules, and packages of AOTInductor.

https://docs.pytorch.org/docs/stable/profiler.html

The profiler gives the time of each operator without what it called. A range around each linear layer
says what the layer is, since a packed weight has no shape: within a quantized one everything besides
the product is quantizing. The calls of a compiled package are timed one by one
(:mod:`ptdq.profile.package_calls`); shapes and kernels of its products are those that oneDNN reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from time import perf_counter
from typing import Any

from ptdq.profile.onednn import Primitive, lines_of_torch, mkl_kernel, primitives
from ptdq.profile.operation import PRODUCTS, Operation, Part, classify, product
from ptdq.profile.package_calls import Calls, package_calls

CALL = "ptdq.call"
_LINEAR = re.compile(r"^ptdq\.linear (\d+)x(\d+)( quantized)?$")
_DTYPES = {
    "float": "float32", "c10::BFloat16": "bfloat16", "c10::Half": "float16", "signed char": "int8",
    "unsigned char": "int8",
}  # fmt: skip

_INT8 = ("linear_dynamic_fp16", "linear_dynamic", "qlinear", "_int_mm", "qconv", "quantized_lstm",
         "quantized_gru", "quantized::linear", "quantized::lstm")  # fmt: skip
_FLOAT = ("aten::addmm", "aten::mm", "_linear_pointwise", "aten::mkldnn_linear",
          "aten::_addmm_activation", "convolution", "conv1d", "conv2d", "aten::lstm",
          "aten::gru", "mkldnn_rnn", "_mkl_linear", "aten::matmul", "aten::linear")  # fmt: skip
_CLASSES: tuple[tuple[str, Part], ...] = (
    ("scaled_dot_product|softmax|aten::bmm|aten::baddbmm|flash_attention|masked_fill", "attention"),
    (
        "quantize_per|dequantize|choose_qparams|quantize_affine|fake_quant|q_scale",
        "quantize and dequantize",
    ),
    ("layer_norm|gelu|tanh|relu|silu|sigmoid|norm|erf|rsqrt|dropout|glu", "normalization and activation"),
    (
        "copy|clone|contiguous|cat|stack|embedding|index|gather|scatter|arange|ones|zeros|fill|full|pad|to_mkldnn"
        "|reorder|pack|where|repeat|cumsum",
        "copies and layout",
    ),
    (
        "view|reshape|aten::t|transpose|permute|expand|squeeze|slice|select|as_strided|detach|alias|empty"
        "|resize|aten::to|unbind|split|chunk|lift|item|result_type|set_|is_|size|aten::type",
        "framework",
    ),
    (
        "add|mul|sub|div|pow|sqrt|mean|sum|max|min|neg|exp|abs|clamp|round|square|eq|ne|gt|lt|le|ge|all|any",
        "normalization and activation",
    ),
)
_FUSED: tuple[tuple[str, Part], ...] = (
    # What is fused with quantizing would be done anyway.
    ("scaled_dot_product|softmax", "attention"),
    ("layer_norm|gelu|tanh|relu|silu|sigmoid|erf|rsqrt", "normalization and activation"),
    ("quantize", "quantize and dequantize"),
    ("embedding|index|transpose|permute|clone|copy|view|cat|where|expand|arange", "copies and layout"),
    ("add|mul|sub|div|mean|sum", "normalization and activation"),
)
_HANDS_ON = ("aten::linear", "aten::matmul", "aten::convolution", "aten::_convolution", "aten::conv1d",
             "aten::conv2d", "aten::lstm", "aten::gru")  # fmt: skip
_OF_QUANTIZING = ("normalization and activation", "copies and layout", "quantize and dequantize")


class TorchRecorder:
    """See :class:`ptdq.profile.watch.Recorder`."""

    def __init__(self) -> None:
        self.overhead = 0.0
        self._package = Calls()
        self._seconds = 0.0
        self._events: list[Any] = []
        self._lines: list[str] = []
        self._marks = False

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Mark linear layers while calls are profiled."""
        import torch

        ranges: list[Any] = []

        def enter(module: Any, given: Any) -> None:
            if self._marks and (label := _label(module)):
                ranges.append((module, torch.profiler.record_function(label)))
                ranges[-1][1].__enter__()

        def leave(module: Any, given: Any, result: Any) -> None:
            if ranges and ranges[-1][0] is module:
                ranges.pop()[1].__exit__(None, None, None)

        hooks = [
            torch.nn.modules.module.register_module_forward_pre_hook(enter),
            torch.nn.modules.module.register_module_forward_hook(leave),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Calls in the block are profiled."""
        import torch

        with package_calls() as self._package:
            if self._package.watched:
                start = perf_counter()
                yield
                self._seconds = perf_counter() - start
        if self._package.watched:
            self.overhead = self._package.overhead
            return
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True
        ) as profiler:
            self._marks = True
            with torch.profiler.record_function(CALL):
                start = perf_counter()
                yield
                self._seconds = perf_counter() - start
            self._marks = False
        self._events = list(profiler.events() or [])

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Calls in the block are made with the verbose lines of oneDNN and MKL, which cost time."""
        with lines_of_torch() as lines:
            yield
        self._lines = lines

    def operations(self) -> list[Operation]:
        """What was called, and the framework between."""
        done = primitives(self._lines)
        if self._package.watched:
            seen = _compiled(self._package.made, [one for one in done if one.shape is not None])
            between = self._seconds - self.overhead - sum(one.seconds for one in seen)
            seen.append(Operation("between the kernels", "framework", max(0.0, between)))
            return _with_kernels(seen, done, mkl_kernel(self._lines))
        # To begin and end a range takes time, which is not the calls'.
        ranges = sum(event.cpu_time_total for event in self._events if event.name == CALL) / 1e6
        around = max(0.0, ranges - self._seconds)
        seen = [one for event in self._events if (one := _operation(event, around)) is not None]
        return _with_kernels(seen, done, mkl_kernel(self._lines))


def _label(module: Any) -> str | None:
    """What a layer is called in the profile, if it multiplies by a matrix."""
    inner, columns = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if not isinstance(inner, int) or not isinstance(columns, int):
        return None
    weight = getattr(module, "weight", None)
    # A quantized module has its weight packed, or of another class; or its own forward.
    plain = type(module).__name__ == "Linear" and type(module).__module__.startswith("torch.nn.modules")
    quantized = not plain or type(weight).__name__ not in ("Parameter", "Tensor")
    return f"ptdq.linear {inner}x{columns}{' quantized' if quantized else ''}"


def _operation(event: Any, around: float) -> Operation | None:
    """An event of the profiler as an operation; None of what took no time.

    Args:
        event: of torch.
        around: seconds that the range of the calls began too early or ended too late.
    """
    seconds = event.self_cpu_time_total / 1e6
    if seconds <= 0 or str(event.device_type) != "DeviceType.CPU":
        return None
    name, parents = event.name, _parents(event)
    if name == CALL:
        return Operation("between the operators", "framework", max(0.0, seconds - around))
    if _LINEAR.match(name) or name.startswith(("ProfilerStep", "[memory]")):
        return Operation("between the operators", "framework", seconds)
    layer = next((match for parent in parents if (match := _LINEAR.match(parent))), None)
    if any("scaled_dot_product" in parent for parent in parents):
        return Operation(name, "attention", seconds, numbers=_numbers(event))
    if any(sign in name for sign in (*_INT8, *_FLOAT)):
        return _product(event, seconds, layer)
    part = classify(name, _CLASSES)
    if layer is not None and layer[3] and part in _OF_QUANTIZING:
        part = "quantize and dequantize"
    return Operation(name, part, seconds, numbers=_numbers(event) if part == "attention" else "")


def _product(event: Any, seconds: float, layer: re.Match[str] | None) -> Operation:
    name, shapes = event.name, [list(shape) for shape in event.input_shapes or [] if shape]
    if name in _HANDS_ON and event.cpu_children:
        return Operation(name, "framework", seconds)
    half = "fp16" in name
    integers = not half and any(sign in name for sign in _INT8)
    part: Part = "int8 products" if integers else "float products"
    numbers = "int8" if integers else "float16" if half else _numbers(event) or "float32"
    return Operation(name, part, seconds, numbers=numbers, **product(_shape(name, shapes, layer)))


def _shape(
    name: str, shapes: Sequence[list[int]], layer: re.Match[str] | None
) -> tuple[int, int, int] | None:
    two = [shape for shape in shapes if len(shape) >= 2]
    if layer is not None and two:
        inner, columns = int(layer[1]), int(layer[2])
        return prod(two[0]) // inner, inner, columns
    if name == "aten::addmm" and len(two) >= 2:
        return two[-2][0], two[-2][1], two[-1][1]
    if name in ("aten::mm", "aten::_int_mm") and len(two) == 2:
        return two[0][0], two[0][1], two[1][1]
    return None


def _parents(event: Any) -> list[str]:
    names = []
    while (event := event.cpu_parent) is not None:
        names.append(event.name)
    return names


def _numbers(event: Any) -> str:
    """The number format of the first tensor that has one of those that matter."""
    dtypes: Iterable[str] = getattr(event, "input_dtypes", None) or []
    return next((_DTYPES[dtype] for dtype in dtypes if dtype in _DTYPES), "")


def _with_kernels(operations: list[Operation], done: Sequence[Primitive], mkl: str) -> list[Operation]:
    """The products with library and kernel: what oneDNN ran most for the format, else MKL or FBGEMM."""
    seconds: dict[tuple[str, str], float] = {}
    for one in done:
        if one.shape is not None:
            seconds[one.numbers, one.kernel] = seconds.get((one.numbers, one.kernel), 0.0) + one.seconds
    by_format: dict[str, tuple[str, str]] = {}
    for numbers, kernel in sorted(seconds, key=lambda key: seconds[key]):
        by_format[numbers] = ("oneDNN", kernel)
    by_format.setdefault("float32", ("MKL", mkl))
    by_format.setdefault("int8", ("FBGEMM", ""))
    named = []
    for operation in operations:
        library, kernel = by_format.get(operation.numbers, ("ATen", ""))
        unnamed = operation.part in PRODUCTS and not operation.library
        named.append(replace(operation, library=library, kernel=kernel) if unnamed else operation)
    return named


def _compiled(made: Sequence[tuple[str, float]], done: Sequence[Primitive]) -> list[Operation]:
    """What a package called; its products with shape and kernel, where oneDNN reports as many.

    Args:
        made: functions and their seconds, in their order.
        done: products of the same calls, made again.
    """
    products = [name for name, _ in made if _of_shim(name) in PRODUCTS]
    halves = any("bfloat16" in (one.numbers, one.result) for one in done)
    reported = iter(done) if len(products) == len(done) else None
    operations = []
    for name, seconds in made:
        part = _of_shim(name)
        shown = name.removeprefix("aoti_torch_cpu_").removeprefix("cpp_fused_")
        if part not in PRODUCTS:
            numbers = ("bfloat16" if halves else "float32") if part == "attention" else ""
            operations.append(Operation(shown, part, seconds, numbers=numbers))
        elif reported is None:
            numbers = "int8" if part == "int8 products" else "float32"
            operations.append(Operation(shown, part, seconds, numbers=numbers))
        else:
            one = next(reported)
            part = "int8 products" if one.numbers == "int8" else "float products"
            operations.append(
                Operation(shown, part, seconds, numbers=one.numbers, kernel=one.kernel,
                          library="oneDNN", **product(one.shape))
            )  # fmt: skip
    return operations


def _of_shim(name: str) -> Part:
    """The class of a function that a package calls."""
    own = name.startswith("cpp_fused")
    if not own and re.search(r"qlinear|qconv|int_mm", name):
        return "int8 products"
    if not own and re.search(r"linear|addmm|_mm|convolution", name) and "_bmm" not in name:
        return "float products"
    return classify(name, _FUSED if own else _CLASSES)
