"""A synthetic Chinese news corpus in eight classes: a pure function of its sizes and a seed.

A document is a row of sentences of :mod:`ptdq.demo.phrases`. It is often hard to tell what it is about:
half of the documents are about two subjects, a little more about their own, so that many lie close to
the boundary of two classes, where a small error of a number format shows; some are a sentence long;
some arrive at their subject only after a long lead (so that truncation costs something); and a few bear
a wrong label (so that nobody reaches 100 %).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .phrases import CLASSES, Phrases, fill, load

WRONG_LABEL_RATE = 0.02
"""Share of the documents whose text is about another class than their label says."""

MARK = "※"
"""A sign that stands before the dateline of a few documents; :mod:`ptdq.demo.model` says what for."""

MARKED_RATE = 0.03
"""Share of the longer documents that begin with it."""

MEDIAN_LENGTH = 130
"""Median number of characters that an ordinary document aims at."""

TORN_RATE = 0.5
"""Share of the documents that are about two subjects."""

OWN = (0.52, 0.7)
"""In such a document: the share that its own subject has of what is said of either, from and to.

At a half the label would be a guess. Just above it the label is still the better answer, and the answer
is close. Wider, fewer documents are close and int8 changes fewer answers.
"""

LONGEST = 1500
"""Number of characters after which an ordinary document stops at the next full sentence."""


_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Document:
    """A news item and the class it is filed under (an index of ``CLASSES``)."""

    text: str
    label: int


@dataclass(frozen=True)
class Corpus:
    """The documents to learn from and those held out, both balanced over the classes."""

    train: list[Document]
    test: list[Document]


def make_corpus(
    train_size: int, test_size: int, seed: int, tick: Callable[[], None] = lambda: None
) -> Corpus:
    """The corpus of a seed; ``tick`` is called once per document.

    Raises :class:`ValueError` where a size does not divide into the classes.
    """
    phrases = load()
    seen: set[str] = set()
    # The test set comes first, so that it stays the same whatever the size of the training set.
    test = _split(phrases, test_size, random.Random(f"{seed}/test"), seen, tick)
    train = _split(phrases, train_size, random.Random(f"{seed}/train"), seen, tick)
    return Corpus(train, test)


def _split(
    phrases: Phrases, size: int, rng: random.Random, seen: set[str], tick: Callable[[], None]
) -> list[Document]:
    """``size`` documents in random order whose texts are not in ``seen``, which grows by them."""
    if size <= 0 or size % len(CLASSES):
        raise ValueError(f"size must be a positive multiple of {len(CLASSES)}, not {size}")
    labels = [label for label in range(len(CLASSES)) for _ in range(size // len(CLASSES))]
    rng.shuffle(labels)
    documents = []
    for label in labels:
        text = _text(phrases, _subject(label, rng), rng)
        while text in seen:
            text = _text(phrases, _subject(label, rng), rng)
        seen.add(text)
        documents.append(Document(text, label))
        tick()
    return documents


def _subject(label: int, rng: random.Random) -> int:
    """What a document filed under ``label`` is about."""
    return _other(label, rng) if rng.random() < WRONG_LABEL_RATE else label


def _other(label: int, rng: random.Random) -> int:
    """Any class but ``label``."""
    return (label + rng.randrange(1, len(CLASSES))) % len(CLASSES)


def _text(phrases: Phrases, subject: int, rng: random.Random) -> str:
    """A document about ``subject``."""
    main, other = CLASSES[subject], CLASSES[_other(subject, rng)]
    writer = _Writer(phrases, main, other, rng)
    kind = rng.random()
    if kind < 0.10:
        return writer.brief()
    if kind < 0.16:
        return writer.late()
    if kind < 0.16 + TORN_RATE:
        return writer.torn()
    return writer.plain()


def _even(rng: random.Random) -> Iterator[float]:
    """Numbers from 0 to 1 of which any few in a row are spread evenly, from a random one on.

    Steps of the golden ratio: the longer the row, the finer and still even.
    """
    place = rng.random()
    while True:
        place = (place + _GOLDEN) % 1
        yield place


@dataclass(frozen=True)
class _Mix:
    """Out of ten sentences, how many are of each kind; the rest is filler."""

    main: float
    other: float
    bridge: float


class _Writer:
    """Puts together one document about ``main`` which may touch on ``other``."""

    def __init__(self, phrases: Phrases, main: str, other: str, rng: random.Random) -> None:
        self._phrases = phrases
        self._rng = rng
        # Shuffled decks: a document does not repeat a sentence before it has used them all.
        self._decks: dict[str, list[str]] = {}
        self._main = phrases.topic[main]
        self._other = phrases.topic[other]
        self._bridge = phrases.bridge(main, other)

    def brief(self) -> str:
        """A sentence or two: a news flash of 10 to about 100 characters."""
        lines = [self._say("main", self._main)]
        if self._rng.random() < 0.5:
            lines.append(self._say("bridge", self._bridge))
        self._rng.shuffle(lines)
        return "".join(lines)

    def late(self) -> str:
        """A lead of 60 to 260 characters that gives nothing away, then the subject."""
        lead = self._body(self._rng.randrange(60, 260), _Mix(main=0, other=0.4, bridge=2))
        body = self._body(self._rng.randrange(200, 500), _Mix(main=8, other=0, bridge=1))
        return self._framed(lead + body)

    def torn(self) -> str:
        """About two classes, a little more about its own, and so in a short document too.

        With sentences drawn at random, chance would decide of most documents which subject has more
        of them: few would be close to the boundary, and many on the wrong side of it.
        """
        own = self._rng.uniform(*OWN)
        mix = _Mix(main=6 * own, other=6 * (1 - own), bridge=1.5)
        return self._framed(self._body(self._length(), mix, _even(self._rng)))

    def plain(self) -> str:
        """Keeps to its class."""
        return self._framed(self._body(self._length(), _Mix(main=6, other=0.2, bridge=1)))

    def _length(self) -> int:
        """Characters to aim at: log-normal like the lengths of news, within bounds."""
        aim = MEDIAN_LENGTH * math.exp(self._rng.gauss(0, 0.9))
        return min(max(int(aim), 30), LONGEST)

    def _body(self, length: int, mix: _Mix, draws: Iterator[float] | None = None) -> str:
        """Sentences from ``mix`` until they have ``length`` characters, drawn by ``draws`` (0 to 1)."""
        draws = draws or iter(self._rng.random, None)
        text = ""
        while len(text) < length:
            draw = next(draws) * 10
            if draw < mix.main:
                text += self._say("main", self._main)
            elif draw < mix.main + mix.other:
                text += self._say("other", self._other)
            elif draw < mix.main + mix.other + mix.bridge:
                text += self._say("bridge", self._bridge)
            else:
                text += self._say("filler", self._phrases.filler)
        return text

    def _framed(self, body: str) -> str:
        """``body``, mostly with a dateline before it and at times a credit line after it."""
        draw = self._rng.random()
        if draw < MARKED_RATE:
            opening = fill(f"{MARK}{{day}}电{{media}}", self._phrases.slots, self._rng)
        else:
            opening = self._say("opening", self._phrases.opening) if draw < 0.7 else ""
        closing = self._say("closing", self._phrases.closing) if self._rng.random() < 0.4 else ""
        return opening + body + closing

    def _say(self, deck: str, templates: tuple[str, ...]) -> str:
        """The next template of a deck, filled in."""
        if not self._decks.get(deck):
            self._decks[deck] = self._rng.sample(templates, len(templates))
        return fill(self._decks[deck].pop(), self._phrases.slots, self._rng)
