"""A model of noisy benchmark runs whose true answer is known, and one of predictions.

The logarithm of a document's time is a sum of parts that a test can turn on one by one::

    log t[v, r, d] = log base_v(tokens[d])      document times, token dependent
                   + round[r]                   whole-round effect, shared by all variants
                   + cell[v, r]                 effect of one process (memory layout, neighbours)
                   + core[core(v, r)]           one core slower than the other
                   + drift(clock)               trend and slow random walk over the wall clock
                   + burst(core, clock)         seconds of slowness on one core
                   + noise[v, r, d]             per-call noise, optionally heavy tailed

The design is the tool's own: variant ``v`` of round ``r`` runs on core ``(v + r) mod C``, all
cells use the same documents in the same order, and variants alternate which goes first.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scenario:
    """Sizes of the noise parts; all on the natural-log scale unless said otherwise."""

    noise: float = 0.03
    tail_df: float = np.inf
    outlier_rate: float = 0.0
    round_sd: float = 0.0
    cell_sd: float = 0.0
    core_gap: float = 0.0
    drift: float = 0.0
    bursts_per_cell: float = 0.0
    burst_share: float = 0.06


CLEAN = Scenario()
DRIFT = replace(CLEAN, drift=0.15)
ROUNDS = replace(CLEAN, round_sd=0.05, cell_sd=0.02)
CORES = replace(CLEAN, core_gap=float(np.log(1.3)), cell_sd=0.01)
TAILS = replace(CLEAN, noise=0.04, tail_df=2.5, outlier_rate=0.03)
ALL = Scenario(
    noise=0.04,
    tail_df=2.5,
    outlier_rate=0.03,
    round_sd=0.05,
    cell_sd=0.02,
    core_gap=float(np.log(1.3)),
    drift=0.15,
    bursts_per_cell=1.0,
)
SCENARIOS = {
    "clean": CLEAN,
    "drift": DRIFT,
    "round effects": ROUNDS,
    "core effects": CORES,
    "heavy tails": TAILS,
    "all together": ALL,
}


@dataclass(frozen=True)
class Run:
    """Simulated times in ns [V, R, N], the core of each cell [V, R] and tokens [N]."""

    times: Floats
    cores: Ints
    tokens: Ints


def draw_tokens(rng: np.random.Generator, documents: int, longest: int = 384) -> Ints:
    """Token counts of news-like documents, truncated at the maximum length."""
    return np.clip(rng.lognormal(5.3, 0.6, documents), 16, longest).astype(np.int64)


def base_times(tokens: Ints, speed_up: float, fade: float) -> Floats:
    """Noise-free times [N] in ns of a variant.

    ``fade`` makes the gain shrink with length, as measured for int8: the speed-up is
    ``speed_up * (tokens / 200) ** -fade``; 0 gives every document the same speed-up.
    """
    float_time = (15.0 + 1.3 * tokens) * 1e6
    return np.asarray(float_time / (speed_up * (tokens / 200.0) ** -fade))


def call_noise(rng: np.random.Generator, scenario: Scenario, shape: tuple[int, ...]) -> Floats:
    """Per-call noise on the log scale."""
    if np.isinf(scenario.tail_df):
        noise = rng.normal(size=shape)
    else:
        noise = rng.standard_t(scenario.tail_df, size=shape)
    noise *= scenario.noise
    if scenario.outlier_rate:
        noise += (rng.random(shape) < scenario.outlier_rate) * rng.exponential(0.5, shape)
    return np.asarray(noise)


def wander(rng: np.random.Generator, clock: Floats, size: float) -> Floats:
    """A random walk over the wall clock (0 to 1), sd ``size`` at its end."""
    grid = np.linspace(0.0, 1.0, 1001)
    walk = np.concatenate([[0.0], np.cumsum(rng.normal(0.0, size / np.sqrt(1000), 1000))])
    return np.asarray(np.interp(clock, grid, walk), np.float64)


def simulate(
    scenario: Scenario,
    rng: np.random.Generator,
    *,
    rounds: int = 4,
    documents: int = 150,
    speed_ups: tuple[float, ...] = (1.0, 2.0),
    fade: float = 0.0,
    core_count: int = 2,
) -> Run:
    """One simulated run; ``speed_ups`` gives one entry for each variant, the baseline first."""
    variants = len(speed_ups)
    tokens = draw_tokens(rng, documents)
    base = np.stack([base_times(tokens, s, fade if v else 0.0) for v, s in enumerate(speed_ups)])
    v_index, r_index = np.meshgrid(np.arange(variants), np.arange(rounds), indexing="ij")
    cores = (v_index + r_index) % core_count

    logs = np.log(base)[:, None, :] + call_noise(rng, scenario, (variants, rounds, documents))
    logs += rng.normal(0.0, scenario.round_sd, rounds)[None, :, None]
    logs += rng.normal(0.0, scenario.cell_sd, (variants, rounds))[:, :, None]
    logs += (scenario.core_gap * (cores == rng.integers(core_count)))[:, :, None]

    # Cells follow one another on the wall clock, the order reversed in every other round.
    place = np.where(r_index % 2 == 0, v_index, variants - 1 - v_index) + r_index * variants
    clock = (place[:, :, None] + np.arange(documents) / documents) / (variants * rounds)
    if scenario.drift:
        logs += rng.normal(0.0, scenario.drift) * clock + wander(rng, clock, scenario.drift)

    if scenario.bursts_per_cell:
        width = max(1, round(scenario.burst_share * documents))
        for cell in np.ndindex(variants, rounds):
            for _ in range(rng.poisson(scenario.bursts_per_cell)):
                start = rng.integers(1 - width, documents)
                stop = start + width
                logs[cell][max(start, 0) : stop] += np.log1p(rng.uniform(0.2, 0.6))
    return Run(np.exp(logs), cores.astype(np.int64), tokens)


def draw_predictions(
    rng: np.random.Generator, documents: int, classes: int, right: float, lost: float, gained: float
) -> tuple[Ints, Ints, Ints]:
    """Labels and two predictions with given rates of lost and gained documents."""
    labels = rng.integers(classes, size=documents)
    wrong = (labels + rng.integers(1, classes, documents)) % classes
    good, chance = rng.random(documents) < right, rng.random(documents)
    baseline = np.where(good, labels, wrong)
    variant = np.where(good & (chance < lost / right), wrong, baseline)
    fixed = ~good & (chance < gained / max(1 - right, 1e-9))
    return labels, baseline, np.where(fixed, labels, variant)
