"""The rows of a data file, piece by piece: nothing is lost or shifted in silence, or the file is refused.

CSV is read by RFC 4180, strictly: every row has the fields of the header, and a quote that opens a field
closes it. TSV is read so where it can be; else quotes are characters like others (IANA's
``text/tab-separated-values``). Never more than a piece is in memory, but for ``.json``.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from ptdq.errors import UserError, line_of
from ptdq.inputs.content import Content, explain_encoding, open_content, open_text, reading

PIECE = 10_000
"""Rows."""
_LONGEST_FIELD = 1 << 28
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_OWN = {".csv": ",", ".tsv": "\t"}
_SHOWN = 20
_ENOUGH = 1000
"""JSON objects that tell which columns there are."""


class Malformed(Exception):
    """A row that is not as the others; the text says where and what to do."""


@dataclass
class Rows:
    """The rows of a data file.

    Attributes:
        name: what the user named.
        columns: those that are read, each with the option that names it.
        notes: what was found to be other than the file's name says.
        values: the values of these columns, row by row.
        told: within it, what goes wrong is told in one line.
        lines: of the file, known after a pass over all rows; None for Parquet and ``.json``.
    """

    name: str
    columns: Mapping[str, str]
    notes: list[str]
    values: Callable[[Rows], Iterator[tuple[Any, ...]]]
    told: Callable[[], AbstractContextManager[None]] = nullcontext
    lines: int | None = None

    def pieces(self, rows: int = PIECE) -> Iterator[pd.DataFrame]:
        """All rows from the first, in frames of so many, the last one shorter. Values are as the file has
        them; None for what lacks.

        Raises:
            UserError: a row cannot be read; names it.
        """
        values = self.values(self)
        while True:
            with self.told():
                piece = list(itertools.islice(values, rows))
            if not piece:
                return
            columns = zip(self.columns, zip(*piece, strict=True), strict=True)
            yield pd.DataFrame(
                {name: pd.Series(list(entries), dtype=object) for name, entries in columns}
            )


@contextmanager
def open_rows(name: str, encoding: str, columns: Mapping[str, str]) -> Iterator[Rows]:
    """The rows of a data file, to be read as often as wanted within the block.

    Args:
        name: path or URL.
        encoding: of a text file.
        columns: those to read, each with the option that names it.

    Raises:
        UserError: the file is missing, unreadable, of an unknown type or malformed.
    """
    with open_content(name) as content:
        notes = [f"it is {content.packed}"] if content.packed and _unsaid(content) else []
        match content.kind:
            case ".parquet":
                values = partial(_parquet, content)
            case ".jsonl" | ".ndjson":
                values = partial(_json_lines, content, encoding)
            case ".json":
                values = partial(_json, content, encoding)
            case _:
                with _told(content, encoding):
                    layout = _layout(content, encoding, set(columns))
                notes += layout.notes(content.kind)
                values = partial(_separated, content, encoding, layout)
        yield Rows(name, columns, notes, values, partial(_told, content, encoding))


def column_names(name: str, encoding: str) -> list[str]:
    """Names of all columns of a data file; of JSON, those of the first objects.

    Args:
        name: path or URL.
        encoding: of a text file.

    Raises:
        UserError: the file is missing, unreadable, of an unknown type or malformed.
    """
    with open_content(name) as content, _told(content, encoding):
        if content.kind == ".parquet":
            with content.start() as file:
                return [
                    str(column) for column in pq.ParquetFile(file, pre_buffer=False).schema_arrow.names
                ]
        if content.kind in _OWN:
            return max((_header(content, encoding, one) for one in _SEPARATORS), key=len)
        names: dict[str, None] = {}
        for _, value in itertools.islice(_values(content, encoding), _ENOUGH):
            names |= dict.fromkeys(value if isinstance(value, dict) else ())
        return list(names)


@contextmanager
def _told(content: Content, encoding: str) -> Iterator[None]:
    """What goes wrong with the rows, in one line."""
    try:
        with reading(content.name):
            try:
                yield
            except UnicodeError as error:
                raise explain_encoding(content, encoding) from error
    except Malformed as error:
        raise UserError(f"data file {content.name}: {error}") from error


def _unsaid(content: Content) -> bool:
    """Whether the name does not say that the file is packed."""
    return content.name.lower().endswith(content.kind)


def check_columns(name: str, columns: Mapping[str, str], known: Iterable[object]) -> None:
    """That a file has the columns.

    Args:
        name: of the file.
        columns: those to read, each with the option that names it.
        known: names of all columns of the file.

    Raises:
        UserError: it lacks one, and says which there are; or has one twice.
    """
    names = [str(other) for other in known]
    for column, option in columns.items():
        if column not in names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            shown = ", ".join(names[:_SHOWN])
            raise UserError(
                f"{name}: no column '{column}'; there are {shown}{more}; choose with {option}"
            )
        if names.count(column) > 1:
            raise UserError(
                f"{name}: {names.count(column)} columns are called '{column}'; rename the others"
            )


@dataclass(frozen=True)
class Layout:
    """How a file of separated values is to be read."""

    separator: str
    quoted: bool

    def notes(self, kind: str) -> list[str]:
        """What a file of this kind would not lead one to expect."""
        notes = []
        if self.separator != _OWN[kind]:
            notes.append(f"separated by {_SEPARATORS[self.separator]}")
        if not self.quoted:
            notes.append("quotes are read as characters")
        return notes


def _layout(content: Content, encoding: str, columns: set[str]) -> Layout:
    own = _OWN[content.kind]
    others = [separator for separator in _SEPARATORS if separator != own]
    fitting = [one for one in (own, *others) if columns <= set(_header(content, encoding, one))]
    separator = fitting[0] if fitting else own
    if separator != "\t":
        return Layout(separator, True)
    spanning = plain = None
    try:
        spanning = _spans(content, encoding, Layout(separator, True))
        if spanning is None:
            return Layout(separator, True)
    except Malformed as error:
        plain = error
    try:
        _spans(content, encoding, Layout(separator, False))
    except Malformed:
        if plain is not None:
            raise plain from None
        return Layout(separator, True)
    if spanning is not None:
        raise Malformed(
            f"from line {spanning} on it can be read in two ways: one row by its quotes, or a row for "
            "each line; write it as CSV or JSON lines"
        )
    return Layout(separator, False)


def _spans(content: Content, encoding: str, layout: Layout) -> int | None:
    """The line where the first row of several lines begins, if there is one; all rows are read."""
    first_span = None
    with open_text(content, encoding) as file:
        for first, last, _ in _records(file, layout):
            if first_span is None and last > first:
                first_span = first
    return first_span


def _header(content: Content, encoding: str, separator: str) -> list[str]:
    """Empty where it cannot be read."""
    with open_text(content, encoding) as file, contextlib.suppress(Malformed):
        for _, _, record in _records(file, Layout(separator, True)):
            return record
    return []


def _separated(content: Content, encoding: str, layout: Layout, rows: Rows) -> Iterator[tuple[str, ...]]:
    with open_text(content, encoding) as file:
        counted = _Counted(file)
        records = _records(counted, layout)
        _, _, header = next(records, (0, 0, []))
        check_columns(rows.name, rows.columns, header)
        places = [header.index(column) for column in rows.columns]
        for _, _, record in records:
            yield tuple(record[place] for place in places)
        rows.lines = counted.lines


class _Counted:
    """Lines, counted."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._given, self.lines = iter(lines), 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        line = next(self._given)
        self.lines += 1
        return line


