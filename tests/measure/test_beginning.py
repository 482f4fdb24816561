"""From parameters to a design."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ptdq.inputs.load import Loaded
from ptdq.measure.beginning import lay_out
from ptdq.measure.design import Design
from ptdq.parameters import make_parameters

VARIANTS = ["fp32", "int8-dynamic"]


def laid_out(documents: int, random_weights: bool = False, **asked: Any) -> Design:
    loaded = SimpleNamespace(
        documents=SimpleNamespace(count=documents),
        checkpoint=SimpleNamespace(random_weights=random_weights),
    )
    parameters = make_parameters({"model": "m", "data": "d.csv", "max_length": [16], **asked})
    return lay_out(parameters, VARIANTS, [0, 1], cast(Loaded, loaded), None, lambda note: None)


@pytest.mark.parametrize(
    ("timing_documents", "random_weights", "cells"),
    [(None, False, 0), (40, False, 0), (100, False, 0), (39, False, 2), (39, True, 0)],
)
def test_quality_has_cells_of_its_own_where_time_is_taken_on_fewer(
    timing_documents: int | None, random_weights: bool, cells: int
) -> None:
    design = laid_out(40, random_weights, timing_documents=timing_documents)
    assert len(design.judged) == cells
