"""The figure of `make bench` that says how often noise alone would be called a difference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.benchmarks.bench import by_chance


def test_of_normal_noise_it_is_the_level_of_the_interval() -> None:
    noise = np.random.default_rng(0).normal(size=(4000, 4))
    assert by_chance(np.exp(noise).tolist()) == pytest.approx(0.05, abs=0.01)


def test_rounds_that_differ_in_sign_alone_are_called_a_difference_when_the_signs_agree() -> None:
    # Two of sixteen ways have all four on one side.
    assert by_chance([[1.1, 1.1, 1 / 1.1, 1.1001]]) == pytest.approx(2 / 16)


def test_the_scale_of_a_run_does_not_matter() -> None:
    rounds = [[1.02, 0.99, 1.05, 0.97]]
    larger = [[math.exp(10 * math.log(ratio)) for ratio in rounds[0]]]
    assert by_chance(rounds) == by_chance(larger)
