"""What stays in float: as much as shows the margin, and no more."""

from __future__ import annotations

from collections.abc import Callable, Container

import numpy as np
import pytest

from ptdq.sensitivity.choice import choose
from ptdq.statistics.non_inferiority import holds_margin


def additive(costs: dict[str, float]) -> Callable[[Container[str]], float]:
    """A score that loses the cost of each name that is not kept."""
    return lambda kept: 1 - sum(cost for name, cost in costs.items() if name not in kept)


def reaches(ratio: Callable[[Container[str]], float], margin: float) -> Callable[[Container[str]], bool]:
    return lambda kept: ratio(kept) >= margin


def test_nothing_is_kept_where_nothing_has_to() -> None:
    choice = choose(["a", "b"], reaches(additive({"a": 0.004, "b": 0.002}), 0.99))
    assert (choice.kept, choice.tried) == ((), 1)


def test_the_most_harmful_are_kept_until_the_margin_holds() -> None:
    costs = {"a": 0.2, "b": 0.05, "c": 0.006, "d": 0.001}
    assert choose(list(costs), reaches(additive(costs), 0.99)).kept == ("a", "b")


def test_what_is_not_needed_in_the_end_is_let_go() -> None:
    # Alone "a" looks worst; with "b" in float it does no harm.
    ratios = {frozenset(): 0.5, frozenset("a"): 0.8, frozenset("ab"): 1.0, frozenset("b"): 1.0}
    assert choose(["a", "b", "c"], lambda kept: ratios[kept] >= 0.99).kept == ("b",)


def test_all_are_kept_where_the_margin_allows_no_loss() -> None:
    assert choose(["a", "b"], reaches(additive({"a": 0.1, "b": 0.1}), 1.0)).kept == ("a", "b")


@pytest.mark.parametrize("margin", [0.5, 0.9, 0.999])
def test_the_margin_holds_for_what_is_chosen(margin: float) -> None:
    ratio = additive(dict.fromkeys("abcdefghij", 0.02))
    choice = choose("abcdefghij", reaches(ratio, margin))
    assert ratio(choice.kept) >= margin
    assert not choice.kept or ratio(choice.kept[:-1]) < margin


def test_the_search_stops_where_the_bound_reaches_the_margin_not_the_point() -> None:
    """Each module that is not kept costs 4 of 1,000 documents: with two the point still holds 0.99."""
    labels = np.arange(1000) % 4
    lost = {name: range(4 * place, 4 * place + 4) for place, name in enumerate("abcd")}

    def predictions(kept: Container[str]) -> np.ndarray:
        found = labels.copy()
        for name, documents in lost.items():
            if name not in kept:
                found[documents] = (found[documents] + 1) % 4
        return found

    def shown(kept: Container[str]) -> bool:
        return holds_margin(labels, labels, predictions(kept), variants=2)

    def share(kept: Container[str]) -> bool:
        return bool((predictions(kept) == labels).mean() >= 0.99)

    by_point, by_bound = choose("abcd", share).kept, choose("abcd", shown).kept
    assert len(by_bound) > len(by_point) == 2
    # What a run then says of either on as many documents.
    assert shown(by_bound)
    assert not shown(by_point)
