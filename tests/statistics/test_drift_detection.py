"""Warm-up, steps, trends and confounded comparisons."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ptdq.statistics.confounding import confounded
from ptdq.statistics.drift import find_step, find_trend, normalized, warm_up
from tests.support.simulate import ALL, CLEAN, TAILS, Floats, simulate

REFERENCE = Path(__file__).parents[3] / "shared" / "data" / "reference_times.csv"


def heavy(rng: np.random.Generator, level: Floats) -> Floats:
    """Times around a level with heavy tails and one document in thirty far too slow."""
    noise = 0.06 * rng.standard_t(2.5, len(level))
    noise += (rng.random(len(level)) < 0.03) * rng.exponential(0.5, len(level))
    return np.asarray(level * np.exp(noise))


def reference_shape(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Like the reference experiment: the clock drops after 19 documents, for float32 only."""
    fp32 = np.where(np.arange(495) < 19, 209.0, 355.0)
    return heavy(rng, fp32), heavy(rng, np.full(495, 213.0))


def test_no_false_alarms_on_a_steady_heavy_tailed_series() -> None:
    """Each check alarms in at most 5 % of steady series (200 runs, standard error 1.5)."""
    rng, runs = np.random.default_rng(17), 200
    alarms = np.zeros(4)
    for run in range(runs):
        made = simulate(TAILS, rng, rounds=1, documents=120, fade=0.3)
        times, tokens = made.times[0, 0], made.tokens
        alarms += [
            warm_up(times, tokens, seed=run).documents > 0,
            find_step(times, tokens, seed=run).found,
            find_trend(times, tokens, last=0.5).found,
            confounded(made.times[0], made.times[1], tokens, seed=run).confounded,
        ]
    assert (alarms / runs <= 0.05).all(), alarms


def test_the_false_alarm_rate_is_the_one_asked_for() -> None:
    """Without a least change the permutation test is exact: 10 % asked, 10 % found."""
    rng, runs = np.random.default_rng(18), 300
    found = sum(
        find_step(heavy(rng, np.ones(60)), alpha=0.1, min_change=0.0, seed=run).found
        for run in range(runs)
    )
    assert stats.binomtest(int(found), runs, 0.1).pvalue > 0.01


def test_step_is_located_and_sized() -> None:
    rng = np.random.default_rng(1)
    level = np.where(np.arange(400) < 150, 100.0, 130.0)
    step = find_step(heavy(rng, level))
    assert step.found
    assert abs(step.location - 150) <= 5
    assert step.ratio == pytest.approx(1.3, abs=0.03)


def test_step_is_found_under_documents_of_all_lengths() -> None:
    """Lengths spread times over a factor of ten; only with the tokens does the step show."""
    rng = np.random.default_rng(2)
    made = simulate(CLEAN, rng, rounds=1, documents=300)
    times = made.times[0, 0] * np.where(np.arange(300) < 200, 1.0, 1.12)
    step = find_step(times, made.tokens)
    assert step.found
    assert abs(step.location - 200) <= 3
    assert step.ratio == pytest.approx(1.12, abs=0.02)
    assert not find_step(times).found


def test_a_burst_is_not_a_step() -> None:
    rng = np.random.default_rng(3)
    level = np.ones(400)
    level[180:210] = 1.5
    assert not find_step(heavy(rng, level)).found


def test_a_step_too_small_to_matter_is_not_found() -> None:
    rng = np.random.default_rng(4)
    level = np.where(np.arange(4000) < 2000, 1.0, 1.02)
    times = level * np.exp(rng.normal(0, 0.03, 4000))
    assert find_step(times).p_value < 0.01
    assert not find_step(times).found
    assert find_step(times, min_change=0.01).found


@pytest.mark.parametrize(("slow", "factor"), [(1, 6.0), (3, 2.0), (25, 1.3), (19, 0.6)])
def test_warm_up_is_counted(slow: int, factor: float) -> None:
    rng = np.random.default_rng(5)
    made = simulate(replace(CLEAN, noise=0.03), rng, rounds=1, documents=300)
    times = made.times[0, 0] * np.where(np.arange(300) < slow, factor, 1.0)
    found = warm_up(times, made.tokens)
    # The model of length is good to a few per cent, which can move the end by one document.
    assert abs(found.documents - slow) <= 1
    assert found.ratio == pytest.approx(factor, rel=0.05)


def test_no_warm_up_has_ratio_one() -> None:
    times = heavy(np.random.default_rng(8), np.ones(200))
    assert (warm_up(times).documents, warm_up(times).ratio) == (0, 1.0)


