"""The core's own limit: ``python -m ptdq.measure.limits request.json``, about two seconds.

Peak rates of matrix products on one pinned core, in float32 and in int8, as the libraries of torch
reach them: what a variant's share of the limit is taken against. A rate, not a specification: it
moves with the clock like everything else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import pin

SIZE = (512, 1024, 1024)
SECONDS = 0.7


def main(arguments: list[str]) -> int:
    """Measure both peaks and write them as JSON."""
    die_with_parent()
    request, _ = read_request(arguments)
    if request["core"] is not None:
        pin(request["core"])
    import torch

    torch.set_num_threads(1)
    limits = {
        "float32_gflops": rate(float32_product()),
        "int8_gops": max(rate(product) for product in int8_products()),
    }
    Path(request["result"]).write_text(json.dumps(limits))
    return 0


def rate(product: Callable[[], object], seconds: float = SECONDS) -> float:
    """Billions of operations (multiplications and additions) per second at the best call."""
    rows, inner, columns = SIZE
    product()
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - start)
    return 2 * rows * inner * columns / best / 1e9


def float32_product() -> Callable[[], object]:
    """A product of two float32 matrices."""
    import torch

    rows, inner, columns = SIZE
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    out = torch.empty(rows, columns)
    return lambda: torch.mm(a, b, out=out)


def int8_products() -> list[Callable[[], object]]:
    """Products of int8 matrices, by every route that this build of torch has for them."""
    import torch

    rows, inner, columns = SIZE
    products: list[Callable[[], object]] = []
    left = torch.randint(-100, 100, (rows, inner), dtype=torch.int8)
    right = torch.randint(-100, 100, (inner, columns), dtype=torch.int8)
    candidates: list[Callable[[], Callable[[], object]]] = [
        lambda: lambda: torch._int_mm(left, right),
        lambda: _onednn_product(left, right),
    ]
    for candidate in candidates:
        try:
            product = candidate()
            product()
        except (RuntimeError, AttributeError, NotImplementedError):
            continue  # this build or CPU lacks the route
        products.append(product)
    return products


def _onednn_product(left: object, right: object) -> Callable[[], object]:
    import torch

    assert isinstance(left, torch.Tensor)
    assert isinstance(right, torch.Tensor)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
