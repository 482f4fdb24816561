"""Changes of level: how often one is seen where there is none, and whether planted ones are found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ptdq.statistics.change_points import LEAST, change_points, divergences

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

HISTORIES = 200
MOST = 0.05


def correlated(share: float) -> Draw:
    def draw(rng: np.random.Generator, nights: int) -> Floats:
        made = rng.normal(size=nights)
        for night in range(1, nights):
            made[night] = share * made[night - 1] + np.sqrt(1 - share**2) * made[night]
        return made

    return draw


def one_in_ten_wild(rng: np.random.Generator, nights: int) -> Floats:
    return np.asarray(rng.normal(size=nights) * np.where(rng.random(nights) < 0.1, 5, 1))


WORLDS: dict[str, Draw] = {
    "normal": lambda rng, nights: rng.normal(size=nights),
    "t with 2.5 degrees of freedom": lambda rng, nights: rng.standard_t(2.5, size=nights),
    "two modes": lambda rng, nights: 0.3 * rng.normal(size=nights) - 2.0 * (rng.random(nights) < 0.2),
    "one night in ten five times as wild": one_in_ten_wild,
    "skewed to slow nights": lambda rng, nights: -np.exp(rng.normal(size=nights)),
    "neighbouring nights a little alike": correlated(0.2),
}
QUICK = ("normal", "t with 2.5 degrees of freedom", "neighbouring nights a little alike")
ALIKE = correlated(0.4)


def alarms(draw: Draw, nights: int, histories: int) -> int:
    """Stable histories in which any change is seen."""
    count = 0
    for history in range(histories):
        rng = np.random.default_rng([nights, history])
        count += bool(change_points(draw(rng, nights), seed=history))
    return count


def limit(histories: int) -> float:
    """Most alarms: what a true 5 % exceeds in one of a hundred repetitions of the simulation."""
    return float(stats.binom.ppf(0.99, histories, MOST))


@pytest.mark.parametrize("world", QUICK)
def test_false_changes_over_thirty_nights(world: str) -> None:
    assert alarms(WORLDS[world], 30, HISTORIES) <= limit(HISTORIES)


@pytest.mark.long
@pytest.mark.parametrize("nights", [30, 100])
@pytest.mark.parametrize("world", WORLDS)
def test_false_changes_in_every_world(world: str, nights: int) -> None:
    assert alarms(WORLDS[world], nights, 3 * HISTORIES) <= limit(3 * HISTORIES)


def test_nights_that_follow_one_another_are_few_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 5 % where neighbours correlate by 0.4: what can't be told from changes of level is one."""
    found = alarms(ALIKE, 30, 100)
    assert found <= 20
    monkeypatch.setattr("ptdq.statistics.change_points._MOST_ALIKE", 0.0)
    assert alarms(ALIKE, 30, 100) > 1.5 * found


@pytest.mark.parametrize(
    ("step", "night_sd", "nights"), [(0.05, 0.01, 30), (0.10, 0.02, 30), (0.05, 0.01, 100)]
)
def test_a_planted_step_is_found_at_its_night(step: float, night_sd: float, nights: int) -> None:
    """Anywhere but in the first and last sixth; the night is right to within two."""
    found = 0
    for history in range(20):
        rng = np.random.default_rng([nights, history])
        at = int(rng.integers(nights // 6, nights - nights // 6))
        level = night_sd * rng.standard_t(4, size=nights)
        level[at:] -= step
        found += any(abs(change.index - at) <= 2 for change in change_points(level, seed=history))
    assert found >= 0.9 * 20


def test_a_step_and_the_way_back_are_two_changes() -> None:
    rng = np.random.default_rng(3)
    level = 0.01 * rng.normal(size=90)
    level[30:60] -= 0.05
    found = change_points(level)
    assert len(found) == 2
    assert [abs(change.index - at) <= 2 for change, at in zip(found, (30, 60), strict=True)] == [True] * 2
    assert all(change.p_value <= 0.05 for change in found)


def test_the_statistic_is_that_of_matteson_and_james() -> None:
    """Against the definition: twice the mean distance between the sides, less those within them."""
    values = np.random.default_rng(0).normal(size=9)
    for place, cut in enumerate(range(LEAST, 9 - LEAST + 1)):
        left, right = values[:cut], values[cut:]
        between = np.abs(left[:, None] - right).mean()
        within = [
            np.mean([abs(a - b) for i, a in enumerate(side) for b in side[i + 1 :]])
            for side in (left, right)
        ]
        expected = cut * (9 - cut) / 9 * (2 * between - sum(within))
        assert divergences(values)[place] == pytest.approx(expected)


def test_series_without_a_change() -> None:
    assert change_points(np.zeros(50)) == []
    assert change_points(np.arange(2.0 * LEAST - 1)) == []
    assert change_points(np.empty(0)) == []
    with pytest.raises(ValueError, match="finite"):
        change_points(np.array([1.0, np.nan]))


def test_the_seed_decides() -> None:
    level = np.random.default_rng(5).normal(size=40) + np.repeat([0.0, 2.0], 20)
    assert change_points(level, seed=1) == change_points(level, seed=1)
