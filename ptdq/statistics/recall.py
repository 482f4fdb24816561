"""Recall of each class: which was lost for certain, and how much may have been lost at most.

A mean over documents hides a rare class, and a mean over classes hides one of many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .groups import compact, design_effect, sign_flip, sums
from .multiplicity import holm
from .resampling import DEFAULT, Ints, Sampling

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RecallChange:
    """Change of the recall of one class.

    Attributes:
        label: the class.
        support: documents with this label.
        baseline: recall of the baseline.
        variant: recall of the variant.
        gained: documents only the variant got right.
        lost: documents only the baseline got right.
        p_value: exact p-value, two-sided: McNemar's, or of groups (``groups.sign_flip``).
        p_holm: the same, corrected for testing every class of the comparison; for all comparisons of
            a run see ``correct``.
        drop_bound: one-sided upper bound of the drop of recall (``drop_bound``).
    """

    label: int
    support: int
    baseline: float
    variant: float
    gained: int
    lost: int
    p_value: float
    p_holm: float
    drop_bound: float


def recall_changes(
    labels: Ints,
    right: Bools,
    now_right: Bools,
    groups: Ints | None = None,
    *,
    level: float = 0.95,
    sampling: Sampling = DEFAULT,
) -> tuple[RecallChange, ...]:
    """Change of recall of each class that has documents.

    Args:
        labels: true classes [N].
        right: whether the baseline is right [N].
        now_right: whether the variant is right [N].
        groups: group of each document [N]; None where each stands alone.
        level: confidence level of each ``drop_bound``. The largest over the classes (and lengths) is
            a bound of the worst drop at the same level: the worst class's own bound must fail for that
            one to (R. L. Berger, Technometrics 24 (1982): intersection-union).
        sampling: of the bounds.
    """
    each = None if groups is None else compact(groups, len(labels))
    changes = []
    for label in np.unique(labels):
        in_class = labels == label
        old, new = right[in_class], now_right[in_class]
        group = None if each is None else each[in_class]
        gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
        net = sums(new.astype(np.int8) - old.astype(np.int8), group).round().astype(np.int64)
        size = design_effect(group)
        bound = drop_bound(lost / size, gained / size, len(old) / size, level=level, sampling=sampling)
        recalls = float(old.mean()), float(new.mean())
        change = RecallChange(int(label), len(old), *recalls, gained, lost, sign_flip(net), 1.0, bound)
        changes.append(change)
    return correct([changes])[0]


def correct(families: Sequence[Sequence[RecallChange]]) -> list[tuple[RecallChange, ...]]:
    """Correct the p-values (Holm) over everything given: variants, lengths and classes.

    Args:
        families: changes of each comparison.

    Returns:
        The same with ``p_holm`` of the whole family.
    """
    p_values = np.array([change.p_value for changes in families for change in changes], np.float64)
    adjusted = iter(holm(p_values).tolist())
    return [tuple(replace(change, p_holm=next(adjusted)) for change in changes) for changes in families]


def drop_bound(
    lost: float, gained: float, documents: float, *, level: float, sampling: Sampling = DEFAULT
) -> float:
    """One-sided upper bound of a drop of recall from the documents lost and gained.

    The shares of documents lost, gained and unchanged are Dirichlet with one lost document added, as
    in ``resampling``: without gains the bound is that of Clopper and Pearson. Documents in groups count
    as so many fewer (E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998)), hence the floats.

    Args:
        lost: documents that only the baseline got right.
        gained: documents that only the variant got right.
        documents: all of the class, at least ``lost + gained``.
        level: confidence level.
        sampling: draws.
    """
    rng = np.random.default_rng(sampling.seed)
    shapes = np.array([lost + 1, gained, max(0.0, documents - lost - gained)])
    shares = rng.standard_gamma(shapes, (sampling.resamples, 3))
    drops = (shares[:, 0] - shares[:, 1]) / shares.sum(axis=1)
    return float(np.quantile(drops, level))
