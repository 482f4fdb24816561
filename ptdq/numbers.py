"""How figures are written, everywhere in the report and in the terminal alike."""

from __future__ import annotations

import math

MISSING = "–"


def known(value: float | None) -> float | None:
    """``value``, or None for what is no number (null, NaN)."""
    return None if value is None or math.isnan(value) else value


def ms(value: float | None) -> str:
    """Milliseconds, without the unit: about four digits."""
    if value is None:
        return MISSING
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def ratio(value: float | None) -> str:
    """``2.41x``."""
    return MISSING if value is None else f"{value:.2f}x"


def interval(low: float | None, high: float | None, digits: int = 2, sign: bool = False) -> str:
    """``[2.30, 2.52]``, or the missing sign where either end is."""
    if low is None or high is None:
        return MISSING
    plus = "+" if sign else ""
    return f"[{low:{plus}z.{digits}f}, {high:{plus}z.{digits}f}]"


def score(value: float | None) -> str:
    """F1, accuracy, kappa: four digits, as scikit-learn's report with ``digits=4``."""
    return MISSING if value is None else f"{value:.4f}"


def change(value: float | None) -> str:
    """A signed difference of scores."""
    return MISSING if value is None else f"{value:+z.4f}"


def probability(value: float | None) -> str:
    """A p-value."""
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share, as per cent."""
    return MISSING if value is None else f"{100 * value:.{digits}f} %"


def megabytes(value: float | None) -> str:
    """MB of 1e6 bytes, from MB."""
    if value is None:
        return MISSING
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def seconds(value: float | None) -> str:
    """Seconds, without the unit."""
    return MISSING if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def count(value: float | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Documents per second: three digits."""
    if value is None:
        return MISSING
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
