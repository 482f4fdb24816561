"""What the exporting variants share: one plain signature for every model, and inputs to trace with.

Exporters want positional tensors in and one tensor out; models take keywords and answer with a
dataclass. :class:`Positional` stands between.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import nn

from ptdq.errors import UserError
from ptdq.inputs.examples import made_up_texts
from ptdq.inputs.source import Source
from ptdq.variants.base import UNKNOWN_POSITIONS

KNOWN_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TRACED_TOKENS = 24
TOLERANCE = 1e-3
"""Of logits, relative to the largest: sums in another order. What computes something else is off by
orders of size more."""


class Positional(nn.Module):
    """A model as a function of tensors in the order of ``names``, to its logits."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        # Decoders would give back keys and values as well, of which a classifier has no use. Parts of a
        # model have configurations of their own.
        for part in model.modules():
            if config := getattr(part, "config", None):
                config.use_cache = False
        self.names = tuple(names)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Logits, float32 [batch, classes]."""
        output = self.model(**dict(zip(self.names, tensors, strict=True)))
        logits: torch.Tensor = output if isinstance(output, torch.Tensor) else output.logits
        return logits.float()


def input_names(source: Source, module: nn.Module) -> list[str]:
    """Names that both the tokenizer gives and the model takes (DistilBERT takes no token types).

    Raises:
        UserError: the model takes none of them.
    """
    given = source.tokenizer().model_input_names
    parameters = inspect.signature(module.forward).parameters.values()
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = {parameter.name for parameter in parameters}
    # Models of transformers end in **kwargs but ignore what they do not name.
    takes = named if "input_ids" in named or not anything else set(KNOWN_INPUTS)
    names = [name for name in KNOWN_INPUTS if name in given and name in takes]
    if "input_ids" not in names:
        raise UserError(f"{type(module).__name__}.forward takes no input_ids: it cannot be exported")
    return names


def example_inputs(source: Source, names: Sequence[str], batch: int = 2) -> tuple[torch.Tensor, ...]:
    """Tensors to trace with, [batch, tokens] each, as the tokenizer gives them.

    The last row is padded, so that the mask cannot be traced away. By hand: decoders without a padding
    token are traced as well.
    """
    tokenizer = source.tokenizer()
    texts = made_up_texts(tokenizer, [2 * TRACED_TOKENS] * batch)
    lengths = [TRACED_TOKENS] * (batch - 1) + [TRACED_TOKENS // 2]
    rows = [
        tokenizer(text, max_length=length, truncation=True)
        for text, length in zip(texts, lengths, strict=True)
    ]
    padding = {"input_ids": tokenizer.pad_token_id or 0}
    return tuple(
        torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row[name]) for row in rows], True, padding.get(name, 0)
        )
        for name in names
    )


def position_limit(source: Source) -> int:
    """The most tokens that the model takes; bounds the dynamic dimension of an export."""
    return source.longest_input() or UNKNOWN_POSITIONS
