"""The core's limits: formats that it has, libraries that are here, shapes of the model's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptdq.host.machine import can_pin, usable_cores
from ptdq.measure.cell import measure_limits
from ptdq.measure.limits import SIZE, formats, products
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import Limits

OWN = (16, 64, 96)


def test_formats_that_would_be_emulated_are_none() -> None:
    assert formats(["avx2", "avx512_vnni"]) == []
    assert formats(["avx2", "amx_bf16"]) == ["bfloat16"]
    assert formats(["avx512_bf16", "avx512_fp16"]) == ["bfloat16", "float16"]


@pytest.mark.parametrize("numbers", ["float32", "int8"])
def test_every_route_multiplies(numbers: str) -> None:
    made = dict(products(numbers, OWN))
    assert "torch" in made
    for product in made.values():
        product()


@pytest.mark.slow
def test_limits_of_a_core(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    core = usable_cores()[0] if can_pin() else None
    found = measure_limits(files, core, [OWN, SIZE])
    assert found is not None
    limits = Limits(**found)
    assert {tuple(rate.shape) for rate in limits.rates} == {OWN, SIZE}
    peaks = {"float32": limits.float32_gflops, "int8": limits.int8_gops}
    for numbers, peak in peaks.items():
        rates = [rate.gops for rate in limits.rates if rate.numbers == numbers]
        assert len(rates) == 2
        assert max(rates) == peak > 0
