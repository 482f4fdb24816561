"""How calm a run was."""

from __future__ import annotations

import pytest

from ptdq.statistics.conditions import grade


@pytest.mark.parametrize(
    ("flagged", "taken", "expected"),
    [
        (0, 0.0, "calm"),
        (1, 0.0, "calm"),
        (2, 0.0, "disturbed"),
        (0, 0.6, "disturbed"),
        (10, 0.6, "disturbed"),
        (10, 5.0, "unusable"),
        (0, None, "calm"),
        (10, None, "disturbed"),
    ],
)
def test_grades(flagged: int, taken: float | None, expected: str) -> None:
    found = grade([place < flagged for place in range(10)], [taken] * 10, [10.0] * 10)
    assert found.grade == expected
    assert f"{flagged} of 10 cells flagged" in found.sentence
    assert ("is not known" in found.sentence) == (taken is None)


def test_the_share_is_of_all_the_time() -> None:
    """One short cell that lost half of its time is not half of the run."""
    assert grade([True, *[False] * 19], [5.0, *[0.0] * 19], [10.0] * 20).grade == "calm"
    assert "used the cores for 50% of the time" in grade([True], [5.0], [10.0]).sentence


def test_without_cells_nothing_was_disturbed() -> None:
    assert grade([], [], []).grade == "calm"
