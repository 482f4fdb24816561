"""What has to stay in float so that a share of the float model's score is kept for certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What stays in float.

    Attributes:
        kept: names, most harmful first; empty where everything may be quantized.
        tried: sets of names that were evaluated.
    """

    kept: tuple[str, ...]
    tried: int


def choose(by_harm: Sequence[str], shown: Callable[[frozenset[str]], bool]) -> Choice:
    """Keep the most harmful in float until the margin is shown, then let go of what is not needed.

    Harm is taken of each name alone, and the harm of several does not add up: one that came early
    may be no trouble once a later one is kept. Hence the second pass, in which each kept name is tried
    in int8 again, least harmful first.

    Args:
        by_harm: all names, most harmful first.
        shown: whether the documents show that the margin is kept with these names in float.
    """
    tried = 0

    def holds(names: Sequence[str]) -> bool:
        nonlocal tried
        tried += 1
        return shown(frozenset(names))

    kept: list[str] = []
    left = list(by_harm)
    while not holds(kept) and left:
        kept.append(left.pop(0))
    # Not the last one: without it the margin was not shown a moment ago.
    for name in kept[-2::-1]:
        fewer = [other for other in kept if other != name]
        if holds(fewer):
            kept = fewer
    return Choice(tuple(kept), tried)