def _records(lines: Iterable[str], layout: Layout) -> Iterator[tuple[int, int, list[str]]]:
    """First line, last line and fields of each record, the header first; empty lines are none.

    Raises:
        Malformed: a quote is not closed or not alone, or a record has not the fields of the header.
    """
    if csv.field_size_limit() < _LONGEST_FIELD:
        csv.field_size_limit(_LONGEST_FIELD)  # the default refuses long documents
    reader = csv.reader(
        _without_mark(lines),
        delimiter=layout.separator,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
        strict=True,
    )
    width, number, before = 0, 0, 0
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Malformed(
                f"{_place(number, before + 1)}: a quote that is not closed, or text after a closing one "
                f"({error}); a text with quotes in it stands in quotes, with those written twice"
            ) from error
        if record and not (len(record) == 1 < width and not record[0].strip()):
            width = width or len(record)
            if len(record) != width:
                raise Malformed(
                    f"{_place(number, before + 1)} has {_fields(len(record))} and the header "
                    f"{width}; a text with {_SEPARATORS[layout.separator]} in it stands in quotes"
                )
            yield before + 1, reader.line_num, record
            number += 1
        before = reader.line_num


def _fields(count: int) -> str:
    return f"{count} field{'s' * (count != 1)}"


def _place(row: int, line: int) -> str:
    return f"row {row} (line {line})" if row else f"the header (line {line})"


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    """Without a byte-order mark, which is no part of the first column's name."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def _json_lines(content: Content, encoding: str, rows: Rows) -> Iterator[tuple[Any, ...]]:
    with open_text(content, encoding) as file:
        counted = _Counted(file)
        yield from _of_objects(_parsed(_without_mark(counted)), rows)
        rows.lines = counted.lines


def _parsed(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            hint = "; a file that is one array ends in .json" if number == 1 and line[0] == "[" else ""
            raise Malformed(f"line {number} is not valid JSON ({line_of(error)}){hint}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twice}' is there twice")
    return members


def _of_objects(values: Iterable[tuple[int, Any]], rows: Rows) -> Iterator[tuple[Any, ...]]:
    known: dict[str, None] = {}
    lacking, count = set(rows.columns), 0
    for count, (number, value) in enumerate(values, 1):
        if not isinstance(value, dict):
            raise Malformed(f"line {number} is no JSON object but {type(value).__name__}")
        if lacking:
            lacking -= value.keys()
            known |= dict.fromkeys(value)
            if count == _ENOUGH:
                check_columns(rows.name, rows.columns, known)
        yield tuple(value.get(column) for column in rows.columns)
    if lacking and count:
        check_columns(rows.name, rows.columns, known)


def _json(content: Content, encoding: str, rows: Rows) -> Iterator[tuple[Any, ...]]:
    """An array of objects; or lines of objects, which are often called so as well."""
    if _is_array(content, encoding):
        yield from _of_objects(_values(content, encoding), rows)
    else:
        yield from _json_lines(content, encoding, rows)


def _is_array(content: Content, encoding: str) -> bool:
    if content.kind != ".json":
        return False
    with open_text(content, encoding) as file:
        start = next((line for line in _without_mark(file) if line.strip()), "")
    return start.lstrip().startswith("[")


def _values(content: Content, encoding: str) -> Iterator[tuple[int, Any]]:
    """What a JSON file holds, with its line or its place in the array."""
    with open_text(content, encoding) as file:
        if not _is_array(content, encoding):
            yield from _parsed(_without_mark(file))
            return
        try:
            values = json.loads(file.read().removeprefix("\ufeff"), object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"it is not valid JSON ({line_of(error)})") from error
    yield from enumerate(values, 1)


def _parquet(content: Content, rows: Rows) -> Iterator[tuple[Any, ...]]:
    with content.start() as file:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        check_columns(rows.name, rows.columns, parquet.schema_arrow.names)
        for batch in parquet.iter_batches(PIECE, columns=list(rows.columns)):
            yield from zip(*(batch[column].to_pylist() for column in rows.columns), strict=True)
