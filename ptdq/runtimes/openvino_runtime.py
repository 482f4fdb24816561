"""A graph in OpenVINO, compiled for this CPU with the options that were measured.

Where shapes are open, OpenVINO works them out at every call and takes kernels that fit all of them. An
artifact can name lengths for which there are branches with nothing open, for one document each. All
branches are one model, since they share packed weights in it, and models compiled apart do not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset8 as operations

PRECISION = "precision.json"
_ANY_OTHER = np.iinfo(np.int32).max
_Inputs = Mapping[str, NDArray[np.int64]]
_Compile = Callable[[Any], Any]


class Model:
    """A function from a tokenizer's outputs to logits, for one caller at a time.

    Args:
        compiled_model: of any batch and length.
        names: of the inputs.
    """

    def __init__(self, compiled_model: Any, names: Sequence[str]) -> None:
        self._model = compiled_model
        self._request = compiled_model.create_infer_request()
        self._names = names

    @property
    def threads(self) -> int:
        """Threads of an inference, as the compiled model says."""
        return int(self._model.get_property("INFERENCE_NUM_THREADS"))

    def __call__(self, inputs: _Inputs) -> NDArray[np.float32]:
        self._give([inputs[name] for name in self._names])
        self._request.infer()
        return self._logits()

    def _give(self, arrays: Sequence[NDArray[np.int64]], first: int = 0) -> None:
        """Set inputs, from ``first`` on: ``infer`` takes arrays as well, but with time of its own."""
        # Copies that can be written to, as tensors have to be, and kept, since tensors do not keep them.
        self._given = [np.array(array, np.int64, order="C") for array in arrays]
        for place, array in enumerate(self._given, first):
            self._request.set_input_tensor(place, openvino.Tensor(array, shared_memory=True))

    def _logits(self) -> NDArray[np.float32]:
        # A copy: the tensor is overwritten by the next call.
        return cast(NDArray[np.float32], self._request.get_output_tensor(0).data.copy())


class Branched(Model):
    """The same, of a model that :func:`branches` made: single documents of ``lengths`` take their own."""

    def __init__(self, compiled_model: Any, names: Sequence[str], lengths: Sequence[int]) -> None:
        super().__init__(compiled_model, names)
        self._lengths = frozenset(lengths)
        self._length = np.zeros((), np.int32)
        self._fixed = [np.zeros((1, max(lengths)), np.int64) for _ in names]
        # Tensors that stay cost a call nothing.
        for place, array in enumerate([self._length, *self._fixed]):
            self._request.set_input_tensor(place, openvino.Tensor(array, shared_memory=True))
        self._give([np.zeros((1, 1), np.int64) for _ in names], first=1 + len(names))

    def __call__(self, inputs: _Inputs) -> NDArray[np.float32]:
        given = [inputs[name] for name in self._names]
        batch, tokens = given[0].shape
        if batch == 1 and tokens in self._lengths:
            self._length[()] = tokens
            for array, ids in zip(self._fixed, given, strict=True):
                array[:, :tokens] = ids
        else:
            self._length[()] = _ANY_OTHER
            self._give(given, first=1 + len(self._fixed))
        self._request.infer()
        return self._logits()


def open_model(artifact: Path, threads: int) -> Model:
    """The graph of an artifact."""
    options = json.loads((artifact / PRECISION).read_text(encoding="utf-8"))
    return compiled(artifact / "model.xml", threads, options["precision"], options.get("shapes", ()))


def compiled(graph: Any, threads: int, precision: str, lengths: Sequence[int] = ()) -> Model:
    """The same, of a graph or the path of one.

    Args:
        graph: of any batch and length.
        threads: of an inference.
        precision: of what is not int8.
        lengths: for which the file has branches, for one document each.
    """
    core = openvino.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
    }

    def compile_for_cpu(model: Any) -> Any:
        return core.compile_model(model, "CPU", options)

    if lengths:
        return of_lengths(core.read_model(graph), sorted(lengths), compile_for_cpu)
    model = compile_for_cpu(graph)
    return Model(model, [port.any_name for port in model.inputs])


def of_lengths(model: Any, lengths: Sequence[int], compile_for_cpu: _Compile) -> Model:
    """A graph with a branch for each of ``lengths``, ascending."""
    names = [port.any_name for port in model.inputs]
    return Branched(compile_for_cpu(branches(model, names, lengths)), names, lengths)


@dataclass(frozen=True)
class _Body:
    """What a branch computes.

    Attributes:
        model: of OpenVINO.
        takes: by place among the inputs of :func:`branches`, its parameter.
    """

    model: Any
    takes: Mapping[int, Any]


def branches(model: Any, names: Sequence[str], lengths: Sequence[int]) -> Any:
    """A model that takes a length in tokens and has a branch for each of ``lengths``, one for all others.

    Its inputs are the length; each of ``names`` as [1, longest of ``lengths``], of which the branch takes
    the first columns; and each of them of any shape, which the branch for all others takes.
    """
    _widen_tables(model)
    fixed = [_fixed(model, names, length, lengths[-1]) for length in lengths]
    any_other = model.clone()
    parameters = _parameters(any_other, names)
    first = 1 + len(names)
    takes = {first + number: parameter for number, parameter in enumerate(parameters)}
    return _choice([*fixed, _Body(any_other, takes)], lengths, len(names)).model


def _fixed(model: Any, names: Sequence[str], length: int, longest: int) -> _Body:
    """One document of a length, the first tokens of inputs of the longest."""
    body = model.clone()
    body.reshape({name: [1, length] for name in names})
    takes: dict[int, Any] = {}
    for place, parameter in enumerate(_parameters(body, names), start=1):
        takes[place] = whole = operations.parameter([1, longest], np.int64)
        columns = operations.slice(whole, [0], [length], [1], [1])
        for target in parameter.output(0).get_target_inputs():
            target.replace_source_output(columns.output(0))
        body.remove_parameter(parameter)
    body.add_parameters(list(takes.values()))
    return _Body(body, takes)


def _choice(bodies: Sequence[_Body], lengths: Sequence[int], inputs: int) -> _Body:
    """A tree of choices: in a chain the plugin would compile what is within as often as it is deep."""
    if len(bodies) == 1:
        return bodies[0]
    half = len(bodies) // 2
    shorter = _choice(bodies[:half], lengths[:half], inputs)
    longer = _choice(bodies[half:], lengths[half:], inputs)
    length = operations.parameter([], np.int32)
    choice = operations.if_op(operations.less_equal(length, np.int32(lengths[half - 1])).output(0))
    choice.set_then_body(shorter.model)
    choice.set_else_body(longer.model)
    takes: dict[int, Any] = {0: length}
    for place in range(1 + 2 * inputs):
        one, other = shorter.takes.get(place), longer.takes.get(place)
        inner: Any = one or other
        if inner is None:
            continue
        if place not in takes:
            takes[place] = operations.parameter(inner.get_partial_shape(), inner.get_element_type())
        choice.set_input(takes[place].output(0), one, other)
    result = choice.set_output(shorter.model.get_results()[0], longer.model.get_results()[0])
    return _Body(openvino.Model([operations.result(result)], list(takes.values())), takes)


def _parameters(model: Any, names: Sequence[str]) -> list[Any]:
    return [model.input(name).get_node() for name in names]


def _widen_tables(model: Any) -> None:
    """Have embeddings as the plugin will have them: it would widen them once more for every branch."""
    for node in model.get_ordered_ops():
        if (
            node.get_type_name() != "Gather"
            or node.input_value(0).get_node().get_type_name() == "Constant"
        ):
            continue  # what is wide already would be copied
        if (table := _widened(node.input_value(0))) is not None:
            # operations.constant would make a list of the numbers, eleven times as large as the table.
            node.input(0).replace_source_output(openvino.op.Constant(table).output(0))


def _widened(value: Any) -> NDArray[Any] | None:
    """The numbers of a constant that is kept in fewer bits; None of anything else."""
    node = value.get_node()
    kind = node.get_type_name()
    if kind == "Constant":
        return cast(NDArray[Any], node.data)
    if kind not in ("Convert", "Multiply", "Subtract"):
        return None
    parts = [_widened(part) for part in node.input_values()]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if kind == "Convert":
        return known[0].astype(node.get_element_type().to_dtype())
    made: NDArray[Any] = known[0] * known[1] if kind == "Multiply" else known[0] - known[1]
    return made
