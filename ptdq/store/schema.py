"""The tables by name, and the schema of each, derived from the class of its rows.

A reader refuses a version newer than its own (:func:`ptdq.store.tables.read_table`). History:

* 1: first version.
* 2: columns are added alone, so 1 is read as well: cells have kinds; comparisons have the time per
  document, p-values, verdicts of three measures, parts of the variance, macro F1, confidence; tables
  ``best``, ``first_calls`` and ``calibration``. Of comparisons, noise_floor and rounds_needed are null.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import pyarrow as pa

from ptdq.store import rows, rows_beyond, rows_profile

SCHEMA_VERSION = 2

R = TypeVar("R")

RUN_TABLES: dict[str, type] = {
    "documents": rows.DocumentRow,
    "predictions": rows.PredictionRow,
    "control": rows.PredictionRow,
    "cells": rows.CellRow,
    "classes": rows.ClassRow,
    "measures": rows.MeasureRow,
    "variants": rows.VariantRow,
    "comparisons": rows.ComparisonRow,
    "buckets": rows.BucketRow,
    "best": rows.BestRow,
    "first_calls": rows.FirstCallRow,
    "calibration": rows.CalibrationRow,
    "interference": rows.InterferenceRow,
    "profiles": rows_profile.ProfileRow,
    "operations": rows_profile.OperationRow,
}
"""The tables of a run, and what their rows are. The last two are there once ``ptdq why`` was called."""

TABLES = RUN_TABLES | {
    "shard": rows_beyond.ShardRow,
    "sensitivity": rows_beyond.SensitivityRow,
    "matrix": rows_beyond.MatrixRow,
}

_KINDS: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
}


@cache
def columns(row: type) -> dict[str, tuple[Any, ...]]:
    """The columns of a class of rows, in order: name to Python type, exact type if any, and meaning."""
    hints = get_type_hints(row, include_extras=True)
    return {name: get_args(hint) for name, hint in hints.items()}


def names(row: type) -> list[str]:
    """The names of the columns of a class of rows, in order."""
    return list(columns(row))


@cache
def schema(table: str) -> pa.Schema:
    """The pyarrow schema of ``table``, with each column's meaning as field metadata."""
    fields = []
    for name, (kind, *given, text) in columns(TABLES[table]).items():
        exact = given[0] if given else _data_type(kind)
        fields.append(pa.field(name, exact, metadata={"description": text}))
    return pa.schema(fields, metadata={"ptdq_table": table, "ptdq_schema": str(SCHEMA_VERSION)})


def _data_type(kind: Any) -> pa.DataType:
    """Of a Python type: a plain one, a list of these, choices of texts, each possibly with None."""
    if get_origin(kind) in (Union, types.UnionType):
        (common,) = {_data_type(option) for option in get_args(kind) if option is not type(None)}
        return common
    if get_origin(kind) is Literal:
        return pa.string()
    if get_origin(kind) is list:
        return pa.list_(_data_type(get_args(kind)[0]))
    return _KINDS[kind]


def merge(row: type[R], *parts: Mapping[str, object]) -> R:
    """A row from its parts; those columns that no part has become null when it is written.

    Raises:
        ValueError: a part has a column that the rows lack.
    """
    merged: dict[str, object] = {}
    for part in parts:
        merged.update(part)
    unknown = merged.keys() - set(names(row))
    if unknown:
        raise ValueError(f"{row.__name__}: undeclared columns {sorted(unknown)}")
    return cast(R, merged)


def table_of(row: type) -> str:
    """The table of a run whose rows are of a class."""
    return next(name for name, kind in RUN_TABLES.items() if kind is row)


def tables() -> list[str]:
    """Names of the tables of a run."""
    return list(RUN_TABLES)
