"""OpenVINO's own profiler: one entry a node of the compiled model, with the kernel that ran it.

``ov::enable_profiling`` and ``InferRequest.get_profiling_info``,
https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/query-device-properties.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from math import prod
from time import perf_counter
from typing import Any
from unittest.mock import patch

from ptdq.profile.operation import NUMBERS, Operation, Part, classify, product

_FORMAT = re.compile(r"_(fp32|f32|bf16|fp16|f16|i8|u8|s8)$")
_PRODUCTS = ("FullyConnected", "Convolution", "RNN", "LSTM", "GRU", "GatherMatmul")
"""Beginnings of the kinds of nodes: there is `FullyConnectedQuantizedLegacy`, too."""
_CLASSES: tuple[tuple[str, Part], ...] = (
    ("scaleddotproduct|mha|softmax|sdpa", "attention"),
    ("fakequantize", "quantize and dequantize"),
    ("mvn|normaliz|gelu|tanh|activation|rms", "normalization and activation"),
    (
        "reorder|convert|gather|reshape|transpose|concat|split|strided|broadcast|tile|shapeof|unsqueeze"
        "|squeeze|memory|input|output|embedding|select|pad|scatter|range|const|slice|equal|greater|less",
        "copies and layout",
    ),
    (
        "eltwise|subgraph|reduce|math|logical|add|multiply|subtract|divide|power|sqrt|erf|swish",
        "normalization and activation",
    ),
)


@dataclass(frozen=True)
class _Node:
    """What the compiled model says of a node.

    Attributes:
        columns_inner: of a product by a constant: columns and inner size; None where unknown.
        ranks: dimensions of its result.
        parts: what it was made of: names of the operations of the model as it was given.
    """

    columns_inner: tuple[int, int] | None
    rank: int
    parts: str


@dataclass
class _Inferences:
    """Those of one request.

    Attributes:
        request: of OpenVINO.
        count: how many there were.
        seconds: of those that are recorded.
        shapes: of the input of those.
        before: seconds of each node until the recording began.
    """

    request: Any
    count: int = 0
    seconds: float = 0.0
    shapes: list[list[int]] = field(default_factory=list)
    before: dict[str, float] = field(default_factory=dict)

    def spent(self) -> dict[str, float]:
        """Seconds of each node in all inferences: the profile has their mean, in whole microseconds."""
        return {
            entry.node_name: entry.real_time.total_seconds() * self.count
            for entry in self.request.get_profiling_info()
        }


class OpenvinoRecorder:
    """See :class:`ptdq.profile.watch.Recorder`."""

    def __init__(self) -> None:
        self.overhead = 0.0
        self._models: list[Any] = []
        self._recording = False
        self._requests: dict[int, _Inferences] = {}
        self._operations: list[Operation] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Let models that are compiled in the block profile their nodes."""
        import openvino

        compile_model, infer = openvino.Core.compile_model, openvino.InferRequest.infer

        def profiling(
            core: Any, model: Any, device_name: Any = None, config: Any = None, **named: Any
        ) -> Any:
            options = {**(config or {}), "PERF_COUNT": True}
            made = compile_model(core, model, device_name, options, **named)
            self._models.append(made)
            return made

        def timed(request: Any, *given: Any, **named: Any) -> Any:
            start = perf_counter()
            result = infer(request, *given, **named)
            end = perf_counter()
            known = self._requests.setdefault(id(request), _Inferences(request))
            known.count += 1
            if self._recording:
                known.seconds += end - start
                known.shapes.append(list(request.get_input_tensor(0).shape))
                self.overhead += perf_counter() - end
            return result

        with ExitStack() as stack:
            stack.enter_context(patch.object(openvino.Core, "compile_model", profiling))
            stack.enter_context(patch.object(openvino.InferRequest, "infer", timed))
            yield

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Calls in the block are counted; those before were warm-up."""
        for known in self._requests.values():
            known.before = known.spent()
        self._recording = True
        yield
        self._recording = False
        nodes = {name: node for model in self._models for name, node in _nodes(model)}
        for known in self._requests.values():
            if known.shapes:
                self._operations += _operations(known, nodes)

    def listening(self) -> AbstractContextManager[None]:
        """There is nothing more to hear."""
        return nullcontext()

    def operations(self) -> list[Operation]:
        """The nodes of the calls, and what the request did between."""
        return self._operations


def _operations(known: _Inferences, nodes: Mapping[str, _Node]) -> list[Operation]:
    """What the recorded inferences of a request did."""
    calls, after = len(known.shapes), known.spent()
    documents = sum(shape[0] for shape in known.shapes) / calls
    tokens = sum(prod(shape) for shape in known.shapes) / calls
    operations = []
    for entry in known.request.get_profiling_info():
        seconds = after[entry.node_name] - known.before.get(entry.node_name, 0.0)
        if seconds > 0:
            one = _operation(entry, nodes.get(entry.node_name), round(documents), round(tokens))
            operations.append(replace(one, seconds=seconds, calls=calls))
    between = max(0.0, known.seconds - sum(one.seconds for one in operations))
    return [*operations, Operation("between the nodes", "framework", between, calls=calls)]


def _nodes(model: Any) -> Iterator[tuple[str, _Node]]:
    for node in model.get_runtime_model().get_ops():
        facts: Mapping[str, Any] = node.get_rt_info()
        weight = next((shape for shape in map(_constant, node.inputs()[1:]) if shape is not None), None)
        rank = node.get_output_partial_shape(0).rank if node.get_output_size() else None
        parts = str(facts["originalLayersNames"].astype(str)) if "originalLayersNames" in facts else ""
        yield (
            node.get_friendly_name(),
            _Node(
                (weight[0], weight[1]) if weight is not None and len(weight) == 2 else None,
                rank.get_length() if rank is not None and rank.is_static else 0,
                parts.lower(),
            ),
        )


def _constant(port: Any) -> list[int] | None:
    source = port.get_source_output()
    if source.get_node().get_rt_info()["layerType"].astype(str) != "Const":
        return None
    shape = source.get_partial_shape()
    return [int(size) for size in shape.to_shape()] if shape.is_static else None


def _operation(entry: Any, node: _Node | None, documents: int, tokens: int) -> Operation:
    """A node, without its time. Of calls of several lengths a product has the mean number of rows."""
    kind, kernel, seconds = str(entry.node_type), str(entry.exec_type), 0.0
    match = _FORMAT.search(kernel.lower())
    numbers = NUMBERS.get(match[1], "") if match else ""
    if kind == "MatMul" and (node is None or node.columns_inner is None):
        return Operation(kind, "attention", seconds, numbers=numbers, kernel=kernel)
    if kind.startswith((*_PRODUCTS, "MatMul")):
        part: Part = "int8 products" if numbers == "int8" else "float products"
        size: tuple[int, int, int] | None = None
        if node is not None and node.columns_inner is not None:
            columns, inner = node.columns_inner
            size = (tokens if node.rank > 2 else documents), inner, columns
        return Operation(
            kind, part, seconds, numbers=numbers, kernel=kernel, library="OpenVINO", **product(size)
        )
    part = classify(kind, _CLASSES)
    if kind == "Subgraph" and node is not None and ("softmax" in node.parts or "attention" in node.parts):
        part = "attention"
    elif kind == "Subgraph" and node is not None and "fq_" in node.parts:
        part = "quantize and dequantize"
    return Operation(kind, part, seconds, numbers=numbers if part == "attention" else "", kernel=kernel)
