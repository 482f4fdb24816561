"""Documents that belong together: copies of one text, or rows of one author or conversation.

Such documents say the same thing again: a group of them counts as one document, however many it has.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AS_ONE = "documents of a group count as one"
"""Why there are fewer documents in a reason than in the data."""


def compact(groups: Ints | None, documents: int) -> Ints:
    """Group of each document [N] as 0 to G - 1; without groups each document is one of its own.

    Raises:
        ValueError: not one group for each document.
    """
    if groups is None:
        return np.arange(documents)
    if groups.shape != (documents,):
        raise ValueError(f"groups {groups.shape} must have one entry for each of {documents} documents")
    return np.unique(groups, return_inverse=True)[1].reshape(-1)


def joined(groups: Ints, names: Iterable[str | None]) -> Ints:
    """Groups [N] as 0 to G - 1, with those made one that share a name, directly or by a chain of others.

    Args:
        groups: group of each document [N], such as that of its text.
        names: name of a group of each document [N]; None where it has none.

    Raises:
        ValueError: not one name for each document.
    """
    numbers: dict[str | None, int] = {None: -1}
    named = np.fromiter((numbers.setdefault(name, len(numbers) - 1) for name in names), np.int64)
    if len(named) != len(groups):
        raise ValueError(f"{len(named)} names for {len(groups)} documents")
    first = compact(groups, len(groups))
    has_name = named >= 0
    if not has_name.any():
        return first
    count = int(first.max()) + 1
    size = count + len(numbers) - 1
    edges = first[has_name], count + named[has_name]
    linked = coo_array((np.ones(len(edges[0])), edges), (size, size))
    return compact(connected_components(linked, directed=False)[1].astype(np.int64)[first], len(first))


def sums(values: npt.NDArray[np.generic], groups: Ints | None) -> Floats:
    """Sum of the values [N] of each group [G]; the values themselves where each stands alone."""
    if groups is None:
        return values.astype(np.float64)
    return np.asarray(np.bincount(compact(groups, len(values)), values), np.float64)


def effective(groups: Ints) -> float:
    """How many documents that stand alone the documents [N] are worth: N over ``design_effect``.

    E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998).
    """
    return len(groups) / design_effect(groups)


def design_effect(groups: Ints | None) -> float:
    """How many documents count as one: the mean size of the group that a document lies in.

    L. Kish, Survey Sampling (1965), for documents that are alike within a group (intra-class
    correlation 1), which copies are; for others it errs to the safe side.

    Args:
        groups: group of each document [N], at least one; None where each stands alone.
    """
    if groups is None:
        return 1.0
    sizes = np.unique(groups, return_counts=True)[1].astype(float)
    return float((sizes**2).sum() / sizes.sum())


def sign_flip(net: Ints) -> float:
    """Exact two-sided p-value of paired differences of groups [G], under a change of sign of each.

    Where baseline and variant are alike, each group's difference (documents gained minus lost) is as
    likely to have had the other sign: R. A. Fisher's randomization test (The Design of Experiments,
    1935, § 21) on whole groups, as clustered pairs ask for (N. A. Obuchowski, Statistics in Medicine
    17 (1998); V. L. Durkalski et al., ibid. 22 (2003)), but exact. Copies of all documents change
    nothing. With groups of one it is the test of Q. McNemar, Psychometrika 12 (1947), with the binomial
    distribution instead of the chi-squared approximation, which needs more documents that differ than
    are usual here. Without any the p-value is 1, which proves no equality.
    """
    sizes, counts = np.unique(np.abs(net[net != 0]), return_counts=True)
    chances = np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        chances = np.convolve(chances, _sums(int(size), int(count)))
    middle = len(chances) // 2
    sums = np.arange(len(chances)) - middle
    return min(1.0, float(chances[np.abs(sums) >= abs(int(net.sum()))].sum()))


def _sums(size: int, count: int) -> Floats:
    """Chances of the sums -size * count to size * count of ``count`` random signs times ``size``."""
    chances = np.zeros(2 * size * count + 1)
    chances[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
    return chances
