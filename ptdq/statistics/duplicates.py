"""Texts that occur more than once, and texts of one file that are in another, or nearly."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import HashingVectorizer

Ints = npt.NDArray[np.int64]

NEAR = 0.8
"""Share of common shingles from which two texts are near-duplicates: K. Lee et al., Deduplicating
Training Data Makes Language Models Better, ACL 2022."""

SHINGLE = 5
"""Characters of a shingle; characters, since not every script has words between spaces."""

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
    number = np.argsort(np.argsort(order[another]))
    groups = np.empty(len(order), np.int64)
    groups[order] = number[np.cumsum(another) - 1]
    return groups


def near_duplicates(calibration: Sequence[str], test: Sequence[str], share: float = NEAR) -> int:
    """Count texts of ``test`` that are in ``calibration``, or nearly.

    A text is nearly another where they are equal but for ``normalized``, or share ``share`` of their
    shingles (A. Z. Broder, On the Resemblance and Containment of Documents, 1997). All pairs are
    compared, as products of sparse vectors; shingles are hashed into 2^20.

    Args:
        calibration: texts that ranges are taken from.
        test: texts that quality is measured on.
        share: common shingles over all shingles of two texts.
    """
    if not len(calibration) or not len(test):
        return 0
    hashed = HashingVectorizer(
        analyzer="char", ngram_range=(SHINGLE, SHINGLE), preprocessor=normalized, binary=True,
        norm=None, alternate_sign=False,
    )  # fmt: skip
    known = hashed.transform(calibration)
    sizes = np.asarray(known.sum(axis=1)).ravel()
    same = {normalized(text) or text for text in calibration}
    near = 0
    for start in range(0, len(test), _CHUNK):
        texts = test[start : start + _CHUNK]
        mine = hashed.transform(texts)
        common = (mine @ known.T).tocoo()
        own = np.asarray(mine.sum(axis=1)).ravel()
        union = own[common.row] + sizes[common.col] - common.data
        found = set(common.row[common.data >= share * union].tolist())
        near += sum(row in found or (normalized(t) or t) in same for row, t in enumerate(texts))
    return near
