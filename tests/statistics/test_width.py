"""The width of an interval: what it is, what more rounds do to it, and that one may stop on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptdq.analysis.width import widths
from ptdq.measure.design import design_frame, make_design
from ptdq.statistics.uncertain import Estimate
from ptdq.statistics.width import documents_needed, half_width, rounds_needed, with_rounds
from tests.support.worlds import WORLDS, simulate

SEEN = Estimate(np.log(2), 0.02**2, 0.01**2, 3, 99)
"""Of four rounds of 100 documents."""


def test_half_the_width_is_a_share_of_the_ratio() -> None:
    share = half_width(SEEN)
    assert np.exp([SEEN.low(0.025), SEEN.high(0.025)]) == pytest.approx(
        [2 / (1 + share), 2 * (1 + share)]
    )


def test_more_rounds_take_away_the_variance_between_rounds_alone() -> None:
    expected = with_rounds(SEEN, 4, 400)
    assert expected.round_variance == pytest.approx(SEEN.round_variance / 100)
    assert half_width(expected) == pytest.approx(np.expm1(1.98 * np.hypot(0.01, 0.002)), abs=1e-3)
    narrow = rounds_needed(SEEN, 4, 0.03, step=2)
    assert narrow is not None
    assert narrow % 2 == 0
    assert half_width(with_rounds(SEEN, 4, narrow)) <= 0.03 < half_width(with_rounds(SEEN, 4, narrow - 2))


def test_documents_bound_what_rounds_can_do() -> None:
    assert documents_needed(SEEN, 100, 0.03) is None
    assert rounds_needed(SEEN, 4, 0.01) is None
    more = documents_needed(SEEN, 100, 0.01)
    assert more is not None
    enough = replace(SEEN, round_variance=0.0, document_variance=SEEN.document_variance * 100 / more)
    assert half_width(enough) == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize(
    ("world", "target", "speed", "runs"),
    [
        ("calm", 0.015, 1.0, 120),
        ("all together", 0.08, 2.5, 120),
        pytest.param("calm", 0.02, 2.5, 600, marks=pytest.mark.long),
        pytest.param("bursts of seconds", 0.03, 1.0, 600, marks=pytest.mark.long),
        pytest.param("neighbours to 10 %", 0.03, 2.5, 600, marks=pytest.mark.long),
        pytest.param("all together", 0.08, 1.0, 600, marks=pytest.mark.long),
    ],
)
def test_intervals_cover_where_rounds_are_added_until_they_are_narrow(
    world: str, target: float, speed: float, runs: int
) -> None:
    """Rounds are added two at a time, to a width that some runs have at once and others never."""
    most = 12
    speeds = {"fp32": 1.0, "int8": speed}
    covered, looks = 0, []
    for number in range(runs):
        rng = np.random.default_rng([number, len(world)])
        design = design_frame(make_design(list(speeds), [128], most, 2, number))
        times = simulate(design, WORLDS[world], rng, speeds, documents=40)
        for rounds in range(4, most + 1, 2):
            (found,) = widths(times[times["repeat"] < rounds], "fp32")
            if found.share <= target:
                break
        looks.append(rounds)
        assert found.estimate is not None
        covered += found.estimate.low(0.025) <= np.log(speed) <= found.estimate.high(0.025)
    assert covered / runs >= 0.93 - 2 * np.sqrt(0.95 * 0.05 / runs)
    assert len(set(looks)) > 2  # else nothing was decided by the width
