"""Log-loss, Brier score and calibration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from ptdq.statistics.confidence import calibration, compare_confidence, largest_difference
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.resampling import Sampling
from tests.support.simulate import Floats, Ints


def drawn(rng: np.random.Generator, documents: int, noise: float) -> tuple[Ints, Floats, Floats]:
    """Labels drawn from a calibrated model, its logits, and those of a variant with noise added."""
    logits = rng.normal(0, 2, (documents, 4))
    labels = (rng.random((documents, 1)) > softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)
    # Heavy tails: a few documents are spoilt.
    return labels, logits, logits + noise * rng.standard_t(3, logits.shape)


def test_scores_are_those_of_scikit_learn() -> None:
    labels, old, new = drawn(np.random.default_rng(14), 500, 1.0)
    found = compare_confidence(labels, old, new)
    for logits, name in ((old, "baseline"), (new, "variant")):
        p = softmax(logits, axis=1)
        assert getattr(found.log_loss, name) == pytest.approx(log_loss(labels, p))
        expected = brier_score_loss(labels, p, labels=np.arange(4), scale_by_half=False)
        assert getattr(found.brier, name) == pytest.approx(expected)
    assert found.log_loss.difference == pytest.approx(found.log_loss.variant - found.log_loss.baseline)


def test_calibration_is_that_of_scikit_learn() -> None:
    labels, logits, _ = drawn(np.random.default_rng(15), 800, 0.0)
    found = calibration(labels, logits)
    p = softmax(logits, axis=1)
    share, mean = calibration_curve(p.argmax(axis=1) == labels, p.max(axis=1), n_bins=10)
    assert found.accuracy == pytest.approx(tuple(share))
    assert found.confidence == pytest.approx(tuple(mean))
    assert sum(found.documents) == 800
    gaps = np.abs(np.array(found.accuracy) - found.confidence)
    assert found.error == pytest.approx((gaps * found.documents).sum() / 800)
    # The labels are drawn from the model: it is calibrated; three times as sure it is not.
    assert found.error < 0.05 < 0.1 < calibration(labels, 3 * logits).error


def test_intervals_cover_with_groups_and_without() -> None:
    """Noise of mean 0 in the logits does harm: the true difference is that of a million documents."""
    rng, runs = np.random.default_rng(16), 300
    truth = compare_confidence(*drawn(rng, 1_000_000, 0.5))
    covered = {"log_loss": 0, "brier": 0, "copied": 0, "naive": 0}
    for _ in range(runs):
        sample = drawn(rng, 150, 0.5)
        found = compare_confidence(*sample)
        for name in ("log_loss", "brier"):
            mine, true = getattr(found, name), getattr(truth, name).difference
            covered[name] += mine.low <= true <= mine.high
        # Some documents are there many times.
        times = np.r_[np.ones(130, np.int64), np.full(20, 8)]
        labels = np.repeat(sample[0], times)
        logits: list[Floats] = [np.repeat(x, times, axis=0) for x in sample[1:]]
        which = np.repeat(np.arange(150), times)
        for name, groups in (("copied", which), ("naive", None)):
            mine = compare_confidence(labels, logits[0], logits[1], groups).brier
            true = truth.brier.difference
            covered[name] += (mine.low or 0) <= true <= (mine.high or 0)
    least = stats.binom.ppf(0.01, runs, 0.95)
    assert covered["log_loss"] >= least - 0.02 * runs  # skewed: up to two per cent less is known
    assert covered["brier"] >= least
    assert covered["copied"] >= least - 0.02 * runs  # twenty groups have most of the weight
    assert covered["naive"] < least - 0.02 * runs


def test_harm_is_seen_with_fewer_documents_than_by_f1() -> None:
    rng, seen = np.random.default_rng(17), {"log-loss": 0, "F1": 0}
    for _ in range(40):
        labels, old, new = drawn(rng, 150, 0.4)
        low = compare_confidence(labels, old, new).log_loss.low
        assert low is not None
        seen["log-loss"] += low > 0
        classes = old.argmax(1), new.argmax(1)
        found = compare_predictions(labels, *classes, sampling=Sampling(1000))
        seen["F1"] += found.weighted_f1.high < 0
    assert seen["log-loss"] > 2 * seen["F1"]


def test_no_interval_of_one_document() -> None:
    found = compare_confidence(np.array([0, 0]), np.eye(2), np.eye(2), np.array([5, 5]))
    assert found.log_loss.low is found.log_loss.high is None


def test_largest_difference() -> None:
    logits = np.zeros((4, 2))
    assert largest_difference(logits, logits - [[0, 0], [0, 3], [1, 0], [0, 0]]) == 3.0
    with pytest.raises(ValueError, match="same"):
        largest_difference(logits, logits[:3])


def test_rejects_what_it_cannot_use() -> None:
    logits, labels = np.zeros((3, 2)), np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="finite"):
        compare_confidence(labels, logits, logits * np.nan)
    with pytest.raises(ValueError, match="alike"):
        compare_confidence(labels, logits, logits[:, :1])
    with pytest.raises(ValueError, match="columns"):
        compare_confidence(labels + 2, logits, logits)
