"""A fast tokenizer without transformers: the same token ids for a fraction of the imports.

transformers' fast tokenizers are the ``tokenizers`` library with settings of their own. Where both were
found to give the same arrays when the model was read, ``tokenizing.json`` beside ``tokenizer.json``
holds those settings. Self-contained, as the other files here are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizing.json"

_ATTRIBUTES = {
    "input_ids": "ids",
    "token_type_ids": "type_ids",
    "attention_mask": "attention_mask",
}


@dataclass(frozen=True)
class Encoded:
    """What a tokenizer makes of a batch.

    Attributes:
        inputs: name to ids, int64 [batch, tokens], padded to the longest.
        truncated: whether truncation shortened each document; to be asked outside of timed regions.
    """

    inputs: dict[str, NDArray[np.int64]]
    truncated: Callable[[], list[bool]]

    @property
    def shape(self) -> tuple[int, int]:
        """Documents, and tokens with padding."""
        batch, tokens = self.inputs["input_ids"].shape
        return batch, tokens

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document, padding not counted, [batch]."""
        mask = self.inputs.get("attention_mask")
        batch, tokens = self.shape
        return np.full(batch, tokens) if mask is None else np.asarray(mask.sum(axis=1))


class FastTokenizer:
    """The tokenizer of a directory that has both files."""

    def __init__(self, directory: Path) -> None:
        settings: dict[str, Any] = json.loads((directory / SETTINGS).read_text(encoding="utf-8"))
        self.names: list[str] = settings["names"]
        self._side: str = settings["truncation_side"]
        self._backend = tokenizers.Tokenizer.from_file(str(directory / TOKENIZER))
        self._backend.encode_special_tokens = settings["encode_special_tokens"]
        self._backend.enable_padding(**settings["padding"])
        self._max_length: int | None = None

    def __call__(
        self, texts: Sequence[str], max_length: int, pairs: Sequence[str] | None = None
    ) -> Encoded:
        """Token ids of a batch.

        Args:
            texts: documents.
            max_length: longer ones are cut to it.
            pairs: a second text for each document, for models of pairs; the longer one is cut first.
        """
        if max_length != self._max_length:
            self._backend.enable_truncation(
                max_length, stride=0, strategy="longest_first", direction=self._side
            )
            self._max_length = max_length
        given = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encodings = self._backend.encode_batch(given)
        inputs = {
            name: np.array([getattr(one, _ATTRIBUTES[name]) for one in encodings], np.int64)
            for name in self.names
        }
        return Encoded(inputs, lambda: [bool(one.overflowing) for one in encodings])
