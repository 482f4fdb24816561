"""What a search for ``int8-best`` tried, measured and chose, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ptdq import numbers

HEADINGS = ("candidate", "answers changed", "ms a document", "what became of it")


class _Trial(BaseModel):
    candidate: str
    changed: float | None = None
    ms: list[float] = []
    out: str | None = None


class _Search(BaseModel):
    minutes: float
    seconds: float
    documents: int
    cpu: str
    chosen: str
    tried: list[_Trial]


@dataclass(frozen=True)
class Tuning:
    """A search in words.

    Attributes:
        rows: a row of cells for each candidate, by :data:`HEADINGS`.
        sentence: how it was searched.
    """

    rows: list[list[str]]
    sentence: str


def read_tuning(details: Mapping[str, Any] | Any) -> Tuning | None:
    """The search that the details of an artifact tell of; None where they tell of none.

    A record of a run may be anybody's: what has another form is not shown.
    """
    found = details.get("tuning") if isinstance(details, Mapping) else None
    if found is None:
        return None
    try:
        search = _Search.model_validate(found)
    except ValidationError:
        return None
    rows = [
        [
            trial.candidate,
            numbers.percent(trial.changed),
            numbers.ms(trial.ms[-1] if trial.ms else None),
            trial.out or ("chosen" if trial.candidate == search.chosen else numbers.MISSING),
        ]
        for trial in search.tried
    ]
    timed = any(trial.ms for trial in search.tried)
    how = (
        "the times are of forward calls in pinned processes, on more documents the longer a candidate "
        "was in the race; they chose, and are no measurement of a run"
        if timed
        else "nothing was timed"
    )
    sentence = (
        f"Searched for {search.seconds:.0f} s of at most {search.minutes:g} minutes, on "
        f"{search.documents} calibration documents, on {search.cpu}; {how}."
    )
    return Tuning(rows, sentence)
