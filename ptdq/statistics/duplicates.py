"""Texts that occur more than once, and texts of one file that are in another, or nearly."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

NEAR = 0.8
"""Share of common shingles from which two texts are near-duplicates: K. Lee et al., Deduplicating
Training Data Makes Language Models Better, ACL 2022."""

SHINGLE = 5
"""Characters of a shingle; characters, since not every script has words between spaces."""

MOST_OTHERS, MOST_TEST, MOST_CHARACTERS = 1000, 2000, 2000
"""What near copies are looked for in at most: calibration texts, test texts, characters of each."""

_CHUNK = 500  # texts compared at once


def normalized(text: str) -> str:
    """The text without what does not make it another: case, width, punctuation, kind of space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", folded).strip()


def text_groups(texts: Iterable[str]) -> Ints:
    """Group of each text [N], 0 to G - 1 as they come: one for all that are equal but for ``normalized``.

    A text without any letter or digit is compared as it is. Of each text a hash of 128 bits is kept: in
    a million texts, two that differ have the same one with a probability of 10^-27.
    """
    kept = bytearray()
    for text in texts:
        data = (normalized(text) or text).encode("utf-8", "surrogatepass")
        kept += hashlib.blake2b(data, digest_size=16).digest()
    if not kept:
        return np.empty(0, np.int64)
    hashes = np.frombuffer(kept, np.uint64).reshape(-1, 2)
    order = np.lexsort(hashes.T)  # stable: of equal ones the first comes first
    in_order = hashes[order]
    another = np.r_[True, (in_order[1:] != in_order[:-1]).any(axis=1)]
    if another.all():
        return np.arange(len(order))
    del in_order
    number = np.argsort(np.argsort(order[another]))
    groups = np.empty(len(order), np.int64)
    groups[order] = number[np.cumsum(another) - 1]
    return groups


@dataclass(frozen=True)
class Shared:
    """Test texts that are among other texts, or nearly.

    Attributes:
        copies: test texts that are equal to one of the others but for ``normalized``.
        near: of the test texts that were compared, those that are nearly one of the others and no copies.
        compared: test texts that were compared for ``near``.
        test: all of them.
        compared_with: of the others, those that they were compared with.
        calibration: all of the others.
    """

    copies: int
    near: int
    compared: int
    test: int
    compared_with: int
    calibration: int


def shared_texts(
    calibration: Sequence[str],
    test: Sequence[str],
    *,
    share: float = NEAR,
    most: tuple[int, int] = (MOST_OTHERS, MOST_TEST),
    seed: int = 0,
) -> Shared:
    """Count texts of ``test`` that are in ``calibration``, or nearly.

    A text is nearly another where they share ``share`` of their shingles (A. Z. Broder, On the
    Resemblance and Containment of Documents, 1997), of the first ``MOST_CHARACTERS`` of each. All pairs
    are compared, as products of sparse vectors; shingles are hashed into 2^20. Copies are looked for in
    all texts, near copies in a sample where there are many, so that time and memory have a bound.

    Args:
        calibration: texts that ranges are taken from, or a choice is made on.
        test: texts that quality is measured on.
        share: common shingles over all shingles of two texts.
        most: how many of either are compared.
        seed: of the samples.
    """
    same = {normalized(text) or text for text in calibration}
    new = [text for text in test if (normalized(text) or text) not in same]
    rng = np.random.default_rng(seed)
    others, some = (
        [texts[place] for place in np.sort(rng.permutation(len(texts))[:count])]
        for texts, count in zip((calibration, new), most, strict=True)
    )
    # Copies are known whatever was compared.
    copies = len(test) - len(new)
    return Shared(copies, _near(others, some, share), len(some), len(test), len(others), len(calibration))


def _near(others: Sequence[str], texts: Sequence[str], share: float) -> int:
    """How many of ``texts`` are nearly one of ``others``."""
    if not others or not texts:
        return 0
    # Imported late: a run whose input is wrong is to say so at once.
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(
        analyzer="char", ngram_range=(SHINGLE, SHINGLE), preprocessor=_beginning, binary=True,
        norm=None, alternate_sign=False, dtype=np.float32,
    )  # fmt: skip
    known = hashed.transform(others)
    sizes = np.asarray(known.sum(axis=1)).ravel()
    near = 0
    for start in range(0, len(texts), _CHUNK):
        chunk = hashed.transform(texts[start : start + _CHUNK])
        common = (chunk @ known.T).tocoo()
        own = np.asarray(chunk.sum(axis=1)).ravel()
        union = own[common.row] + sizes[common.col] - common.data
        near += len(np.unique(common.row[common.data >= share * union]))
    return near


def _beginning(text: str) -> str:
    return normalized(text[:MOST_CHARACTERS])
