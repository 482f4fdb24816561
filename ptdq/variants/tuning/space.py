"""The space in which ``int8-best`` is searched: a function of what the CPU has and what is installed.

Small, since each graph takes a quantization, and in the order of what is promising, since time may run
out. What costs arithmetic and gives none of it back (smoothing, more modules in float) is in it only
where the calibration documents need it: :func:`remedies`. What is chosen when a model is loaded, shapes
that are fixed, is tried with the fastest alone: :attr:`Candidate.shapes`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from ptdq.variants.base import BFLOAT16

Engine = Literal["OpenVINO", "ONNX Runtime", "AOTInductor"]

PACKAGES: dict[Engine, tuple[str, ...]] = {
    "OpenVINO": ("openvino", "nncf"),
    "ONNX Runtime": ("onnx", "onnxruntime", "onnxscript"),
    "AOTInductor": ("torchao",),
}


@dataclass(frozen=True)
class Candidate:
    """One way to have the model in int8.

    Attributes:
        engine: whose kernels it uses.
        variant: whose loader it takes; of an engine that is not OpenVINO also whose preparation.
        rest: number format of what is not int8.
        smoothing: whether outliers of activations are moved into the weights (SmoothQuant).
        preset: of NNCF: activations with a zero point where that is better, or never.
        attention: whether the products of two activations in the attention are int8 where NNCF says so.
        first_token: whether the last layer is computed for the first token alone.
        mixed: whether what ``ptdq sensitivity`` found stays float.
        shapes: lengths in tokens for which the graph has branches, with nothing left open.
    """

    engine: Engine = "OpenVINO"
    variant: str = "openvino-int8-static"
    rest: Literal["float32", "bfloat16"] = "float32"
    smoothing: bool = False
    preset: Literal["mixed", "performance"] = "mixed"
    attention: bool = True
    first_token: bool = True
    mixed: bool = False
    shapes: tuple[int, ...] = ()

    @property
    def graph(self) -> Candidate:
        """The same as far as it decides what is quantized: one quantization serves all of a graph."""
        return replace(self, variant="", rest="float32", shapes=())

    @property
    def precision(self) -> str:
        """What OpenVINO is to compute the rest in, as it calls it."""
        return "bf16" if self.rest == "bfloat16" else "f32"

    @property
    def words(self) -> str:
        """What it is, as a table has it."""
        if self.engine != "OpenVINO":
            return f"{self.engine}: {self.variant}"
        said = [
            f"{self.rest} for the rest",
            "smoothing" if self.smoothing else "",
            "symmetric activations" if self.preset == "performance" else "",
            "" if self.attention else "attention float",
            "" if self.first_token else "last layer whole",
            "keep_float_mixed float" if self.mixed else "",
            _fixed(self.shapes),
        ]
        return f"OpenVINO: {', '.join(filter(None, said))}"


def _fixed(shapes: tuple[int, ...]) -> str:
    if len(shapes) < 2:
        return f"fixed shape {shapes[0]}" if shapes else ""
    return f"{len(shapes)} fixed shapes from {shapes[0]} to {shapes[-1]}"


FIRST = Candidate()
"""What is taken where nothing may be tried."""


def with_rest(candidate: Candidate, rest: Literal["float32", "bfloat16"]) -> Candidate:
    """The same graph, and what is not int8 in another format."""
    name = "openvino-int8-static-bf16" if rest == "bfloat16" else "openvino-int8-static"
    return replace(candidate, rest=rest, variant=name)


def remedies(base: Candidate, mixed: bool) -> list[Candidate]:
    """What to try, in this order, where a candidate does not keep the answers.

    Args:
        base: the candidate.
        mixed: whether there are modules that ``ptdq sensitivity`` found.
    """
    kept = [replace(base, mixed=True)] if mixed else []
    smooth = replace(base, smoothing=True)
    return [*kept, smooth, *(replace(one, smoothing=True) for one in kept)]


def space(base: Candidate, flags: Collection[str], installed: Collection[str]) -> list[Candidate]:
    """What is tried on a CPU, the most promising first.

    Args:
        base: the first one that keeps the answers.
        flags: of the CPU, as far as runtimes may use them.
        installed: distributions that are installed.
    """
    native = not set(BFLOAT16).isdisjoint(flags)
    graphs = [
        base,
        # Integers take attention apart where float kernels are one: neither is faster everywhere.
        replace(base, attention=False),
        replace(base, attention=False, preset="performance"),
        replace(base, preset="performance"),
        replace(base, first_token=False),
    ]
    rests: list[Literal["float32", "bfloat16"]] = ["bfloat16", "float32"] if native else ["float32"]
    found = [with_rest(graph, rest) for graph in graphs for rest in rests]
    found += [
        Candidate("ONNX Runtime", "onnx-int8-static"),
        Candidate("ONNX Runtime", "onnx-int8-dynamic"),
        Candidate("AOTInductor", "int8-pt2e-static"),
    ]
    if native:
        found.append(Candidate("AOTInductor", "int8-mixed-bf16", "bfloat16"))
    return [one for one in found if set(PACKAGES[one.engine]) <= set(installed)]
