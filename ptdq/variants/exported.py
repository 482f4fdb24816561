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


def example_inputs(names: Sequence[str], batch: int = 2) -> tuple[torch.Tensor, ...]:
    """Tensors to trace with; padding in one row, so that the mask cannot be traced away."""
    ids = torch.arange(batch * TRACED_TOKENS).reshape(batch, TRACED_TOKENS) % 7 + 2
    mask = torch.ones_like(ids)
    mask[-1, TRACED_TOKENS // 2 :] = 0
    made = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return tuple(made[name] for name in names)


def position_limit(source: Source, module: nn.Module) -> int:
    """The most tokens that the model takes; bounds the dynamic dimension of an export.

    The tokenizer's bound where the model names none, and 512 where neither does.
    """
    config = getattr(module, "config", None)
    limit = int(getattr(config, "max_position_embeddings", 0) or 0)
    if limit <= 0:
        longest = int(getattr(source.tokenizer(), "model_max_length", 0) or 0)
        # transformers says "no bound" with a number of thirty digits.
        return longest if 2 < longest < 10**9 else UNKNOWN_POSITIONS
    # RoBERTa numbers positions from its padding index on: two of the table's rows are not used.
    offset = type(module).__name__.lower()
    starts_late = any(family in offset for family in ("roberta", "camembert"))
    return limit - (int(getattr(config, "pad_token_id", 1) or 0) + 1 if starts_late else 0)
