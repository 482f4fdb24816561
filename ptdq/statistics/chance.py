"""Does the baseline predict these labels at all, or do model and labels not fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .groups import compact
from .multiplicity import ALPHA
from .quality import Ints, check_classes

TABLES = 1999
"""Random tables of labels by predictions: the smallest p-value is 1 / 2000."""

_CHUNK = 1_000_000  # entries of tables drawn at once


@dataclass(frozen=True)
class Chance:
    """How predictions compare with guessing.

    Attributes:
        accuracy: share of right predictions.
        majority: share of right predictions of the commonest class, always predicted.
        p_value: one-sided, of the hypothesis that predictions have nothing to do with labels.
    """

    accuracy: float
    majority: float
    p_value: float

    @property
    def above(self) -> bool:
        """Whether the predictions are better than guessing."""
        return self.p_value <= ALPHA


def above_chance(labels: Ints, predictions: Ints, groups: Ints | None = None, *, seed: int = 0) -> Chance:
    """Test whether predictions agree with labels more often than guessing would.

    Any guess that does not look at the document, the commonest class included, agrees with the labels as
    often as its shares of classes make it: the agreement that Cohen's kappa takes off (J. Cohen,
    Educational and Psychological Measurement 20 (1960)). The test is exact: tables with the observed
    numbers of each label and each prediction are drawn (W. M. Patefield, Applied Statistics 30 (1981)),
    and the agreement must lie above theirs. Accuracy against the commonest class's share alone would
    reject a good detector of a class of one per cent, which gains no accuracy.

    Args:
        labels: true classes [N].
        predictions: predicted classes [N].
        groups: group of each document [N]; the first document of each group is tested.
        seed: of the tables.

    Raises:
        ValueError: shapes don't fit, or no documents.
    """
    check_classes(labels, predictions)
    own, guessed = labels, predictions
    if groups is not None:
        first = np.unique(compact(groups, len(labels)), return_index=True)[1]
        own, guessed = labels[first], predictions[first]
    names = np.union1d(np.unique(own), np.unique(guessed))
    label, predicted = np.searchsorted(names, own), np.searchsorted(names, guessed)
    classes = len(names)
    drawn = stats.random_table(
        np.bincount(label, minlength=classes), np.bincount(predicted, minlength=classes)
    )
    rng, agreed = np.random.default_rng(seed), int((label == predicted).sum())
    as_many, size = 0, max(1, _CHUNK // classes**2)
    for start in range(0, TABLES, size):
        tables = drawn.rvs(size=min(size, TABLES - start), random_state=rng)
        as_many += int((np.trace(tables, axis1=-2, axis2=-1) >= agreed).sum())
    return Chance(
        accuracy=float((labels == predictions).mean()),
        majority=float(np.unique(labels, return_counts=True)[1].max() / len(labels)),
        p_value=(1 + as_many) / (1 + TABLES),
    )
