"""The verbose lines of oneDNN and MKL in torch: what was run, by which kernel, for how long.

https://uxlfoundation.github.io/oneDNN/dev_guide_verbose.html
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

from ptdq.profile.operation import NUMBERS

_PRODUCT = re.compile(r"^(?P<left>\d+(?:x\d+)*):(?P<right>\d+(?:x\d+)*)$")
_INNER = re.compile(r"^mb(?P<rows>\d+)ic(?P<inner>\d+)(?:i[dhw]\d+)*oc(?P<columns>\d+)$")


@dataclass(frozen=True)
class Primitive:
    """One execution of a primitive.

    Attributes:
        kind: ``matmul``, ``inner_product``, ``convolution``, ``reorder`` and others.
        kernel: name of its implementation.
        numbers: format of its source.
        result: format of what it gives.
        shape: rows, inner size and columns of a product; None of others.
        seconds: that it took.
    """

    kind: str
    kernel: str
    numbers: str
    result: str
    shape: tuple[int, int, int] | None
    seconds: float


def primitives(lines: Iterable[str]) -> list[Primitive]:
    """The executions in verbose lines, in their order; other lines are passed over."""
    calls = []
    for line in lines:
        fields = line.strip().split(",")
        if not fields[0].startswith("onednn_verbose") or "exec" not in fields:
            continue
        place = fields.index("exec")
        try:
            kind, kernel, _, tensors = fields[place + 2 : place + 6]
            seconds = float(fields[-1]) / 1e3
        except ValueError:
            continue
        numbers, result = (_format(tensors, of) for of in ("src", "dst"))
        calls.append(Primitive(kind, kernel, numbers, result, _shape(fields[-2]), seconds))
    return calls


def _format(tensors: str, of: str) -> str:
    match = re.search(rf"{of}[:_]([a-z]+\d+)", tensors)
    return NUMBERS.get(match[1], match[1]) if match else ""


def _shape(problem: str) -> tuple[int, int, int] | None:
    """``8x128x32:8x32x128`` has 8 · 128 rows, since batches are products side by side."""
    if match := _PRODUCT.match(problem):
        left = [int(size) for size in match["left"].split("x")]
        return prod(left[:-1]), left[-1], int(match["right"].rpartition("x")[2])
    if match := _INNER.match(problem):
        return int(match["rows"]), int(match["inner"]), int(match["columns"])
    return None


def mkl_kernel(lines: Iterable[str]) -> str:
    """What MKL says that it uses, as in its first verbose line; empty where it said nothing."""
    for line in lines:
        # It also names AMX where the CPU has it ("with support for"), which is not for float32.
        if match := re.match(r"MKL_VERBOSE .*? for (.+?)(?: with | enabled|,)", line):
            return match[1]
    return ""


@contextmanager
def lines_of_torch() -> Iterator[list[str]]:
    """A list that has, after the block, what oneDNN and MKL in torch said while it ran."""
    import torch

    lines: list[str] = []
    with tempfile.TemporaryFile() as kept, _standard_output_in(kept.fileno()):
        switches = (torch._C._verbose.mkldnn_set_verbose, torch._C._verbose.mkl_set_verbose)
        for switch in switches:
            switch(1)
        try:
            yield lines
        finally:
            for switch in switches:
                switch(0)
            _flush()
            kept.seek(0)
            lines += kept.read().decode(errors="replace").splitlines()


@contextmanager
def _standard_output_in(target: int) -> Iterator[None]:
    """Libraries write to the descriptor, not to Python's object."""
    sys.stdout.flush()
    _flush()
    before = os.dup(1)
    os.dup2(target, 1)
    try:
        yield
    finally:
        _flush()
        os.dup2(before, 1)
        os.close(before)


def _flush() -> None:
    ctypes.CDLL(None).fflush(None)
