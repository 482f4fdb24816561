"""Tokenizing as workers do it: by the ``tokenizers`` library alone where that is proven to be the same.

Importing transformers takes seconds, which every cell would pay for. The proof is made once, when a
model is read; where it fails (a slow tokenizer, one with code of its own) transformers is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ptdq.runtimes.tokenizing import SETTINGS, TOKENIZER, Encoded, FastTokenizer
from ptdq.store.disk import write_json

if TYPE_CHECKING:
    from ptdq.inputs.source import CodeAllowed, Source

_BATCH = 1000

# Scripts, accents, control and special characters, numbers, emoji, markup of special tokens, blanks.
_PROBES = (
    "a",
    "The quick brown fox jumps over 12,345.67 lazy dogs; isn't it?",
    " leading, doubled  and trailing blanks \t\n",
    "Ünïcödé naïveté Ærøskøbing Straße İstanbul cafe\u0301 ﬁne ½",
    "球队今晚在北京比赛，胜负难料。医生建议多走路、少坐车！",
    "日本語のテキスト ภาษาไทย हिन्दी العربية עברית русский",
    "emoji 👩‍👩‍👧 🇨🇭 zero\u200bwidth \u00ad \x07 \ufffd",
    "[CLS] [MASK] <s> </s> <mask> <pad> [SEP] <|endoftext|>",
    "https://example.org/a_b?c=d&e=%20 user@example.org #tag $9.99",
    "word " * 80,
    "长" * 90,
)
_LENGTHS = (8, 24, 64)


class Tokenizer(Protocol):
    """From documents to token ids."""

    def __call__(
        self, texts: Sequence[str], max_length: int, pairs: Sequence[str] | None = None
    ) -> Encoded:
        """Ids of a batch, padded to its longest, each document cut to ``max_length`` tokens."""


class TransformersTokenizer:
    """A tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(
        self, texts: Sequence[str], max_length: int, pairs: Sequence[str] | None = None
    ) -> Encoded:
        """Ids of a batch."""
        given = (list(texts),) if pairs is None else (list(texts), list(pairs))
        # Without a token to pad with, a document by itself needs none.
        encoding = self._tokenizer(
            *given, max_length=max_length, truncation=True, padding=len(texts) > 1, return_tensors="np"
        )
        return Encoded(dict(encoding), self._truncated(encoding, given, max_length))

    def _truncated(
        self, encoding: Any, given: tuple[list[str], ...], max_length: int
    ) -> Callable[[], list[bool]]:
        def ask() -> list[bool]:
            if encoding.encodings is not None:
                return [bool(fast.overflowing) for fast in encoding.encodings]
            return [
                len(self._tokenizer(*text)["input_ids"]) > max_length for text in zip(*given, strict=True)
            ]

        return ask


def open_tokenizer(directory: Path, settings: CodeAllowed) -> Tokenizer:
    """The tokenizer of a source's or an artifact's directory; ``settings`` say which code may run."""
    if (directory / SETTINGS).is_file():
        return FastTokenizer(directory)
    from ptdq.inputs.source import Source

    return TransformersTokenizer(Source.open(directory, settings).tokenizer())


def make_fast(source: Source) -> bool:
    """Write ``tokenizing.json``, and ``tokenizer.json`` where it is missing, if the proof succeeds.

    The proof: the library alone gives the same arrays as transformers for texts of many scripts, alone
    and in a padded batch, as pairs too, cut to several lengths.

    Returns:
        Whether workers can do without transformers.
    """
    path, settings = source.directory / TOKENIZER, source.directory / SETTINGS
    settings.unlink(missing_ok=True)  # a checkpoint may bring one, which nobody proved
    tokenizer = source.tokenizer()
    if not getattr(tokenizer, "is_fast", False) or tokenizer.pad_token_id is None:
        return False
    if not type(tokenizer).__module__.startswith("transformers."):
        return False  # code of the checkpoint's own may do anything
    names = [name for name in ("input_ids", "token_type_ids", "attention_mask")
             if name == "input_ids" or name in tokenizer.model_input_names]  # fmt: skip
    if made := not path.is_file():
        tokenizer.backend_tokenizer.save(str(path))
    write_json(
        settings,
        {
            "names": names,
            "truncation_side": tokenizer.truncation_side,
            "encode_special_tokens": bool(tokenizer.split_special_tokens),
            "padding": {
                "direction": tokenizer.padding_side,
                "pad_id": tokenizer.pad_token_id,
                "pad_type_id": tokenizer.pad_token_type_id,
                "pad_token": tokenizer.pad_token,
            },
        },
    )
    same = _same(FastTokenizer(source.directory), TransformersTokenizer(tokenizer))
    # A tokenizer.json that was not there before must not change what transformers makes of the rest.
    if same and made:
        same = _same(FastTokenizer(source.directory), TransformersTokenizer(source.tokenizer()))
    if not same:
        settings.unlink()
        if made:
            path.unlink()
    return same


def token_counts(
    tokenizer: Tokenizer, texts: Sequence[str], max_length: int, pairs: Sequence[str] | None = None
) -> NDArray[np.int64]:
    """Tokens of each document after truncation, padding not counted, int64 [documents]."""
    counts = []
    for first in range(0, len(texts), _BATCH):
        last = first + _BATCH
        second = None if pairs is None else pairs[first:last]
        counts.append(tokenizer(texts[first:last], max_length, second).lengths)
    return np.concatenate(counts) if counts else np.zeros(0, np.int64)


def _same(one: Tokenizer, other: Tokenizer) -> bool:
    batches: list[list[str]] = [[text] for text in _PROBES]
    batches.append(list(_PROBES))
    for length in _LENGTHS:
        for batch in batches:
            for pairs in (None, batch[::-1]):
                if not _equal(one(batch, length, pairs), other(batch, length, pairs)):
                    return False
    return True


def _equal(one: Encoded, other: Encoded) -> bool:
    return (
        one.inputs.keys() == other.inputs.keys()
        and all(np.array_equal(ids, other.inputs[name]) for name, ids in one.inputs.items())
        and one.truncated() == other.truncated()
    )
