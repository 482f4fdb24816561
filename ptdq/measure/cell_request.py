"""What a worker is asked to do: the JSON file beside the results holds just this."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

Kind = Literal["quality", "timing"]
"""Quality needs all documents, once; time needs some, in many rounds."""


@dataclass(frozen=True)
class CellRequest:
    """One cell, for one worker.

    Attributes:
        kind: a ``timing`` cell first makes a call of each shape that its batches have; the times of a
            ``quality`` cell are recorded and decide nothing.
        documents: file of the schema ``documents``; the cell evaluates every row.
        seed: of the order of the documents, the same for all variants of a round.
        limit: documents to take from the start of that order; None for all.
        digest: content that the artifact must have.
        settings: what it was prepared with, as the run's parameters have it.
        core: core to pin to; None where the system cannot pin.
        warmup: batches that are run before, and flagged.
        meeting: directory where cells that are to run at once wait for each other; None: it runs alone.
        together: how many meet there.
        spawned_at: seconds since the epoch when the parent started the process.
        spawned_ns: the same by the system's monotonic clock, which all processes share and nobody sets.
        cut: output over which a model with one output says yes; None for all others.
        by_query: whether a batch is the candidates of a query.
        isa: what runtimes are kept to; None for all that the CPU has.
    """

    run_id: str
    cell_id: str
    kind: Kind
    variant: str
    max_length: int
    repeat: int
    order: int
    core: int | None
    artifact: str
    digest: str
    settings: dict[str, Any]
    documents: str
    batch_size: int
    warmup: int
    seed: int
    limit: int | None
    meeting: str | None
    together: int
    result: str
    spawned_at: float
    spawned_ns: int
    cut: float | None = None
    by_query: bool = False
    isa: str | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CellRequest:
        """The request of a JSON object."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})
