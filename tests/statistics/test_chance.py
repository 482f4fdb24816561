"""Baselines that predict the labels, and such that guess."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ptdq.statistics.chance import above_chance
from ptdq.statistics.non_inferiority import evidence


def test_random_predictions_are_no_better_than_guessing() -> None:
    """Though they are "non-inferior" to themselves."""
    rng = np.random.default_rng(11)
    labels, guesses = rng.integers(5, size=(2, 4000))
    assert evidence(labels, guesses, guesses, margin=0.98).decide().outcome != "inferior"
    found = above_chance(labels, guesses)
    assert not found.above
    assert found.accuracy == pytest.approx(0.2, abs=0.02)
    assert above_chance(labels, labels).above


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.7, 0.2, 0.05, 0.03, 0.02)])
def test_guessing_passes_no_more_often_than_nominal(shares: tuple[float, ...]) -> None:
    """Guesses with the labels' own shares, of few documents and rare classes."""
    rng, runs = np.random.default_rng(12), 300
    passed = 0
    for run in range(runs):
        labels, guesses = rng.choice(len(shares), (2, 60), p=shares)
        passed += above_chance(labels, guesses, seed=run).above
    assert passed <= stats.binom.ppf(0.99, runs, 0.05)


def test_the_commonest_class_alone_is_a_guess() -> None:
    labels = np.r_[np.zeros(300, np.int64), np.ones(100, np.int64)]
    found = above_chance(labels, np.zeros(400, np.int64))
    assert (found.above, found.accuracy, found.majority) == (False, 0.75, 0.75)


def test_labels_of_another_order_do_not_fit() -> None:
    labels = np.arange(300) % 3
    assert not above_chance(labels, (labels + 1) % 3).above


def test_a_detector_of_a_rare_class_is_better_than_guessing() -> None:
    """8 of 10 found with 8 false alarms: no gain in accuracy, and a good model."""
    labels = np.r_[np.ones(10, np.int64), np.zeros(990, np.int64)]
    predictions = np.zeros(1000, np.int64)
    predictions[2:18] = 1
    found = above_chance(labels, predictions)
    assert found.accuracy == found.majority
    assert found.above


def test_copies_are_no_more_evidence() -> None:
    labels, guesses = np.array([0, 1, 0, 1]), np.array([0, 1, 0, 1])
    assert not above_chance(labels, guesses).above
    copied = np.tile(labels, 25)
    assert above_chance(copied, copied).above
    assert not above_chance(copied, copied, np.tile(np.arange(4), 25)).above
