"""What the child process of ``ptdq why`` is asked to do, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class WhyRequest:
    """The JSON file that the child reads holds just this.

    Attributes:
        cell: a :class:`ptdq.measure.cell_request.CellRequest` as JSON: what is
            loaded and called, and where.
        passes: times that all documents are called with no profiler.
    """

    cell: dict[str, Any]
    passes: int

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> WhyRequest:
        """The request of a JSON object."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})
