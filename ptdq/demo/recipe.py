"""How much of everything the demonstration has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Tick = Callable[[], None]


@dataclass(frozen=True)
class Shape:
    """Size of the network and length of its training."""

    hidden: int = 384  # as MiniLM has; int8 gains less on a smaller one
    layers: int = 2
    word_steps: int = 100
    steps: int = 60
    batch: int = 32

    @property
    def ticks(self) -> int:
        """How many times training calls its ``tick``."""
        return self.word_steps + self.steps


@dataclass(frozen=True)
class Recipe:
    """Numbers of documents and the network; the tests make do with less."""

    train_size: int = 4000
    test_size: int = 2000
    shape: Shape = field(default_factory=Shape)
