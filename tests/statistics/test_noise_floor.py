"""The A/A noise floor, the verdict and the estimate of rounds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ptdq.statistics.noise import NoiseFloor, judge, noise_floor, rounds_needed
from ptdq.statistics.ratios import Ratio, speed_up
from tests.support.simulate import SCENARIOS, simulate
from tests.support.trials import trials

RATIO = Ratio(
    point=1.1,
    low=1.02,
    high=1.19,
    level=0.95,
    quantile=0.5,
    per_round=(1.1, 1.1, 1.1, 1.1),
    degrees_of_freedom=2,
    round_sd=0.03,
    document_se=0.002,
    round_weight=0.25,
    core_effects="removed",
    method="",
    refused=None,
)
FLOOR = NoiseFloor(1.05, 1.1, 1.2, 4, 4, True, 0.5)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_identical_code_is_declared_different_at_most_one_time_in_twenty(quantile: float) -> None:
    """Over all kinds of noise: 2,400 runs for the median, standard error 0.4 points."""
    runs = 400 if quantile == 0.5 else 200
    found = [trials(name, quantile=quantile, runs=runs) for name in SCENARIOS]
    assert sum(f.declared for f in found) / sum(f.runs for f in found) <= 0.05
    for each in found:
        assert stats.binomtest(each.declared, each.runs, 0.05, "greater").pvalue > 0.01


def test_a_real_gain_is_seen_through_all_noise() -> None:
    rng = np.random.default_rng(11)
    seen = 0
    for run in range(50):
        made = simulate(SCENARIOS["all together"], rng, documents=110, speed_ups=(1.0, 2.0))
        ratio = speed_up(*made.times, *made.cores, resamples=100, seed=run)
        seen += judge(ratio, noise_floor(made.times, made.cores)) == "faster"
    assert seen >= 45


def test_floor_by_hand() -> None:
    """Rounds 0 and 2 share a core, as do 1 and 3; differences 0.02 and 0.04 on the log scale."""
    times = np.exp([[0.0, 1.0, 0.02, 1.04]])[:, :, None] * np.ones(10) * 1e8
    floor = noise_floor(times, np.array([[0, 1, 0, 1]]))
    typical = np.sqrt((0.02**2 + 0.04**2) / 2)
    assert floor.pairs == 2
    assert floor.same_core
    assert np.log(floor.largest) == pytest.approx(0.04)
    assert np.log(floor.single_round) == pytest.approx(typical)
    assert np.log(floor.floor) == pytest.approx(stats.norm.ppf(0.95) * typical / 2)


def test_floor_includes_cores_where_it_must() -> None:
    times = np.exp([[0.0, 0.3]])[:, :, None] * np.ones(10)
    floor = noise_floor(times, np.array([[0, 1]]))
    assert not floor.same_core
    assert np.log(floor.largest) == pytest.approx(0.3)


def test_identical_times_have_no_noise() -> None:
    assert noise_floor(np.ones((2, 4, 10)), np.zeros((2, 4), dtype=np.int64)).floor == 1.0


@pytest.mark.parametrize(
    ("low", "point", "high", "verdict"),
    [
        (1.02, 1.1, 1.19, "faster"),
        (0.99, 1.1, 1.22, "no detectable difference"),
        (1.01, 1.04, 1.07, "no detectable difference"),
        (0.84, 0.9, 0.96, "slower"),
        (0.92, 0.96, 0.99, "no detectable difference"),
        (1.0, 1.0, 1.0, "no detectable difference"),
        (None, 2.0, None, "no detectable difference"),
    ],
)
def test_verdict(low: float | None, point: float, high: float | None, verdict: str) -> None:
    assert judge(replace(RATIO, low=low, point=point, high=high), FLOOR) == verdict


def test_verdict_needs_the_floor_of_the_same_quantile() -> None:
    with pytest.raises(ValueError, match="quantile"):
        judge(RATIO, replace(FLOOR, quantile=0.95))


def test_rounds_needed_when_settled_or_hopeless() -> None:
    assert rounds_needed(RATIO, 500).more == 0
    open_ratio = replace(RATIO, point=1.01, low=0.95, high=1.07)
    assert rounds_needed(replace(open_ratio, document_se=0.01), 500).more is None
    assert "add documents" in rounds_needed(replace(open_ratio, document_se=0.01), 500).reason
    assert rounds_needed(replace(open_ratio, point=1.0, document_se=0.0), 500).more is None
    refused = replace(RATIO, low=None, high=None, refused="3 rounds")
    assert rounds_needed(refused, 500).reason.endswith("3 rounds")


def test_rounds_needed_grows_as_the_target_comes_nearer() -> None:
    ratio = replace(RATIO, point=1.5, low=1.3, high=1.7, round_sd=0.06)
    wanted = [rounds_needed(ratio, 500, target=t).more for t in (1.35, 1.4, 1.45)]
    assert wanted == sorted(wanted, key=lambda x: x or 0)
    assert wanted[0] is not None
    assert wanted[0] > 0
    assert wanted[0] % 2 == 0


def test_rounds_needed_gives_the_power_it_names() -> None:
    """With the spread known, as many rounds do settle it in about 80 % of tries."""
    effect, spread, tries = 0.02, 0.05, 20_000
    ratio = replace(RATIO, point=float(np.exp(effect)), low=0.9, high=1.2, round_sd=spread)
    ratio = replace(ratio, document_se=0.0)
    more = rounds_needed(ratio, 500, power=0.8).more
    assert more is not None
    rounds = 4 + more
    rng = np.random.default_rng(0)
    error = rng.normal(0, spread / np.sqrt(rounds), tries)
    sd = spread * np.sqrt(rng.chisquare(rounds - 2, tries) / (rounds - 2))
    settled = effect + error > stats.t.ppf(0.975, rounds - 2) * sd / np.sqrt(rounds)
    # Standard error 0.3 points; a step of two rounds among 50 is worth about 2 points.
    assert 0.79 <= settled.mean() <= 0.83


def test_rejects_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match=r"\[V, R, N\]"):
        noise_floor(np.ones((4, 10)), np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="two rounds"):
        noise_floor(np.ones((1, 1, 10)), np.zeros((1, 1), dtype=np.int64))
    with pytest.raises(ValueError, match="positive"):
        noise_floor(np.zeros((1, 2, 10)), np.zeros((1, 2), dtype=np.int64))
    with pytest.raises(ValueError, match="power"):
        rounds_needed(RATIO, 500, power=1.0)
