"""False alarms between runs, where nights are not what the method takes them for; and what it finds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ptdq.statistics.between_runs import LEAST_RUNS, change_between
from ptdq.statistics.multiplicity import ALPHA, holm

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

TRIALS = 1500


def _bimodal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return np.asarray(0.3 * rng.normal(size=shape) - 2.0 * (rng.random(shape) < 0.2))


def _contaminated(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return np.asarray(rng.normal(size=shape) * np.where(rng.random(shape) < 0.1, 5, 1))


def _correlated(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    nights = rng.normal(size=shape)
    for night in range(1, shape[1]):
        nights[:, night] = 0.7 * nights[:, night - 1] + np.sqrt(1 - 0.7**2) * nights[:, night]
    return nights


WORLDS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t with 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, size=shape),
    "t with 2.5": lambda rng, shape: rng.standard_t(2.5, size=shape),
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
    "one night in ten five times as wild": _contaminated,
    "one night in five far slower": _bimodal,
    "skewed to slow nights": lambda rng, shape: -np.exp(rng.normal(size=shape)),
    "nights that follow one another": _correlated,
    # The baseline variant's own luck is in every ratio.
    "shared": lambda rng, shape: (
        rng.standard_t(3, size=(1, shape[1])) + 0.3 * rng.standard_t(3, size=shape)
    ),
}


def alarm(rng: np.random.Generator, draw: Draw, runs: int, rows: int) -> bool:
    """Whether a comparison of identical code says of any of its rows that it changed."""
    nights = draw(rng, (rows, runs + 1))
    p_values = []
    for row in nights:
        estimate = change_between(row[:-1], float(row[-1]))
        assert estimate is not None
        p_values.append(estimate.p_value())
    return bool((holm(np.array(p_values)) <= ALPHA).any())


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("runs", "rows"), [(LEAST_RUNS, 1), (LEAST_RUNS, 6), (20, 26)])
def test_false_alarms_of_identical_code(world: str, runs: int, rows: int) -> None:
    """At most 5 % of comparisons; above it only by the luck of the simulation, once in a thousand."""
    rng = np.random.default_rng([runs, rows, list(WORLDS).index(world)])
    alarms = sum(alarm(rng, WORLDS[world], runs, rows) for _ in range(TRIALS if rows < 20 else 300))
    trials = TRIALS if rows < 20 else 300
    assert alarms <= stats.binom.ppf(0.999, trials, ALPHA)


def test_as_many_degrees_of_freedom_as_runs_would_raise_false_alarms() -> None:
    """The world tells methods apart: Student's t itself fails the test above."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(TRIALS):
        nights = rng.standard_t(3, size=(6, LEAST_RUNS + 1))
        old = nights[:, :-1]
        score = np.abs(nights[:, -1] - old.mean(axis=1))
        score /= old.std(axis=1, ddof=1) * np.sqrt(1 + 1 / LEAST_RUNS)
        alarms += bool((holm(2 * stats.t.sf(score, LEAST_RUNS - 1)) <= ALPHA).any())
    assert alarms / TRIALS > 0.10


def test_a_change_of_many_standard_deviations_is_found() -> None:
    """Nights differ by half a per cent; two variants; ten per cent slower."""
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(400):
        nights = 0.005 * rng.normal(size=(2, 21))
        nights[0, -1] -= 0.10
        estimates = [change_between(row[:-1], float(row[-1])) for row in nights]
        p_values = [estimate.p_value() for estimate in estimates if estimate is not None]
        found += holm(np.array(p_values))[0] <= ALPHA
    assert found / 400 > 0.99


def test_too_few_runs_tell_nothing() -> None:
    assert change_between(np.zeros(LEAST_RUNS - 1), 5.0) is None
    assert change_between(np.arange(LEAST_RUNS, dtype=float), 5.0) is not None
    with pytest.raises(ValueError, match="no run"):
        change_between(np.empty(0), 1.0)


def test_runs_of_other_contents_tell_of_the_variance_alone() -> None:
    others = [np.array([7.0, 8.0, 9.0, 10.0]), np.array([-3.0, -2.0, -1.0, 0.0, 1.0])]
    found = change_between(np.array([1.0]), 3.0, others)
    assert found is not None
    assert found.value == 2.0
    within = (5.0 + 10.0) / 7  # both groups' sums of squares, over their seven degrees of freedom
    assert found.variance == pytest.approx(2 * within)


def test_a_noisy_run_is_not_taken_to_be_as_sure_as_the_others() -> None:
    old = np.linspace(-0.01, 0.01, 10)
    calm, noisy = change_between(old, 0.1), change_between(old, 0.1, error=0.1)
    assert calm is not None
    assert noisy is not None
    assert noisy.standard_error == pytest.approx(np.sqrt(0.1**2 + old.var(ddof=1) / 10))
    assert noisy.p_value() > 0.3 > calm.p_value()
