"""Large values that tasks hand to each other."""

from __future__ import annotations

from typing import Generic, TypeVar

from ptdq.host.memory import give_back

T = TypeVar("T")


class Handed(Generic[T]):
    """A value that is let go when nobody needs it any more.

    Prefect keeps what tasks return, and what they are given, until the flow ends: with a million
    documents, hundreds of megabytes.
    """

    def __init__(self, value: T) -> None:
        self._value: T | None = value

    @property
    def value(self) -> T:
        """What is handed; ValueError once it was let go."""
        if self._value is None:
            raise ValueError("it was let go")
        return self._value

    def let_go(self) -> None:
        """Nobody needs it any more; its memory goes back to the system."""
        self._value = None
        give_back()
