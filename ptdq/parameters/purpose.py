"""What a parameter is for: said once, in the annotation of its field, and asked for by name."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from pydantic import BaseModel


class Group(Enum):
    """Under which heading a parameter is documented."""

    SUBJECT = "What is measured"
    MODEL = "The model"
    DATA = "The data"
    QUANTIZATION = "Quantization"
    MEASUREMENT = "The measurement"
    VERDICT = "The verdict"
    FILES = "Where things go"


class Purpose(Enum):
    """What a parameter is for besides a run, whose results it decides unless it says otherwise."""

    UNMEASURED = "decides no result: where files go, how long one waits"
    EVALUATE = "`ptdq evaluate` takes it"
    SENSITIVITY = "`ptdq sensitivity` takes it"
    STUDY_ONLY = "given to `ptdq sensitivity`, it is not for the run that measures the choice"
    RUN_ONLY = "in the configuration that `ptdq sensitivity` reads, it is for the run and not the study"
    TUNE = "`ptdq tune` takes it"
    MATRIX = "`ptdq matrix` gives it to each of its runs"
    EXTENDS = "`ptdq run --extend` may change it: it decides how many rounds there are"
    GATE = "a threshold: a variant that is not shown to meet it fails the run"
    EXPLAINS = "`ptdq compare` names it where two runs differ in it, since it may explain a change"


Mark = Group | Purpose


def marked(kind: type[BaseModel], *marks: Mark, without: Collection[Mark] = ()) -> tuple[str, ...]:
    """Fields of a model, in order, that have all of these marks and none of those in ``without``."""
    return tuple(
        name
        for name, field in kind.model_fields.items()
        if all(mark in field.metadata for mark in marks)
        and not any(mark in field.metadata for mark in without)
    )
