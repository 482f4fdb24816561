"""Reads ``phrases.toml`` and fills in its templates."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

CLASSES = ("体育", "健康", "军事", "教育", "汽车", "科技", "财经", "旅游")
"""Names of the classes; a label is an index of this tuple."""

_HOLE = re.compile(r"\{(?:(\d+)-(\d+)|(\w+))\}")

Templates = tuple[str, ...]


@dataclass(frozen=True)
class Phrases:
    """The templates of the corpus by kind, and the words for their slots."""

    slots: Mapping[str, Templates]
    topic: Mapping[str, Templates]
    bridges: Mapping[frozenset[str], Templates]
    filler: Templates
    opening: Templates
    closing: Templates

    def bridge(self, one: str, another: str) -> Templates:
        """Sentences that fit both classes; :class:`KeyError` for a pair that has none."""
        return self.bridges[frozenset((one, another))]


def load() -> Phrases:
    """The phrases of the package's own resource file."""
    source = resources.files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8")
    data = tomllib.loads(source)
    filler = data["filler"]
    return Phrases(
        slots=_tuples(data["slots"]),
        topic=_tuples(data["topic"]),
        bridges={frozenset(pair.split("+")): tuple(t) for pair, t in data["bridge"].items()},
        filler=tuple(filler["sentence"]),
        opening=tuple(filler["opening"]),
        closing=tuple(filler["closing"]),
    )


def fill(template: str, slots: Mapping[str, Templates], rng: random.Random) -> str:
    """``template`` with every hole filled; no word is used twice for the same slot.

    Raises :class:`KeyError` for a slot that is not in ``slots``.
    """
    used: set[tuple[str, str]] = set()

    def put(hole: re.Match[str]) -> str:
        low, high, slot = hole.groups()
        if slot is None:
            return str(rng.randint(int(low), int(high)))
        # Two of a slot in one sentence ("eat nuts and nuts") would read wrong.
        free = [word for word in slots[slot] if (slot, word) not in used] or list(slots[slot])
        word = rng.choice(free)
        used.add((slot, word))
        return _HOLE.sub(put, word)

    return _HOLE.sub(put, template)


def _tuples(table: Mapping[str, list[str]]) -> dict[str, Templates]:
    return {name: tuple(entries) for name, entries in table.items()}
