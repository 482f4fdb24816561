"""A labelled file of any size, split: never more than a piece of it in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ptdq.errors import UserError
from ptdq.inputs.documents import Checked, Checking, no_row, wanted_columns
from ptdq.inputs.grouping import group_names
from ptdq.inputs.label_lists import ListColumn
from ptdq.inputs.labels import match_labels, read_label_map
from ptdq.inputs.rows import PIECE, Rows, open_rows
from ptdq.inputs.targets import are_indicators, none_relevant, query_ids, targets_of
from ptdq.parameters import Parameters
from ptdq.problem.task import OF_CLASSES, SINGLE, Task
from ptdq.store.disk import replacing
from ptdq.store.schema import schema
from ptdq.store.tables import make_table_of_columns


class _Piece(NamedTuple):
    """Rows that follow each other."""

    name: str
    first: int
    """Number of the first row in the file, from 1."""
    rows: Checked
    groups: list[str] | None

    @property
    def ids(self) -> list[str]:
        return self.rows.ids

    @property
    def labels(self) -> list[str]:
        return self.rows.labels

    def part(self, start: int, end: int | None = None) -> _Piece:
        """Some of the rows."""
        of, here = self.rows, slice(start, end)
        pairs = None if of.pairs is None else of.pairs[here]
        rows = Checked(of.ids[here], of.texts[here], pairs, of.labels[here], [])
        groups = None if self.groups is None else self.groups[here]
        return _Piece(self.name, self.first + start, rows, groups)

    def then(self, other: _Piece) -> _Piece:
        """These rows and those that follow."""
        pairs = None if self.rows.pairs is None else [*self.rows.pairs, *(other.rows.pairs or [])]
        a, b = self.rows, other.rows
        rows = Checked(a.ids + b.ids, a.texts + b.texts, pairs, a.labels + b.labels, [])
        groups = None if self.groups is None else [*self.groups, *(other.groups or [])]
        return _Piece(self.name, self.first, rows, groups)


_Truth = Callable[[_Piece], dict[str, object]]
"""From rows to the columns that say what is true of them."""


def split_documents(
    parameters: Parameters, class_names: list[str], rows: int, target: Path, task: Task = SINGLE
) -> None:
    """Write the file as one of the schema ``documents``, with a row group for every ``rows`` rows.

    Ids are those that :func:`ptdq.inputs.documents.read_documents` gives. The file is read twice: what a
    label means depends on all of them. A query's candidates are in one row group, which then has some
    rows more or less.

    Args:
        parameters: data, columns, label_map and encoding, as for a run.
        class_names: of the model, by id.
        rows: documents of a row group.
        target: the file; it is there whole or not at all.
        task: what the model answers.

    Raises:
        UserError: whatever is wrong with the file; says where.
    """
    with open_rows(parameters.data, parameters.encoding, _columns(parameters)) as found:
        truth = _look_through(found, parameters, class_names, task)
        pieces = _pieces(found, parameters, task, rows)
        if task == "rerank":
            pieces = _whole_queries(pieces, parameters.text_column)
        relevant = False
        with replacing(target) as temporary, pq.ParquetWriter(temporary, schema("documents")) as writer:
            for piece in pieces:
                columns = truth(piece)
                relevant = relevant or bool(np.any(np.asarray(columns.get("target", 1)) > 0))
                table = make_table_of_columns(
                    "documents",
                    {
                        "doc_id": piece.ids,
                        "text": piece.rows.texts,
                        "pair": piece.rows.pairs,
                        "group": piece.groups,
                        **columns,
                    },
                )
                writer.write_table(table, row_group_size=max(rows, len(piece.ids)))
            if task == "rerank" and not relevant:
                raise none_relevant(parameters.data)


def _look_through(found: Rows, parameters: Parameters, class_names: list[str], task: Task) -> _Truth:
    """Read all labels, without keeping them, and say what each means."""
    labels: dict[str, int] = {}
    count, indicators = 0, True
    for piece in _pieces(found, parameters, task, PIECE):
        count += len(piece.ids)
        if task in OF_CLASSES:
            for row, label in enumerate(piece.labels, piece.first):
                labels.setdefault(label, row)
        elif task == "multi-label":
            indicators = indicators and are_indicators(piece.labels, len(class_names))
    if not count:
        raise no_row(found.name, found.columns)
    if task in OF_CLASSES:
        known = match_labels(found.name, labels, class_names, read_label_map(parameters.label_map))
        return lambda piece: {"label": np.asarray([known[label] for label in piece.labels])}

    def targets(piece: _Piece) -> dict[str, object]:
        column = targets_of(piece, task, class_names, indicators=indicators)
        if task != "rerank":
            return {"target": column}
        return {"target": column, "group": query_ids(piece.rows.texts)}

    return targets


def _pieces(found: Rows, parameters: Parameters, task: Task, rows: int) -> Iterator[_Piece]:
    """The file in pieces of so many rows, checked."""
    check, first = _checking(parameters, task), 1
    for frame in found.pieces(rows):
        yield _Piece(
            found.name, first, check.rows(frame, found.name, first), _groups(frame, parameters, first)
        )
        first += len(frame)


def _whole_queries(pieces: Iterable[_Piece], column: str) -> Iterator[_Piece]:
    """The same rows, with the candidates of a query in one piece.

    Raises:
        UserError: they do not follow one another: they would have to be searched for in the whole file.
    """
    seen: set[str] = set()
    held: _Piece | None = None
    for piece in pieces:
        joined = piece if held is None else held.then(piece)
        queries = joined.rows.texts
        last = next((n for n in range(len(queries) - 1, 0, -1) if queries[n] != queries[n - 1]), 0)
        if last:
            yield _new_queries(joined.part(0, last), seen, column)
        held = joined.part(last)
    if held is not None:
        yield _new_queries(held, seen, column)


def _new_queries(piece: _Piece, seen: set[str], column: str) -> _Piece:
    queries = query_ids(piece.rows.texts)
    for row, query in enumerate(queries, piece.first):
        place = row - piece.first
        if place and query == queries[place - 1]:
            continue
        if query in seen:
            raise UserError(
                f"{piece.name}: the query of row {row} has candidates in rows further up as well, and "
                f"others between; sort the rows by column '{column}', so that one shard takes them all"
            )
        seen.add(query)
    return piece


def check_beginning(parameters: Parameters, rows: int = 100, task: Task = SINGLE) -> None:
    """Check the first rows of the file: that it can be read, and has the columns asked for.

    Raises:
        UserError: whatever is wrong with them.
    """
    with open_rows(parameters.data, parameters.encoding, _columns(parameters)) as found:
        for _ in itertools.islice(_pieces(found, parameters, task, rows), 1):
            pass


def _checking(parameters: Parameters, task: Task) -> Checking:
    if parameters.label_columns:
        return Checking(parameters.text_columns, parameters.label_columns)
    name = parameters.label_column
    return Checking(parameters.text_columns, name if task in OF_CLASSES else ListColumn(name))


def _columns(parameters: Parameters) -> dict[str, str]:
    """Those that are read, each with the option that names it."""
    label = parameters.label_columns or parameters.label_column
    wanted = wanted_columns(parameters.text_columns, label)
    if parameters.group_column is not None:
        wanted[parameters.group_column] = "--group-column"
    return wanted


def _groups(frame: pd.DataFrame, parameters: Parameters, first: int) -> list[str] | None:
    if parameters.group_column is None:
        return None
    return group_names(frame, parameters.data, parameters.group_column, first)


def read_frames(
    name: str, encoding: str, rows: int, columns: Mapping[str, str]
) -> Iterator[pd.DataFrame]:
    """Frames of ``rows`` rows, the last one shorter, with these columns and the options that name them.

    Raises:
        UserError: the file is missing, unreadable, of an unknown type or malformed, or lacks a column.
    """
    with open_rows(name, encoding, columns) as file:
        yield from file.pieces(rows)
