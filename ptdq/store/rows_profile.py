"""Rows of the tables that ``ptdq why`` adds to a run: see :mod:`ptdq.store.rows`."""

from __future__ import annotations

from typing import Annotated

from ptdq.store.rows import Int, Place, Text


class ProfileRow(Place, total=False):
    """``profiles``: the calls of a variant that were profiled, in a process of their own."""

    core: Annotated[int, "core that the process was pinned to; -1 where the system cannot pin"]
    batch_size: Annotated[int, "documents in a batch"]
    documents: Annotated[int, "documents that were called"]
    tokens: Annotated[int, "their tokens"]
    computed_tokens: Annotated[int, "the same with all padding: what the model computed"]
    timed_ms: Annotated[float, "a document's time in the model, without the profiler"]
    profiled_ms: Annotated[float, "the same while the profiler ran: what the operations add up to"]
    instruction_set: Annotated[Text, "instruction sets of its products, as in `variants`"]


class OperationRow(Place, total=False):
    """``operations``: what a runtime did in those calls."""

    part: Annotated[str, "class of operation; framework: what the runtime does between its operations"]
    operation: Annotated[str, "as the runtime calls it"]
    numbers: Annotated[Text, "number format of a product or of attention: int8, float32, …"]
    shape: Annotated[Text, "of a product: rows × inner × columns"]
    calls: Annotated[int, "how often, in all documents together"]
    ms: Annotated[float, "time in one document, on average, without what it called in turn"]
    multiply_adds: Annotated[Int, "of one call of a product; null where unknown"]
    kernel: Annotated[Text, "implementation, as the runtime calls it; null where it does not say"]
    library: Annotated[Text, "whose it is; null as before"]
