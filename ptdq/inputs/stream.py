"""A labelled file read piece by piece, whatever its size: never more than a piece in memory."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ptdq.errors import UserError
from ptdq.inputs.columns import pair_ids, second_texts
from ptdq.inputs.documents import RawDocuments, check_rows, class_ids, read_label_map
from ptdq.parameters import Parameters
from ptdq.store.disk import replacing
from ptdq.store.schema import schema
from ptdq.store.tables import make_table_of_columns

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def split_documents(parameters: Parameters, class_names: list[str], rows: int, target: Path) -> None:
    """Write the file as one of the schema ``documents``, with a row group for every ``rows`` rows.

    Ids are those that :func:`ptdq.inputs.documents.read_documents` gives.

    Args:
        parameters: data, text_column, label_column, label_map and encoding, as for a run.
        class_names: of the model, by id.
        rows: documents of a row group.
        target: the file; it is there whole or not at all.

    Raises:
        UserError: whatever is wrong with the file; says where.
    """
    label_map = read_label_map(parameters.label_map)
    first = 1
    with replacing(target) as temporary, pq.ParquetWriter(temporary, schema("documents")) as writer:
        for frame in read_frames(parameters.data, parameters.encoding, rows, _columns(parameters)):
            documents = _checked(parameters, frame, first)
            columns = {
                "doc_id": documents.ids,
                "text": documents.texts,
                "pair": documents.pairs,
                "label": np.asarray(class_ids(documents, class_names, label_map)),
            }
            table = make_table_of_columns("documents", columns)
            writer.write_table(table, row_group_size=rows)
            first += len(documents.ids)
        if first == 1:
            raise UserError(f"{parameters.data}: no row; it needs a row for each document")


def check_beginning(parameters: Parameters, rows: int = 100) -> None:
    """Check the first rows of the file: that it can be read, and has the columns asked for.

    Raises:
        UserError: whatever is wrong with them.
    """
    frames = read_frames(parameters.data, parameters.encoding, rows, _columns(parameters))
    for frame in itertools.islice(frames, 1):
        _checked(parameters, frame, 1)
    frames.close()


def _columns(parameters: Parameters) -> list[str]:
    """The columns that are read."""
    named = (parameters.text_column, parameters.pair_column, parameters.label_column)
    return [name for name in named if name is not None]


def _checked(parameters: Parameters, frame: pd.DataFrame, first: int) -> RawDocuments:
    """Some rows of the file, checked; ``first`` is the number of the first of them."""
    name, columns = parameters.data, (parameters.text_column, parameters.label_column)
    ids, texts, labels = check_rows(frame, name, *columns, first)
    if parameters.pair_column is None:
        return RawDocuments(name, "", ids, texts, labels, None)
    pairs = second_texts(frame, name, parameters.pair_column, first)
    return RawDocuments(name, "", pair_ids(texts, pairs, first), texts, labels, None, pairs)


def read_frames(
    name: str, encoding: str, rows: int, columns: list[str]
) -> Generator[pd.DataFrame, None, None]:
    """Frames of ``rows`` rows, the last one shorter.

    Raises:
        UserError: the file is missing, unreadable or of an unknown type.
    """
    try:
        with fsspec.open(name, "rb", compression="infer") as file:
            yield from _regrouped(_pieces(name, file, encoding, rows, columns), rows)
    except FileNotFoundError as error:
        raise UserError(f"data file {name}: no such file; --data takes a path or a URL") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"data file {name}: byte {error.object[error.start]:#04x} is not {encoding} (--encoding)"
        ) from error
    except (OSError, ValueError, LookupError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"data file {name}: cannot be read ({reason})") from error


def _pieces(name: str, file: Any, encoding: str, rows: int, columns: list[str]) -> Iterator[pd.DataFrame]:
    path = PurePosixPath(name)
    suffix = (PurePosixPath(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix).lower()
    if suffix in _SEPARATORS:
        yield from pd.read_csv(
            file, sep=_SEPARATORS[suffix], dtype=str, na_filter=False, chunksize=rows, encoding=encoding
        )
    elif suffix in _LINES:
        yield from pd.read_json(file, lines=True, dtype=False, chunksize=rows, encoding=encoding)
    elif suffix == ".parquet":
        parquet = pq.ParquetFile(file, pre_buffer=False)
        known = parquet.schema_arrow.names
        wanted = [column for column in columns if column in known]  # what lacks is named later
        for batch in parquet.iter_batches(min(rows, 10_000), columns=wanted or None):
            yield pa.Table.from_batches([batch]).to_pandas()
    else:
        known = [*_SEPARATORS, *_LINES, ".parquet"]
        raise UserError(f"{name}: unknown type of file '{path.suffix}'; known are {', '.join(known)}")


def _regrouped(frames: Iterator[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of ``rows`` rows."""
    held: list[pd.DataFrame] = []
    count = 0
    for frame in frames:
        while count + len(frame) >= rows:
            taken = rows - count
            yield pd.concat([*held, frame.iloc[:taken]], ignore_index=True)
            held, count, frame = [], 0, frame.iloc[taken:]
        if len(frame):
            held.append(frame)
            count += len(frame)
    if held:
        yield pd.concat(held, ignore_index=True)
