"""A labelled file of any size, split: never more than a piece of it in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ptdq.inputs.documents import check_rows, no_row, wanted_columns
from ptdq.inputs.grouping import group_names
from ptdq.inputs.labels import match_labels, read_label_map
from ptdq.inputs.rows import PIECE, open_rows
from ptdq.inputs.second_texts import pair_ids, second_texts
from ptdq.parameters import Parameters
from ptdq.store.disk import replacing
from ptdq.store.schema import schema
from ptdq.store.tables import make_table_of_columns


def split_documents(parameters: Parameters, class_names: list[str], rows: int, target: Path) -> None:
    """Write the file as one of the schema ``documents``, with a row group for every ``rows`` rows.

    Ids are those that :func:`ptdq.inputs.documents.read_documents` gives. The file is read twice: what a
    label means depends on all of them.

    Args:
        parameters: data, columns, label_map and encoding, as for a run.
        class_names: of the model, by id.
        rows: documents of a row group.
        target: the file; it is there whole or not at all.

    Raises:
        UserError: whatever is wrong with the file; says where.
    """
    name, columns = parameters.data, (parameters.text_column, parameters.label_column)
    label_map = read_label_map(parameters.label_map)
    with open_rows(name, parameters.encoding, _columns(parameters)) as file:
        labels: dict[str, int] = {}
        first = 1
        for frame in file.pieces(PIECE):
            for row, label in enumerate(check_rows(frame, name, *columns, first)[2], first):
                labels.setdefault(label, row)
            first += len(frame)
        if first == 1:
            raise no_row(name, file.columns)
        known = match_labels(name, labels, class_names, label_map)
        first = 1
        with replacing(target) as temporary, pq.ParquetWriter(temporary, schema("documents")) as writer:
            for frame in file.pieces(rows):
                ids, texts, of_rows = check_rows(frame, name, *columns, first)
                pairs = _pairs(frame, parameters, first)
                found_columns = {
                    "doc_id": ids if pairs is None else pair_ids(texts, pairs, first),
                    "text": texts,
                    "pair": pairs,
                    "label": np.asarray([known[label] for label in of_rows]),
                    "group": _groups(frame, parameters, first),
                }
                table = make_table_of_columns("documents", found_columns)
                writer.write_table(table, row_group_size=rows)
                first += len(frame)


def check_beginning(parameters: Parameters, rows: int = 100) -> None:
    """Check the first rows of the file: that it can be read, and has the columns asked for.

    Raises:
        UserError: whatever is wrong with them.
    """
    columns = (parameters.text_column, parameters.label_column)
    frames = read_frames(parameters.data, parameters.encoding, rows, _columns(parameters))
    for frame in itertools.islice(frames, 1):
        check_rows(frame, parameters.data, *columns)
        _pairs(frame, parameters, 1)
        _groups(frame, parameters, 1)


def _columns(parameters: Parameters) -> dict[str, str]:
    """Those that are read, each with the option that names it."""
    wanted = wanted_columns(parameters.text_columns, parameters.label_column)
    if parameters.group_column is not None:
        wanted[parameters.group_column] = "--group-column"
    return wanted


def _pairs(frame: pd.DataFrame, parameters: Parameters, first: int) -> list[str] | None:
    if parameters.pair_column is None:
        return None
    return second_texts(frame, parameters.data, parameters.pair_column, first)


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
