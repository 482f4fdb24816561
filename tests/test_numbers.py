"""How figures are written."""

from __future__ import annotations

from ptdq import numbers


def test_nothing_has_no_minus_sign() -> None:
    assert numbers.change(-0.00001) == "+0.0000"
    assert numbers.change(-0.0012) == "-0.0012"
    assert numbers.interval(-0.00001, 0.00001, 4, sign=True) == "[+0.0000, +0.0000]"
    assert numbers.interval(-0.001, 0.0, 2) == "[0.00, 0.00]"


def test_what_is_missing_is_said() -> None:
    assert numbers.change(None) == numbers.interval(None, 1.0) == numbers.MISSING
