"""Where a series changes its level: E-divisive, a divisive search by energy distance.

D. S. Matteson and N. A. James, "A nonparametric approach for multiple change point analysis of
multivariate data", Journal of the American Statistical Association 109 (2014), with exponent 1. It is
what nightly benchmarks are watched with: D. Daly et al., "The use of change point detection to identify
software performance regressions in a continuous integration system", ICPE 2020; M. Fleming et al.,
"Hunter", ICPE 2023 (Apache Otava). As there, a segment is cut in two, and no part of it is left out.

The test is by permutation, so it asks nothing of the distribution: nights may have heavy tails or two
modes. Nights that follow one another would give false alarms, since a permutation tears them apart. So
what is permuted is what each night adds to its share in the night before, and that share is put back: a
sieve of order one (P. Buehlmann, Bernoulli 3, 1997). Where neighbouring nights are not alike there is no
such share, and the test is the plain permutation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import signal

Floats = npt.NDArray[np.float64]

LEAST = 3
"""Fewest values of a segment: a change is seen after three nights at the earliest."""

_EXCEEDING = 20
"""Permutations beyond the level that end the test; there are so many over the level of them in all."""
_PLAIN = 0.05
_MOST_ALIKE = 0.9
_CHUNK = 2_000_000  # numbers at once: bounds the memory to some tens of MB


@dataclass(frozen=True)
class ChangePoint:
    """A change of level.

    Attributes:
        index: of the first value after it.
        p_value: of "no further change", by permutation.
    """

    index: int
    p_value: float


def change_points(values: Floats, level: float = 0.05, seed: int = 0) -> list[ChangePoint]:
    """Changes of level, in the order of time.

    Args:
        values: the series [n], in the order of time.
        level: chance of any false alarm in a series that does not change.
        seed: of the permutations.

    Raises:
        ValueError: a value is not finite, or the level is not between 0 and 1.
    """
    if not 0 < level < 1 or not np.isfinite(values).all():
        raise ValueError("values must be finite, and level between 0 and 1")
    rng = np.random.default_rng(seed)
    # What a plain permutation takes for changes is kept out of the correlation of neighbours, or a level
    # that changes and comes back would pass for one.
    plain = _search(values, 0.0, max(level, _PLAIN), rng)
    if not plain:
        return []
    share = _carried_over(np.split(values, sorted(plain)))
    points = _search(values, share, level, rng)
    return [ChangePoint(index, points[index]) for index in sorted(points)]


def _search(values: Floats, share: float, level: float, rng: np.random.Generator) -> dict[int, float]:
    """Index and p-value of each change, where a share of each value is carried over to the next."""
    points: dict[int, float] = {}
    while True:
        cuts = [0, *sorted(points), len(values)]
        parts = [values[a:b] for a, b in pairwise(cuts)]
        curves = [divergences(part[None])[0] for part in parts]
        peaks = [curve.max(initial=0.0) for curve in curves]
        widest = int(np.argmax(peaks))
        if peaks[widest] <= 0:
            return points
        p_value = _p_value(parts, float(peaks[widest]), share, level, rng)
        if p_value > level:
            return points
        points[cuts[widest] + LEAST + int(curves[widest].argmax())] = p_value


def divergences(series: Floats) -> Floats:
    """How far the two parts of a series are apart, for each place where it may be cut.

    Args:
        series: one series a row [..., n].

    Returns:
        The scaled energy distance [..., n - 2 LEAST + 1] of cuts after LEAST to n - LEAST values.
    """
    count = series.shape[-1]
    cuts = np.arange(LEAST, count - LEAST + 1)
    if not len(cuts):
        return np.empty((*series.shape[:-1], 0))
    apart = np.abs(series[..., :, None] - series[..., None, :])
    left = np.cumsum(np.tril(apart).sum(axis=-1), axis=-1)  # sums over pairs of the first t values
    of_each = np.cumsum(apart.sum(axis=-1), axis=-1)
    between = of_each - 2 * left
    right = left[..., -1:] - left - between
    left, between, right = (sums[..., cuts - 1] for sums in (left, between, right))
    a, b = cuts, count - cuts
    within = 2 * left / (a * (a - 1)) + 2 * right / (b * (b - 1))
    return np.asarray((2 * between / (a * b) - within) * a * b / count)


def _p_value(
    parts: list[Floats], seen: float, share: float, level: float, rng: np.random.Generator
) -> float:
    """Of the largest divergence, with the values of each part in an order by chance.

    It ends as soon as it is known to be above the level, which changes no decision.
    """
    permutations = int(np.ceil(_EXCEEDING / level)) - 1
    at_once = max(1, _CHUNK // max(len(part) ** 2 for part in parts))
    done = beyond = 0
    while done < permutations and beyond < _EXCEEDING:
        size = min(at_once, permutations - done, 100 if not done else at_once)
        largest = np.zeros(size)
        for part in parts:
            shuffled = _shuffled(part, share, size, rng)
            largest = np.maximum(largest, divergences(shuffled).max(axis=1, initial=0.0))
        beyond += int((largest >= seen * (1 - 1e-12)).sum())
        done += size
    return (1 + beyond) / (1 + done)


def _shuffled(part: Floats, share: float, size: int, rng: np.random.Generator) -> Floats:
    """Series [size, n] with what each value of a part adds to its share in the one before by chance."""
    centred = part - part.mean()
    added = np.append(centred[:1] * np.sqrt(1 - share**2), centred[1:] - share * centred[:-1])
    drawn = rng.permuted(np.tile(added, (size, 1)), axis=1)
    drawn[:, 0] /= np.sqrt(1 - share**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -share], drawn, axis=1))


def _carried_over(parts: list[Floats]) -> float:
    """Correlation of neighbouring values within parts of one level; 0 at least.

    With the bias of a mean that is taken out of few values (F. H. C. Marriott and J. A. Pope, Biometrika
    41, 1954).
    """
    products = squares = 0.0
    for part in parts:
        left = part - part.mean() if len(part) else part
        products += float(left[1:] @ left[:-1])
        squares += float(left @ left)
    count, means = sum(map(len, parts)), len(parts)
    if not squares or count <= 4 * means:
        return 0.0
    estimate = (count * products / squares + means) / (count - 3 * means)
    return float(np.clip(estimate, 0.0, _MOST_ALIKE))
