"""ONNX Runtime's own profiler: one event a node, with its shapes.

https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from math import prod
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ptdq.profile.operation import Operation, Part, classify, product

_INT8 = ("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulInteger", "QLinearMatMul", "QGemm",
         "ConvInteger", "QLinearConv", "DynamicQuantizeLSTM")  # fmt: skip
_FLOAT = ("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Conv", "FusedConv", "LSTM", "GRU", "MatMulNBits")
_CLASSES: tuple[tuple[str, Part], ...] = (
    ("attention|softmax", "attention"),
    ("quantizelinear", "quantize and dequantize"),
    ("layernorm|gelu|tanh|erf|relu|sigmoid|silu|norm", "normalization and activation"),
    (
        "gather|reshape|transpose|concat|slice|cast|squeeze|expand|shape|where|reorder|memcpy|split|flatten"
        "|constant|range|tile|pad|identity|scatter|equal|cumsum",
        "copies and layout",
    ),
    ("add|mul|sub|div|pow|sqrt|reduce|exp|neg|max|min|clip|sum|mean|abs|not|and|less|greater",
     "normalization and activation"),
)  # fmt: skip
_FORMATS = {"float": "float32", "float16": "float16", "bfloat16": "bfloat16"}


class OnnxRecorder:
    """See :class:`ptdq.profile.watch.Recorder`."""

    def __init__(self) -> None:
        self.overhead = 0.0
        self._sessions: list[Any] = []
        self._runs: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._after: dict[int, int] = {}
        self._operations: list[Operation] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Let sessions that are made in the block profile themselves."""
        import onnxruntime

        make, run = onnxruntime.InferenceSession.__init__, onnxruntime.InferenceSession.run
        with ExitStack() as stack:
            prefix = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "profile")

            def profiling(
                session: Any, path: Any, sess_options: Any = None, *more: Any, **named: Any
            ) -> None:
                options = sess_options or onnxruntime.SessionOptions()
                options.enable_profiling = True
                options.profile_file_prefix = prefix
                make(session, path, options, *more, **named)
                self._sessions.append(session)

            def counting(session: Any, *given: Any, **named: Any) -> Any:
                self._runs[id(session)] = self._runs.get(id(session), 0) + 1
                return run(session, *given, **named)

            stack.enter_context(patch.object(onnxruntime.InferenceSession, "__init__", profiling))
            stack.enter_context(patch.object(onnxruntime.InferenceSession, "run", counting))
            yield
            for session in self._sessions:
                path = Path(session.end_profiling())
                events = json.loads(path.read_text(encoding="utf-8"))
                first, after = (at.get(id(session), 0) for at in (self._first, self._after))
                self._operations += _of_runs(events, first, after)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Calls in the block are counted; those before were warm-up."""
        self._first = dict(self._runs)
        yield
        self._after = dict(self._runs)

    def listening(self) -> AbstractContextManager[None]:
        """There is nothing more to hear."""
        return nullcontext()

    def operations(self) -> list[Operation]:
        """The nodes of the calls, and what the session did between."""
        return self._operations


def _of_runs(events: Sequence[Mapping[str, Any]], first: int, after: int) -> list[Operation]:
    """The nodes of a session's runs from the one of number ``first`` to the one before ``after``."""
    runs = sorted((e for e in events if e.get("name") == "model_run"), key=lambda e: int(e["ts"]))
    operations, between = [], 0.0
    for run in runs[first:after]:
        start, end = int(run["ts"]), int(run["ts"]) + int(run["dur"])
        nodes = [
            _operation(e)
            for e in events
            if str(e.get("name", "")).endswith("_kernel_time") and start <= int(e["ts"]) <= end
        ]
        operations += nodes
        between += max(0.0, int(run["dur"]) / 1e6 - sum(one.seconds for one in nodes))
    return [*operations, Operation("between the nodes", "framework", between)]


def _operation(node: Mapping[str, Any]) -> Operation:
    arguments = node["args"]
    name, seconds = str(arguments["op_name"]), node["dur"] / 1e6
    inputs = [_tensor(given) for given in arguments.get("input_type_shape", [])]
    outputs = [_tensor(given) for given in arguments.get("output_type_shape", [])]
    numbers = next((_FORMATS[kind] for kind, _ in inputs if kind in _FORMATS), "")
    if name not in (*_INT8, *_FLOAT):
        kind = classify(name, _CLASSES)
        return Operation(name, kind, seconds, numbers=numbers if kind == "attention" else "")
    shapes = [shape for _, shape in inputs if len(shape) >= 2]
    if name in _FLOAT and len(shapes) >= 2 and len(shapes[1]) > 3:
        return Operation(name, "attention", seconds, numbers=numbers)
    part: Part = "int8 products" if name in _INT8 else "float products"
    size: tuple[int, int, int] | None = None
    if shapes and outputs and outputs[0][1] and "Conv" not in name and "LSTM" not in name:
        inner, columns = shapes[0][-1], outputs[0][1][-1]
        size = prod(shapes[0]) // max(inner, 1), inner, columns
    numbers = "int8" if name in _INT8 else numbers or "float32"
    return Operation(name, part, seconds, numbers=numbers, library="MLAS", **product(size))


def _tensor(given: Mapping[str, Any]) -> tuple[str, list[int]]:
    ((kind, shape),) = given.items()
    return kind, [int(size) for size in shape]
