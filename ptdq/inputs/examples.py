"""A few inputs on which an artifact is compared with the float model: documents as workers get them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ptdq.inputs.arrays import Inputs
from ptdq.inputs.pairs import COLUMNS, Texts, texts_of
from ptdq.inputs.source import Source
from ptdq.inputs.tokenizing import Tokenizer, open_tokenizer, token_counts

COUNT = 8
_LOOKED_AT = 512
_ROWS = 4096
_UNBOUNDED = 128


def read_examples(source: Source, documents: Path | None, max_length: int | None = None) -> list[Inputs]:
    """Eight documents, from the shortest to the longest, one by one; then all of them in a batch.

    Args:
        source: the float model.
        documents: a file of the schema ``documents``; without it texts are made up.
        max_length: longer ones are cut to it; None: to what model and tokenizer take, 128 at most.

    Returns:
        Token ids; without the batch where model or tokenizer has no padding.
    """
    longest = _UNBOUNDED if max_length is None else max_length
    longest = min(longest, source.longest_input() or longest)
    tokenizer = open_tokenizer(source.directory, source)
    if documents is None:
        # Longer than the longest too: what is no text of its own is left out of them.
        lengths = range(1, 2 * longest + 1, max(1, longest // 12))
        texts = made_up(source.tokenizer(), lengths)
    else:
        rows = texts_of(next(pq.ParquetFile(documents).iter_batches(_ROWS, columns=COLUMNS)))
        order = np.random.default_rng(0).permutation(len(rows.first))[:_LOOKED_AT]
        texts = rows.at(order.tolist())
    counts = token_counts(tokenizer, texts.first, longest, texts.second)
    places = np.unique(np.linspace(0, len(counts) - 1, COUNT).round().astype(int))
    chosen = texts.at(np.argsort(counts, kind="stable")[places].tolist())
    examples: list[Inputs] = one_by_one(tokenizer, chosen, longest)
    if not source.pads():
        return examples
    return [*examples, tokenizer(chosen.first, longest, chosen.second).inputs]


def one_by_one(tokenizer: Tokenizer, texts: Texts, max_length: int) -> list[Inputs]:
    """Token ids of each document, with batch 1."""
    each = (texts.between(place, place + 1) for place in range(len(texts.first)))
    return [tokenizer(one.first, max_length, one.second).inputs for one in each]


def made_up(tokenizer: Any, lengths: Sequence[int], pairs: bool = False) -> Texts:
    """Documents of about so many tokens; of a pair, the second text has as many as the first."""
    if not pairs:
        return Texts(made_up_texts(tokenizer, lengths), None)
    halves = [max(1, length // 2) for length in lengths]
    return Texts(made_up_texts(tokenizer, halves), made_up_texts(tokenizer, halves, seed=1))


def made_up_texts(tokenizer: Any, lengths: Sequence[int], seed: int = 0) -> list[str]:
    """Texts of about so many tokens, drawn from the tokenizer's own.

    Texts and not their ids: what a tokenizer puts around a document, models may rely on.
    """
    random = np.random.default_rng(seed)
    drawn = (random.integers(0, len(tokenizer), int(length)).tolist() for length in lengths)
    return [tokenizer.decode(ids, skip_special_tokens=True).strip() or "a" for ids in drawn]
