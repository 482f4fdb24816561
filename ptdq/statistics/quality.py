"""Quality of one cell: metrics of its predictions and whether repeats agree."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class.

    Attributes:
        label: the class.
        precision: precision, 0 where the class was never predicted.
        recall: recall, 0 where no document has the label.
        f1: F1, 0 where undefined.
        support: number of documents with the label.
    """

    label: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Quality:
    """Metrics of one vector of predictions.

    Attributes:
        documents: number of documents.
        accuracy: share of right predictions.
        macro_precision: mean over classes.
        macro_recall: mean over classes.
        macro_f1: mean over classes.
        weighted_precision: mean over classes weighted by support.
        weighted_recall: mean over classes weighted by support.
        weighted_f1: mean over classes weighted by support.
        classes: metrics of each class that occurs in labels or predictions.
    """

    documents: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    classes: tuple[ClassMetrics, ...]


@dataclass(frozen=True)
class Nondeterminism:
    """Documents whose prediction is not the same in every repeat.

    Attributes:
        documents: number of documents.
        repeats: number of repeats compared.
        changed: indices of the documents whose prediction changed.
    """

    documents: int
    repeats: int
    changed: tuple[int, ...]

    @property
    def deterministic(self) -> bool:
        """Whether all repeats agree; with a single repeat nothing was put to the test."""
        return not self.changed


def measure(labels: Ints, predictions: Ints) -> Quality:
    """Metrics of predictions against labels, as scikit-learn defines them.

    Args:
        labels: true classes [N].
        predictions: predicted classes [N].

    Returns:
        The metrics; undefined ones are 0, as in scikit-learn's report.

    Raises:
        ValueError: empty, not vectors or of different lengths.
    """
    check_classes(labels, predictions)
    return _measure(*tally(labels, predictions))


def measure_counts(counts: Ints) -> Quality:
    """The same from the confusion matrix [classes, classes], label by prediction.

    For more documents than fit into memory: their matrices are added up.

    Raises:
        ValueError: no square matrix, a negative count, or no document.
    """
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"counts must be a square matrix, got shape {counts.shape}")
    if (counts < 0).any() or not counts.any():
        raise ValueError("counts must not be negative, and of at least one document")
    labels, predictions = np.nonzero(counts)
    return _measure(labels, predictions, counts[labels, predictions])


def _measure(labels: Ints, predictions: Ints, counts: Ints) -> Quality:
    names = np.union1d(labels, predictions)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=names, sample_weight=counts, zero_division=0.0
    )
    classes = tuple(
        ClassMetrics(int(c), float(p), float(r), float(f), int(s))
        for c, p, r, f, s in zip(names, precision, recall, f1, support, strict=True)
    )

    def weighted(values: npt.NDArray[np.float64]) -> float:
        return float(np.average(values, weights=support))

    return Quality(
        documents=int(counts.sum()),
        accuracy=float(accuracy_score(labels, predictions, sample_weight=counts)),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        weighted_precision=weighted(precision),
        weighted_recall=weighted(recall),
        weighted_f1=weighted(f1),
        classes=classes,
    )


def nondeterminism(predictions: Ints) -> Nondeterminism:
    """Find documents whose prediction differs between repeats.

    Args:
        predictions: predicted classes [R, N] of R repeats.

    Returns:
        The documents.

    Raises:
        ValueError: not two-dimensional or empty.
    """
    if predictions.ndim != 2 or predictions.size == 0:
        raise ValueError(f"predictions must be [R, N] and not empty, got {predictions.shape}")
    changed = np.flatnonzero((predictions != predictions[0]).any(axis=0))
    repeats, documents = predictions.shape
    return Nondeterminism(documents, repeats, tuple(int(x) for x in changed))


def tally(first: Ints, second: Ints) -> tuple[Ints, Ints, Ints]:
    """The different pairs [M] of two vectors of classes [N], first and second, and how many there are.

    What depends on the number of each pair alone is made from these: of a million documents they are few.
    """
    names, coded = joint_codes(first, second)
    codes, counts = np.unique(coded, return_counts=True)
    return names[codes // len(names)], names[codes % len(names)], counts.astype(np.int64)


def joint_codes(*vectors: Ints) -> tuple[Ints, Ints]:
    """Classes [K] of some vectors of classes [N], and one number a document for its class in each [N].

    The number has the places of its classes among all as digits, to the base K, those of the first vector
    in front.
    """
    names = np.unique(np.concatenate([np.unique(vector) for vector in vectors]))
    codes = np.zeros(len(vectors[0]), np.int64)
    for vector in vectors:
        codes *= len(names)
        codes += np.searchsorted(names, vector)
    return names, codes


def check_classes(labels: Ints, *predictions: Ints) -> None:
    """Raise ValueError unless all are vectors of one length with at least one document."""
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels must be a non-empty vector, got shape {labels.shape}")
    for vector in predictions:
        if vector.shape != labels.shape:
            raise ValueError(f"predictions {vector.shape} must match labels {labels.shape}")
