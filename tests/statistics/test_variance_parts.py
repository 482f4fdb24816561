"""The parts of the variance: what was planted in each is found in each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptdq.analysis.timing import analyse
from ptdq.measure.design import design_frame, make_design
from ptdq.statistics.variance_parts import Parts, between_runs, call_variance
from tests.support.worlds import CALM, World, simulate

QUIET = replace(CALM, noise=0.001, cell_sd=0.0001, core_gap=0.0)


def measured(world: World, seed: int, rounds: int = 6, documents: int = 60) -> Parts:
    """Of one simulated run of two variants."""
    speeds = {"fp32": 1.0, "int8": 2.0}
    design = design_frame(make_design([*speeds], [128], rounds, 2, seed))
    times = simulate(design, world, np.random.default_rng(seed), speeds, documents)
    row = analyse(times, "fp32").comparisons.iloc[0]
    return Parts.of(*(float(row[f"{name}_se"]) for name in ("documents", "rounds", "calls", "cores")))


def mean(world: World, runs: int = 8, rounds: int = 6, documents: int = 60) -> Parts:
    """Mean of the parts over simulated runs."""
    found = [measured(world, seed, rounds, documents) for seed in range(runs)]
    return Parts(
        *(
            float(np.mean([getattr(p, n) for p in found]))
            for n in ("documents", "calls", "processes", "cores")
        )
    )


@pytest.mark.parametrize(
    ("world", "largest"),
    [
        (replace(QUIET, interaction=0.1), "documents"),
        (replace(QUIET, noise=0.2), "calls"),
        (replace(QUIET, cell_sd=0.03), "processes"),
    ],
)
def test_the_part_that_was_planted_is_the_largest(world: World, largest: str) -> None:
    found = mean(world)
    assert getattr(found, largest) > 0.7 * found.total


def test_documents_and_processes_have_their_size() -> None:
    found = mean(replace(QUIET, interaction=0.1, cell_sd=0.02), runs=20)
    # Documents weigh by their times, whose spread makes the mean less certain than equal ones would.
    weights = np.exp(CALM.document_sd**2)
    assert found.documents == pytest.approx(2 * 0.1**2 * weights / 60, rel=0.4)
    assert found.processes == pytest.approx(2 * 0.02**2 / 6, rel=0.4)


def test_what_more_documents_and_rounds_would_do_is_what_they_do() -> None:
    world = replace(QUIET, interaction=0.05, cell_sd=0.01, noise=0.1)
    now = mean(world, runs=12)
    for asked in ({"documents": 2}, {"rounds": 2}):
        then = mean(world, 12, 6 * asked.get("rounds", 1), 60 * asked.get("documents", 1))
        assert np.sqrt(then.total / now.total) == pytest.approx(now.narrower(**asked), rel=0.2)


def test_parts_add_up() -> None:
    parts = Parts.of(0.03, 0.05, 0.02, 0.01)
    assert parts.total == pytest.approx(0.03**2 + 0.05**2)
    assert sum(parts.shares) == pytest.approx(1)
    assert parts.processes == pytest.approx(0.05**2 - 0.02**2 - 0.01**2)
    assert parts.narrower() == 1
    assert parts.narrower(rounds=1e9) == pytest.approx(np.sqrt(parts.shares[0]), rel=1e-3)
    assert Parts.of(0.0, 0.0, 0.0, 0.0).shares == (0, 0, 0, 0)
    # Of estimates: calls that came out larger than all of the rounds.
    assert Parts.of(0.0, 0.01, 0.02, 0.01).processes == 0


def test_the_variance_of_calls_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    found = [
        call_variance(rng.normal(0, 1, (1, 30)) + rng.normal(0, 2, (5, 1)) + rng.normal(0, 0.5, (5, 30)))
        for _ in range(400)
    ]
    assert np.mean(found) == pytest.approx(0.5**2 / 30, rel=0.05)
    assert np.isnan(call_variance(np.ones((1, 30))))


def test_runs_differ_by_what_was_planted_and_not_by_their_own_errors() -> None:
    rng = np.random.default_rng(1)
    errors = [np.full(400, 0.01), np.full(300, 0.03)]
    alike = [0.5 + rng.normal(0, error) for error in errors]
    moved = [group + rng.normal(0, 0.02, len(group)) for group in alike]
    assert between_runs(moved, errors) == pytest.approx(0.02, rel=0.15)
    assert between_runs(alike, errors) == pytest.approx(0, abs=0.01)
    assert between_runs([np.array([1.0]), np.array([2.0])], [np.zeros(1), np.zeros(1)]) is None
