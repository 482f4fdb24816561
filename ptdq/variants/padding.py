"""Which lengths inputs are padded to, for variants whose runtime makes kernels for every new length.

Multiples of 16 tokens: on documents of many lengths that costs 4 % of the arithmetic or so, against
kernels for each of hundreds of lengths. Exact up to rounding, since masks hide padding; that is proved
with the float model, and a model that padding changes is not padded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ptdq.runtimes.padding import RULE, Padded
from ptdq.store.disk import read_json, write_json

if TYPE_CHECKING:
    from torch import nn

    from ptdq.inputs.source import Source

STEP = 16
BRANCHES = 20
"""Lengths for which a graph may have branches of its own: each has kernels and memory of its own."""
_DOCUMENTS = 16


def write_padding(source: Source, module: nn.Module, names: Sequence[str], directory: Path) -> bool:
    """Write the rule beside an artifact, if padding does not change what the float model answers.

    Args:
        source: the float model.
        module: its module, or one that computes the same.
        names: of the inputs that the artifact takes.
        directory: the artifact.

    Returns:
        Whether inputs will be padded.
    """
    from ptdq.inputs.examples import made_up_texts
    from ptdq.inputs.source import torch_predictor
    from ptdq.inputs.tokenizing import open_tokenizer
    from ptdq.variants.exported import TOLERANCE, position_limit

    tokenizer = source.tokenizer()
    if (
        tokenizer.pad_token_id is None
        or tokenizer.padding_side != "right"
        or "attention_mask" not in names
    ):
        return False
    fills = {
        "input_ids": tokenizer.pad_token_id,
        "attention_mask": 0,
        "token_type_ids": tokenizer.pad_token_type_id,
    }
    longest = position_limit(source)
    fill = {name: int(fills[name]) for name in names}
    plain = torch_predictor(module)
    padded = Padded(plain, STEP, longest, fill)
    texts = made_up_texts(tokenizer, range(1, 1 + 2 * _DOCUMENTS, 2))
    worker = open_tokenizer(source.directory, source)
    for text in texts:
        given = worker([text], min(longest, 2 * STEP)).inputs
        inputs = {name: given[name] for name in names}
        before = plain(inputs)
        if not np.abs(padded(inputs) - before).max() <= TOLERANCE * max(1.0, float(np.abs(before).max())):
            return False
    write_json(directory / RULE, {"step": STEP, "longest": longest, "fill": fill})
    return True


def branch_lengths(documents: Iterable[int], most: int) -> tuple[int, ...]:
    """Lengths to pad documents to, ascending: 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160 ...

    Multiples of 8, and four from a power of two to the next: at most a quarter is padding, 9 % on
    average. The longest document is one of them, since it is as long as others that were cut are; of
    what is shorter than the shortest there are powers of two alone, to which others may be cut.

    Args:
        documents: tokens of each.
        most: tokens that the model takes.
    """
    known = [min(tokens, most) for tokens in documents]
    found, length = [], 8
    while length < max(known):
        if length >= min(known) or (length >= STEP and length.bit_count() == 1):
            found.append(length)
        length += max(8, 2 ** (length.bit_length() - 1) // 4)
    found.append(max(known))
    return tuple(found if len(found) <= BRANCHES else found[::-2][::-1])


def pad_to(directory: Path, lengths: Sequence[int]) -> None:
    """Have an artifact's single documents padded to ``lengths``, ascending, and no other rule changed."""
    path = directory / RULE
    write_json(path, {**read_json(path), "lengths": list(lengths)})
