"""What is refused before anything is measured, from the parameters and the number of documents."""

from __future__ import annotations

import pytest

from ptdq.errors import UserError
from ptdq.measure.run_request import check_enough
from ptdq.parameters import Parameters, make_parameters


def asked(**values: object) -> Parameters:
    return make_parameters({"model": "m", "data": "d.csv", "max_p95_ms": 50} | values)


def test_a_bound_of_p95_needs_so_many_documents() -> None:
    check_enough(asked(), 59)
    with pytest.raises(UserError, match=r"max_p95_ms: .* at least 59 calls a round, there are 40"):
        check_enough(asked(), 40)


def test_a_batch_is_one_call() -> None:
    check_enough(asked(batch_size=4), 236)
    with pytest.raises(UserError, match="59 calls a round, there are 50"):
        check_enough(asked(batch_size=4), 200)


def test_too_few_rounds_are_refused_before_the_documents_are_read() -> None:
    check_enough(asked(), None)
    with pytest.raises(UserError, match="at least 4 rounds, there are 2"):
        check_enough(asked(repeats=2), None)


def test_without_the_gate_any_number_will_do() -> None:
    check_enough(asked(max_p95_ms=None, repeats=1), 1)
