"""The core's own limits: ``python -m ptdq.measure.limits request.json``, some seconds.

Peak rates of matrix products on one pinned core, for each number format that the CPU multiplies, by every
library that is here and has a kernel for it: at the largest shape, and at the shapes that the model
multiplies at its maximum lengths. What a variant's share of the limit is taken against. A rate, not a
specification: it moves with the clock like everything else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import cpu_flags, pin

SIZE = (512, 1024, 1024)
SECONDS = 0.5
OWN_SECONDS = 0.1
"""Of a shape of the model's own: hundreds of calls."""
NATIVE = {
    "bfloat16": ("avx512_bf16", "amx_bf16", "bf16"),
    "float16": ("avx512_fp16", "amx_fp16", "asimdhp"),
}
"""Flags, one of which a CPU has that multiplies a format; without it, it is emulated and no limit."""

Product = Callable[[], object]
Shape = tuple[int, int, int]


def main(arguments: list[str]) -> int:
    """Measure all peaks and write them as JSON."""
    die_with_parent()
    request, _ = read_request(arguments)
    if request["core"] is not None:
        pin(request["core"])
    import torch

    from ptdq.store.disk import write_json

    torch.set_num_threads(1)
    rates = measured(request.get("shapes", []))

    def best(numbers: str) -> float | None:
        return max((rate["gops"] for rate in rates if rate["numbers"] == numbers), default=None)

    write_json(
        Path(request["result"]),
        {
            "float32_gflops": best("float32"),
            "int8_gops": best("int8"),
            "bfloat16_gflops": best("bfloat16"),
            "float16_gflops": best("float16"),
            "rates": rates,
        },
    )
    return 0


def measured(shapes: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Of each format at each shape, the fastest library: format, library, shape and GOP/s."""
    found = []
    for rows, inner, columns in dict.fromkeys([SIZE, *map(tuple, shapes)]):
        shape = (rows, inner, columns)
        seconds = SECONDS if shape == SIZE else OWN_SECONDS
        for numbers in ("float32", *formats(cpu_flags()), "int8"):
            rates = {
                library: rate(product, shape, seconds) for library, product in products(numbers, shape)
            }
            if rates:
                library = max(rates, key=lambda name: rates[name])
                found.append(
                    {
                        "numbers": numbers,
                        "library": library,
                        "shape": list(shape),
                        "gops": rates[library],
                    }
                )
    return found


def formats(flags: Sequence[str]) -> list[str]:
    """Formats of sixteen bits that a CPU with these flags multiplies."""
    return [numbers for numbers, needed in NATIVE.items() if not set(needed).isdisjoint(flags)]


def rate(product: Product, shape: Shape = SIZE, seconds: float = SECONDS) -> float:
    """Billions of operations (multiplications and additions) per second at the best call."""
    rows, inner, columns = shape
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - start)
    return 2 * rows * inner * columns / best / 1e9


def products(numbers: str, shape: Shape = SIZE) -> Iterator[tuple[str, Product]]:
    """Products of a format by every library that is here and has a kernel; each has been called."""
    routes: list[tuple[str, Callable[[], Product]]] = [("OpenVINO", lambda: _openvino(numbers, shape))]
    if numbers == "int8":
        routes += [
            ("torch", lambda: _torch_integers(shape)),
            ("oneDNN", lambda: _onednn_integers(shape)),
        ]
    else:
        routes.append(("torch", lambda: _torch_floats(numbers, shape)))
    for library, make in routes:
        try:
            product = make()
            product()
        except (RuntimeError, AttributeError, NotImplementedError, ImportError):
            continue  # this build, or this CPU, lacks the route
        yield library, product


def _torch_floats(numbers: str, shape: Shape) -> Product:
    import torch

    rows, inner, columns = shape
    dtype = getattr(torch, numbers)
    left, right = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    result = torch.empty(rows, columns, dtype=dtype)
    return lambda: torch.mm(left, right, out=result)


def _integers(shape: Shape) -> Any:
    import torch

    rows, inner, columns = shape
    return (
        torch.randint(-100, 100, (rows, inner), dtype=torch.int8),
        torch.randint(-100, 100, (inner, columns), dtype=torch.int8),
    )


def _torch_integers(shape: Shape) -> Product:
    import torch

    left, right = _integers(shape)
    return lambda: torch._int_mm(left, right)


def _onednn_integers(shape: Shape) -> Product:
    import torch

    left, right = _integers(shape)
    activations = (left.to(torch.int16) + 128).to(torch.uint8)
    scales = torch.ones(right.shape[1])
    zeros = torch.zeros(right.shape[1], dtype=torch.int64)
    packed = torch.ops.onednn.qlinear_prepack(right.t().contiguous(), list(activations.shape))

    def product() -> object:
        return torch.ops.onednn.qlinear_pointwise(
            activations, 1.0, 128, packed, scales, zeros, None, 1.0, 0, torch.float32,
            "none", [], "",
        )  # fmt: skip

    return product


def _openvino(numbers: str, shape: Shape) -> Product:
    """A linear layer; in int8, with the rounding of its input, as models have it."""
    import numpy as np
    import openvino
    from openvino import opset13

    rows, inner, columns = shape
    random = np.random.default_rng(0)
    values = random.standard_normal((rows, inner), np.float32)
    given = opset13.parameter([rows, inner], np.float32)
    left: Any = given
    right: Any = opset13.constant(random.standard_normal((columns, inner), np.float32))
    if numbers == "int8":
        left, right = (
            opset13.fake_quantize(each, *(np.float32(end) for end in (-4, 4, -4, 4)), levels)
            for each, levels in ((left, 256), (right, 255))
        )
    model = openvino.Model([opset13.matmul(left, right, False, True)], [given])
    hint = {"bfloat16": "bf16", "float16": "f16"}.get(numbers, "f32")
    options = {
        "INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer([values], share_inputs=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
