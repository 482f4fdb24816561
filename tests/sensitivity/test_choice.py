"""What stays in float: as much as the margin demands, and no more."""

from __future__ import annotations

from collections.abc import Callable, Container

import pytest

from ptdq.sensitivity.choice import choose


def additive(costs: dict[str, float]) -> Callable[[Container[str]], float]:
    """A score that loses the cost of each name that is not kept."""
    return lambda kept: 1 - sum(cost for name, cost in costs.items() if name not in kept)


def test_nothing_is_kept_where_nothing_has_to() -> None:
    choice = choose(["a", "b"], additive({"a": 0.004, "b": 0.002}), 0.99)
    assert (choice.kept, choice.tried) == ((), 1)


def test_the_most_harmful_are_kept_until_the_margin_holds() -> None:
    costs = {"a": 0.2, "b": 0.05, "c": 0.006, "d": 0.001}
    assert choose(list(costs), additive(costs), 0.99).kept == ("a", "b")


def test_what_is_not_needed_in_the_end_is_let_go() -> None:
    # Alone "a" looks worst; with "b" in float it does no harm.
    ratios = {frozenset(): 0.5, frozenset("a"): 0.8, frozenset("ab"): 1.0, frozenset("b"): 1.0}
    assert choose(["a", "b", "c"], lambda kept: ratios[kept], 0.99).kept == ("b",)


def test_all_are_kept_where_the_margin_allows_no_loss() -> None:
    assert choose(["a", "b"], additive({"a": 0.1, "b": 0.1}), 1.0).kept == ("a", "b")


@pytest.mark.parametrize("margin", [0.5, 0.9, 0.999])
def test_the_margin_holds_for_what_is_chosen(margin: float) -> None:
    ratio = additive(dict.fromkeys("abcdefghij", 0.02))
    choice = choose("abcdefghij", ratio, margin)
    assert ratio(choice.kept) >= margin
    assert not choice.kept or ratio(choice.kept[:-1]) < margin
