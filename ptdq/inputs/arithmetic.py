"""The arithmetic of a model: sizes of its linear layers, and multiply-adds of a document.

Taken from the model without weights, which takes seconds to build, by a child process:
``python -m ptdq.inputs.arithmetic request.json``. Kept in the cache by the model's content.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ptdq.errors import UserError
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.inputs.in_child import answer, ask_child
from ptdq.inputs.source import Source
from ptdq.store.cache import ARITHMETIC, cache_entry, cache_root, mark_used
from ptdq.store.disk import digest_of, read_json, write_json

_SIZES = 8
"""Of linear layers that are kept: far more than anybody looks at."""


@dataclass(frozen=True)
class Arithmetic:
    """What a model computes.

    Attributes:
        linear_sizes: inputs and outputs of its linear layers, those that do most of the arithmetic first.
        multiply_adds: of one document's forward pass, by its number of tokens; None where it cannot be
            counted.
    """

    linear_sizes: list[tuple[int, int]]
    multiply_adds: dict[int, int | None]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Arithmetic:
        """From what :meth:`to_json` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            [(int(inner), int(columns)) for inner, columns in values["linear_sizes"]],
            {
                int(tokens): None if count is None else int(count)
                for tokens, count in values["multiply_adds"].items()
            },
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"linear_sizes": self.linear_sizes, "multiply_adds": self.multiply_adds}


def arithmetic(checkpoint: Checkpoint, lengths: Sequence[int]) -> Arithmetic:
    """What a model computes, at some numbers of tokens.

    Raises:
        UserError: as :func:`ptdq.store.cache.private_cache`.
        RunFailed: the process that counts it died, or failed in a way that nobody expected.
    """
    what = [checkpoint.digest, sorted(lengths), torch.__version__]
    path = cache_entry(ARITHMETIC, digest_of(what)).with_suffix(".json")
    with contextlib.suppress(UserError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        found = Arithmetic.from_json(read_json(path))
        if set(lengths) <= found.multiply_adds.keys():
            mark_used(path)
            return found
    request = {
        "source": str(checkpoint.directory),
        "loader": checkpoint.loader,
        "trust_remote_code": checkpoint.trust_remote_code,
        "lengths": list(lengths),
    }
    # A cache that is not ours to write has no place for a child's log.
    if os.access(cache_root(), os.W_OK):
        name = f"arithmetic-{checkpoint.digest[:12]}"
        doing = f"counting what model {checkpoint.name} computes"
        given = ask_child("ptdq.inputs.arithmetic", request, doing=doing, log_name=name)
    else:
        given = _count(request)
    found = Arithmetic.from_json(given)
    with contextlib.suppress(OSError):  # a cache that is full, or not ours to write
        write_json(path, found.to_json())
    return found


def main(arguments: list[str]) -> int:
    """Count what the request names; see :func:`ptdq.inputs.in_child.answer`."""
    return answer(arguments, _count)


def _count(request: Mapping[str, Any]) -> dict[str, Any]:
    source = Source(Path(request["source"]), request["loader"], request["trust_remote_code"])
    counts = {length: _multiply_adds(source, length) for length in request["lengths"]}
    return Arithmetic(_linear_sizes(source), counts).to_json()


def _linear_sizes(source: Source) -> list[tuple[int, int]]:
    adds: Counter[tuple[int, int]] = Counter()
    for module in source.skeleton().modules():
        if isinstance(module, nn.Linear):
            adds[module.in_features, module.out_features] += module.in_features * module.out_features
    return [size for size, _ in adds.most_common(_SIZES)]


def _multiply_adds(source: Source, tokens: int) -> int | None:
    """Matrix products and attention, by torch's own counter on a model without weights."""
    ids = torch.zeros(1, tokens, dtype=torch.int64, device="meta")
    try:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            # Without a mask: models look into it, and a tensor without content cannot be looked into.
            source.skeleton().to("meta")(input_ids=ids)
    except Exception:
        # Any model may be here, and any of its operations may lack a meta kernel; the share of the
        # limit is then left out of the report.
        return None
    return int(counter.get_total_flops()) // 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
