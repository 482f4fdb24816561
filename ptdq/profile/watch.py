"""Watch whatever loads and calls a model, by the profilers of the runtimes that it turns out to use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Protocol

from ptdq.profile.operation import Operation, together

_RECORDERS = {
    "openvino": "ptdq.profile.openvino_runtime:OpenvinoRecorder",
    "onnxruntime": "ptdq.profile.onnx_runtime:OnnxRecorder",
    "torch": "ptdq.profile.torch_runtime:TorchRecorder",
}
"""Package of a runtime to what records its calls; torch, which may stand around the others, last."""


class Recorder(Protocol):
    """The profiler of one runtime.

    Attributes:
        overhead: seconds that it added to the calls and knows of.
    """

    overhead: float

    def attached(self) -> AbstractContextManager[None]:
        """Models that are loaded in the block can be profiled; it ends after the calls."""

    def recording(self) -> AbstractContextManager[None]:
        """Calls in the block are profiled."""

    def listening(self) -> AbstractContextManager[None]:
        """Calls in the block, the same again, are not timed: the runtime may say what it runs."""

    def operations(self) -> list[Operation]:
        """What the calls did, once the first block has ended."""


@dataclass(frozen=True)
class Profile:
    """What some calls did.

    Attributes:
        operations: with their time, of all calls together; those alike are one.
        seconds: of the calls, as this process timed them while they were profiled, without what profiling
            is known to have added.
    """

    operations: list[Operation]
    seconds: float


def profile(
    load: Callable[[], Any], warm: Callable[[Any], object], calls: Callable[[Any], object]
) -> Profile:
    """Load a model and watch calls of it.

    Only runtimes that are imported when this is called are watched: load the model once before.

    Args:
        load: gives what is called.
        warm: calls that come first and are not watched, such as one of each shape.
        calls: makes the calls that are watched; it is called twice.
    """
    recorders = [_recorder(place) for package, place in _RECORDERS.items() if package in sys.modules]
    with ExitStack() as stack:
        for recorder in recorders:
            stack.enter_context(recorder.attached())
        model = load()
        warm(model)
        with ExitStack() as inner:
            for recorder in recorders:
                inner.enter_context(recorder.recording())
            start = perf_counter()
            calls(model)
            seconds = perf_counter() - start
        with ExitStack() as inner:
            for recorder in recorders:
                inner.enter_context(recorder.listening())
            calls(model)
    operations: list[Operation] = []
    added = 0.0
    for recorder in recorders:
        operations += _outside(recorder.operations(), added + sum(one.seconds for one in operations))
        added += recorder.overhead
    return Profile(together(operations), seconds - added)


def _recorder(place: str) -> Recorder:
    module, _, name = place.partition(":")
    made: Recorder = getattr(importlib.import_module(module), name)()
    return made


def _outside(operations: list[Operation], known: float) -> list[Operation]:
    """Operations, of whose framework other recorders have told or added ``known`` seconds already."""
    rest = []
    for one in operations:
        if one.part == "framework" and known > 0:
            taken = min(known, one.seconds)
            known -= taken
            one = replace(one, seconds=one.seconds - taken)
        rest.append(one)
    return rest