def test_still_drifting_at_the_end() -> None:
    rng = np.random.default_rng(6)
    place = np.arange(300) / 299
    rising = find_trend(heavy(rng, np.exp(0.3 * place)), last=0.5)
    assert rising.found
    assert rising.ratio == pytest.approx(np.exp(0.15), abs=0.05)
    settled = np.exp(-0.5 * np.minimum(place * 3, 1.0))
    assert not find_trend(heavy(rng, settled), last=0.5).found
    assert find_trend(heavy(rng, settled)).found


def test_constant_times_alarm_nowhere() -> None:
    times = np.full(100, 7.0)
    assert warm_up(times).documents == 0
    assert not find_step(times).found
    assert not find_trend(times).found
    assert not confounded(times, times).confounded


def test_normalized_takes_length_out() -> None:
    tokens = np.random.default_rng(7).integers(16, 384, 500)
    left = normalized((20.0 + 1.3 * tokens.astype(np.float64)) * 1e6, tokens)
    # 20 groups of 18 tokens each: a straight line between their medians is within a few per cent
    # except among the shortest, where the curve bends most.
    assert np.quantile(np.abs(left), 0.9) < 0.03


def test_shape_of_the_reference_experiment_is_confounded() -> None:
    rng = np.random.default_rng(9)
    errors = []
    for _ in range(20):
        fp32, int8 = reference_shape(rng)
        found = confounded(fp32, int8)
        assert found.confounded
        errors.append(abs(found.steps[0].location - 19))
        assert found.steps[0].ratio == pytest.approx(209 / 355, rel=0.1)
        assert "not shared" in found.reason
    assert np.median(errors) <= 1


def test_a_shared_step_does_not_confound() -> None:
    rng = np.random.default_rng(10)
    level = np.where(np.arange(495) < 19, 209.0, 355.0)
    assert not confounded(heavy(rng, level), heavy(rng, level / 2)).confounded


def test_only_most_rounds_in_one_direction_confound() -> None:
    rng = np.random.default_rng(12)
    made = simulate(CLEAN, rng, rounds=4, documents=200)
    base, variant = made.times.copy()
    base[:2, 60:] *= 1.3
    half = confounded(base, variant, made.tokens)
    assert (half.affected, half.confounded) == ((0, 1), False)
    variant[2, 60:] *= 1.3
    opposed = confounded(base, variant, made.tokens)
    assert (opposed.affected, opposed.confounded) == ((0, 1, 2), False)
    base[3, 60:] *= 1.3
    most = confounded(base, variant, made.tokens)
    assert (most.affected, most.confounded) == ((0, 1, 2, 3), True)


def test_a_slow_start_does_not_confound_and_a_fast_start_does() -> None:
    """A burst at the start leaves the rest as it was; a clock that drops slows the rest."""
    rng = np.random.default_rng(14)
    made = simulate(CLEAN, rng, rounds=1, documents=400)
    base, variant = made.times[:, 0].copy()
    slow, fast = base.copy(), base.copy()
    slow[:20] *= 1.6
    fast[20:] *= 1.6
    assert not confounded(slow, variant, made.tokens).confounded
    assert confounded(fast, variant, made.tokens).confounded


def test_bursts_rarely_confound() -> None:
    """Ordinary disturbance (drift, bursts, heavy tails) is for the interval to count."""
    rng, runs = np.random.default_rng(13), 40
    found = 0
    for run in range(runs):
        made = simulate(ALL, rng, documents=120)
        found += confounded(made.times[0], made.times[1], made.tokens, seed=run).confounded
    assert found <= 2


@pytest.mark.skipif(not REFERENCE.exists(), reason=f"needs {REFERENCE}")
def test_the_reference_experiment_itself_is_confounded() -> None:
    with REFERENCE.open() as file:
        rows = list(csv.DictReader(file))
    fp32, int8 = (
        np.array([float(row["ms"]) for row in rows if row["variant"] == name])
        for name in ("fp32", "int8")
    )
    assert confounded(fp32, int8).confounded
    step = find_step(fp32)
    assert step.found
    assert 19 <= step.location <= 20
    assert step.ratio > 1.5
    assert warm_up(fp32).documents == 19
    # int8 drifts by a few per cent, but has nothing like that step.
    assert abs(np.log(find_step(int8).ratio)) < np.log(1.15)


@pytest.mark.parametrize(
    ("times", "tokens"),
    [
        (np.ones(5), None),
        (np.ones((3, 30)), None),
        (np.zeros(30), None),
        (np.ones(30), np.ones(29)),
    ],
)
def test_rejects_what_it_cannot_use(times: Floats, tokens: Floats | None) -> None:
    for check in (warm_up, find_step, find_trend):
        with pytest.raises(ValueError, match="times"):
            check(times, tokens)


def test_confounded_rejects_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="shapes"):
        confounded(np.ones(30), np.ones(31))
    with pytest.raises(ValueError, match="positive"):
        confounded(np.ones(30), np.zeros(30))
    with pytest.raises(ValueError, match="last"):
        find_trend(np.ones(30), last=0.5)
