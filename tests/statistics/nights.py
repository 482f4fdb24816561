"""Whole nights on a simulated machine: laid out by ``make_design``, run, analysed, and compared.

A night has a machine of its own (how slow its second core is, how much neighbours press, whether
bursts hit it) and a luck of its own for each variant, as where memory lies this time. None of that is in
the model of :mod:`ptdq.statistics.between_runs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ptdq.analysis.timing import analyse
from ptdq.measure.design import design_frame, make_design
from ptdq.statistics.between_runs import change_between
from ptdq.statistics.multiplicity import ALPHA, holm
from tests.support.worlds import CALM, World, simulate

Floats = NDArray[np.float64]
Luck = Callable[[np.random.Generator, int], Floats]

SPEEDS = {"fp32": 1.0, "int8": 2.0, "int4": 2.5}
OLD = "int8@old"


def _modes(rng: np.random.Generator, count: int) -> Floats:
    return np.asarray(0.002 * rng.normal(size=count) - 0.04 * (rng.random(count) < 0.25))


LUCK: dict[str, Luck] = {
    "none": lambda rng, count: np.zeros(count),
    "normal": lambda rng, count: 0.01 * rng.normal(size=count),
    "heavy tails": lambda rng, count: 0.01 * rng.standard_t(2.5, size=count),
    "two modes": _modes,
}


@dataclass(frozen=True)
class Night:
    """What one run says.

    Attributes:
        logs: log speed-ups per document over fp32 [2], of int8 and int4.
        errors: their standard errors [2].
        p_again: of int8 against its old artifact, which was measured beside it and is identical.
    """

    logs: Floats
    errors: Floats
    p_again: float


def machine_of(rng: np.random.Generator) -> World:
    """Of one night."""
    return replace(
        CALM,
        core_gap=float(rng.uniform(0, 0.3)),
        pressure=float(rng.choice([0.0, 0.1, 0.25])),
        seconds=float(rng.choice([0.0, 1.5])),
        bimodal=float(rng.choice([0.0, 0.05])),
        tail_df=3,
        outliers=0.02,
    )


def night(luck: str, seed: int) -> Night:
    """One run; the old artifact shares the luck of the new one, which is the same code."""
    rng = np.random.default_rng(seed)
    drawn = dict(zip(("int8", "int4"), LUCK[luck](rng, 2).tolist(), strict=True))
    speeds = {name: speed * float(np.exp(drawn.get(name, 0))) for name, speed in SPEEDS.items()}
    speeds[OLD] = speeds["int8"]
    design = design_frame(make_design([*speeds], [128], 4, 2, seed))
    times = simulate(design, machine_of(rng), rng, speeds, documents=40)
    own = analyse(times[times["variant"] != OLD], "fp32").comparisons.set_index("variant")
    rows = own.loc[["int8", "int4"]]
    ends = [np.log(rows[f"speedup_total_{end}"].to_numpy(float)) for end in ("low", "high")]
    pair = analyse(times, OLD).comparisons.set_index("variant").loc[["int8"]]
    return Night(
        np.log(rows["speedup_total"].to_numpy(float)),
        (ends[1] - ends[0]) / (2 * 1.96),
        float(pair["speedup_total_p"].to_numpy(float)[0]),
    )


def false_alarm(nights: list[Night]) -> bool:
    """Whether the last night is said to differ from those before, in either variant."""
    *old, new = nights
    p_values = []
    for place in range(2):
        before = np.array([each.logs[place] for each in old])
        found = change_between(before, float(new.logs[place]), error=float(new.errors[place]))
        assert found is not None
        p_values.append(found.p_value())
    return bool((holm(np.array(p_values)) <= ALPHA).any())
