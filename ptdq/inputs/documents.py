"""Labelled documents: reading them, checking them, sampling them, matching labels to classes."""

from __future__ import annotations

import hashlib
import io
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ptdq.errors import UserError, line_of
from ptdq.inputs.compact import CompactTexts, as_column
from ptdq.inputs.grouping import Counts, count_groups, worth
from ptdq.inputs.hub_data import read_split
from ptdq.inputs.label_lists import ListColumn, list_rows, with_label_lists
from ptdq.inputs.labels import match_labels
from ptdq.inputs.pairs import Texts
from ptdq.inputs.rows import Rows, check_columns, column_names, open_rows
from ptdq.inputs.second_texts import is_text, pair_ids, second_texts
from ptdq.problem.task import SINGLE, Task
from ptdq.store.cache import cache_entry
from ptdq.store.disk import replacing
from ptdq.store.tables import make_table_of_columns, write_table


@dataclass(frozen=True)
class RawDocuments:
    """Documents as the file has them: labels are text, not yet matched to a model's classes.

    Attributes:
        name: what the user named.
        ids: stable id of each document: row number and hash of its text.
        texts: the documents.
        labels: label of each, as text.
        sampled_from: number of documents in the file where a sample was taken, else None.
        lines: of the file; None where it has none (Parquet, a data set).
        notes: what the file was found to be, other than its name says.
        all_labels: each label of the whole file, to the first row that has it.
        groups: name of the group of each, where the data names any.
        pairs: the second text of each; None where documents are single texts.
        list_rows: rows of the file whose label is a list; of the others it is one text or number.
    """

    name: str
    ids: Sequence[str]
    texts: Sequence[str]
    labels: list[str]
    sampled_from: int | None
    lines: int | None = None
    notes: tuple[str, ...] = ()
    all_labels: Mapping[str, int] = field(default_factory=dict)
    groups: list[str] | None = None
    pairs: Sequence[str] | None = None
    list_rows: tuple[int, ...] = ()

    @property
    def contents(self) -> Sequence[Any]:
        """What makes each document the one that it is: its text, or both of a pair."""
        return self.as_texts.contents

    @property
    def as_texts(self) -> Texts:
        """The documents as a tokenizer takes them."""
        return Texts(self.texts, self.pairs)

    def known_labels(self) -> Mapping[str, int]:
        """Each label to the first row that has it: of the whole file, where that is known."""
        if self.all_labels:
            return self.all_labels
        places: dict[str, int] = {}
        for place, label in enumerate(self.labels, 1):
            places.setdefault(label, place)
        return places

    @property
    def digest(self) -> str:
        """Identity of exactly these documents with these labels."""
        digest = hashlib.sha256()
        seconds = [] if self.pairs is None else [self.pairs]
        for parts in zip(self.texts, self.labels, *seconds, strict=True):
            for part in parts:
                data = part.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()

    @property
    def worth(self) -> float:
        """How many documents that stand alone they are worth: copies and groups count as fewer."""
        return worth(self.as_texts, self.groups)


@dataclass(frozen=True)
class Documents:
    """Documents on disk with class ids: a Parquet file of the schema ``documents``."""

    name: str
    path: Path
    digest: str
    count: int
    classes: dict[str, int]
    """Name of each class to its number of documents."""
    sampled_from: int | None
    counts: Counts
    """How many there are, if those that belong together count as one."""
    lines: int | None = None
    notes: tuple[str, ...] = ()
    pairs: bool = False
    """Whether each is a pair of texts."""
    queries: int | None = None
    """Number of queries whose candidates they are; None for other tasks."""
    task: Task = SINGLE
    """What their labels are for."""


TextColumns = str | tuple[str, str]
"""The column with the documents; of pairs of texts, both columns."""

LabelColumns = str | Sequence[str] | None
"""The column with the labels; several of 0 and 1, one for each label; None without labels."""


def read_documents(
    name: str,
    *,
    text_column: TextColumns,
    label_column: LabelColumns,
    encoding: str,
    limit: int | None,
    seed: int,
    split: str | None = None,
) -> RawDocuments:
    """Read a labelled file, or a split of a data set, and check every row.

    A file is read twice where a sample is taken: first the labels, then the documents that were chosen.

    Args:
        name: local path, ``http(s)://`` or any URL that fsspec opens (``hf://``, ``s3://``, …); its
            ending tells the type: csv, tsv, jsonl, ndjson, json or parquet, compressed or not.
        text_column: column with the documents; of pairs of texts, both columns.
        label_column: column with ids or names of classes; of several labels, one column for each; None
            where labels are not needed. Lists are refused but of a :class:`ListColumn`.
        encoding: of a text file.
        limit: size of a stratified sample; None for all.
        seed: of the sample.
        split: of the data set that ``name`` then names (:mod:`ptdq.inputs.hub_data`).

    Raises:
        UserError: whatever is wrong with the file; says where and what to do.
    """
    wanted = wanted_columns(text_column, label_column)
    check = Checking(text_column, label_column)
    if split is not None:
        frame = read_split(name, split)
        check_columns(name, wanted, frame.columns)
        values = [frame[column].tolist() for column in wanted]
        rows = Rows(name, wanted, [], lambda _: zip(*values, strict=True))
        return _collect(rows, check, limit, seed)
    with open_rows(name, encoding, wanted) as rows:
        return _collect(rows, check, limit, seed)


@dataclass(frozen=True)
class Checking:
    """Which columns of a file are read, and how.

    Attributes:
        text: column with the documents, or both.
        label: column with the labels, or several, if they are needed.
    """

    text: TextColumns
    label: LabelColumns

    def rows(self, frame: pd.DataFrame, name: str, first: int) -> Checked:
        """Rows that follow each other, checked; see :func:`check_rows`."""
        several = not isinstance(self.label, str | None)
        lists = list_rows(frame, self.label, first) if isinstance(self.label, ListColumn) else []
        label = self.label if isinstance(self.label, str) else None
        if several or lists:
            frame, label = with_label_lists(frame, name, self.label, first)
        text, second = (self.text, None) if isinstance(self.text, str) else self.text
        ids, texts, labels = check_rows(frame, name, text, label, first)
        if second is None:
            return Checked(ids, texts, None, labels, lists)
        pairs = second_texts(frame, name, second, first)
        return Checked(pair_ids(texts, pairs, first), texts, pairs, labels, lists)

    def pick(self, frame: pd.DataFrame, here: Sequence[int], first: int) -> Checked:
        """Ids and texts of some rows, which were checked before, by their places in the file."""
        names = [self.text] if isinstance(self.text, str) else self.text
        values = [frame[name].tolist() for name in names]
        picked = [[column[index - first] for index in here] for column in values]
        if not all(isinstance(text, str) for column in picked for text in column):
            return Checked([], [], None, [], [])
        if len(picked) == 1:
            texts = picked[0]
            ids = [document_id(index + 1, text) for index, text in zip(here, texts, strict=True)]
            return Checked(ids, texts, None, [], [])
        texts, pairs = picked
        each = zip(here, texts, pairs, strict=True)
        ids = [pair_ids([text], [pair], index + 1)[0] for index, text, pair in each]
        return Checked(ids, texts, pairs, [], [])


class Checked(NamedTuple):
    """Rows of a file."""

    ids: list[str]
    texts: list[str]
    pairs: list[str] | None
    labels: list[str]
    lists: list[int]
    """Rows whose label is a list."""


class _Kept:
    """Documents that are kept, piece by piece; their labels aside."""

    def __init__(self) -> None:
        self._ids: list[pa.StringArray] = []
        self._texts: list[pa.StringArray] = []
        self._pairs: list[pa.StringArray] = []
        self.count = 0

    def add(self, found: Checked) -> None:
        """Rows that follow."""
        self._ids.append(pa.array(found.ids, pa.string()))
        self._texts.append(pa.array(found.texts, pa.string()))
        self._pairs.append(pa.array(found.pairs or [], pa.string()))
        self.count += len(found.ids)

    def columns(self) -> tuple[CompactTexts, CompactTexts, CompactTexts]:
        """Ids, texts and second texts."""
        return CompactTexts(self._ids), CompactTexts(self._texts), CompactTexts(self._pairs)


def _collect(rows: Rows, check: Checking, limit: int | None, seed: int) -> RawDocuments:
    """The documents, or a sample of them; of the others no more than the labels are kept."""
    kept, count = _Kept(), 0
    labels: list[str] = []
    first_rows: dict[str, int] = {}
    list_rows: list[int] = []
    for frame in rows.pieces():
        found = check.rows(frame, rows.name, count + 1)
        for row, label in enumerate(found.labels, count + 1):
            first_rows.setdefault(label, row)
        # Of each label one copy.
        labels += map({label: label for label in first_rows}.__getitem__, found.labels)
        list_rows += found.lists
        count += len(frame)
        if limit is None or count <= limit:
            kept.add(found)
        else:
            kept = _Kept()
    if not count:
        raise no_row(rows.name, rows.columns)
    if limit is not None and limit < count:
        chosen = stratified_sample(labels, limit, seed)
        labels = [labels[index] for index in chosen]
        kept, first = _Kept(), 0
        for frame in rows.pieces():
            here = chosen[bisect_left(chosen, first) : bisect_left(chosen, first + len(frame))]
            kept.add(check.pick(frame, here, first))
            first += len(frame)
        if kept.count < len(chosen):
            raise UserError(f"{rows.name}: it was changed while it was read; start again")
    ids, texts, pairs = kept.columns()
    return RawDocuments(
        rows.name,
        ids,
        texts,
        labels,
        count if kept.count < count else None,
        rows.lines,
        tuple(rows.notes),
        first_rows,
        pairs=None if isinstance(check.text, str) else pairs,
        list_rows=tuple(list_rows),
    )


def document_id(row: int, text: str) -> str:
    """The id of a document: its row in the file, from 1, and a hash of its text."""
    return f"{row:07d}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def no_row(name: str, columns: Iterable[str]) -> UserError:
    """That a file has no document."""
    return UserError(
        f"{name}: columns {', '.join(columns)}, and no row; it needs a row for each document"
    )


def wanted_columns(text_column: TextColumns, label_column: LabelColumns) -> dict[str, str]:
    """The columns that are read, each with the option that names it."""
    text, *second = [text_column] if isinstance(text_column, str) else text_column
    wanted = {text: "--text-column"} | dict.fromkeys(second, "--text-pair-column")
    if isinstance(label_column, str):
        return wanted | {label_column: "--label-column"}
    return wanted | dict.fromkeys(label_column or (), "--label-columns")


def read_beginning(name: str, encoding: str, rows: int, split: str | None = None) -> pd.DataFrame:
    """The first rows of a file, or of a split of a data set, with all columns.

    Raises:
        UserError: it cannot be read, or has no row.
    """
    if split is not None:
        return read_split(name, split).head(rows)
    columns = dict.fromkeys(column_names(name, encoding), "--data")
    with open_rows(name, encoding, columns) as opened:
        for frame in opened.pieces(rows):
            return frame
    raise no_row(name, columns)


def keep_frame(frame: pd.DataFrame) -> Path:
    """A file of the cache with the rows of a frame, named by its content.

    Raises:
        UserError: Parquet has no type for a column of it.
    """
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, index=False)
    except (ValueError, TypeError, OSError) as error:
        raise UserError(
            f"data: the data frame cannot be written as Parquet ({line_of(error)})"
        ) from error
    path = cache_entry("documents", hashlib.sha256(buffer.getvalue()).hexdigest()).with_suffix(".parquet")
    if not path.is_file():
        with replacing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
    return path


def check_rows(
    frame: pd.DataFrame, name: str, text_column: str, label_column: str | None, first: int = 1
) -> tuple[list[str], list[str], list[str]]:
    """Ids, texts and labels (empty without a column for them) of the rows of a file.

    Args:
        frame: all rows of the file, or some that follow each other.
        name: of the file.
        text_column: column with the documents.
        label_column: column with ids or names of classes, if labels are needed.
        first: number of the first row in the file, from 1.

    Raises:
        UserError: a value is missing, or no text or no label.
    """
    texts = frame[text_column].tolist()
    bad = [row for row, text in enumerate(texts, first) if not is_text(text)]
    if bad:
        raise UserError(
            f"{name}: column '{text_column}' has {len(bad)} missing or non-text values, "
            f"in rows {_first(bad)}{_kinds(texts)}; remove them or name another text column"
        )
    labels = [""] * len(texts)
    if label_column is not None:
        values = frame[label_column].tolist()
        bad = [row for row, value in enumerate(values, first) if isinstance(value, _NO_LABELS)]
        if bad:
            raise no_labels(name, label_column, bad, _kinds(values))
        labels = [_label_text(value) for value in values]
        bad = [row for row, label in enumerate(labels, first) if label == ""]
        if bad:
            raise UserError(
                f"{name}: column '{label_column}' has {len(bad)} missing labels, in rows {_first(bad)}; "
                "complete or remove them"
            )
    return [document_id(row, text) for row, text in enumerate(texts, first)], texts, labels


def no_labels(name: str, column: str, rows: Sequence[int], kinds: str = " (lists)") -> UserError:
    """That values of a column are no labels of one class."""
    return UserError(
        f"{name}: column '{column}' has {len(rows)} values that are no labels, in rows "
        f"{_first(rows)}{kinds}; a label is a text or a number"
    )


_NO_LABELS = (bytes, list, tuple, dict, np.ndarray)
_KINDS = {
    bytes: "bytes",
    list: "lists",
    np.ndarray: "lists",
    dict: "objects",
    int: "numbers",
    float: "numbers",
}


def _kinds(values: Sequence[Any]) -> str:
    """What is among the values that is neither text nor missing, in words."""
    kinds = {type(value) for value in values if not (isinstance(value, float) and math.isnan(value))}
    words = sorted({word for kind, word in _KINDS.items() if kind in kinds})
    return f" ({', '.join(words)})" if words else ""


def _first(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")


def _label_text(value: Any) -> str:
    """A label as text: ``1``, ``1.0`` and ``"1"`` are the same label; missing is the empty text."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def stratified_sample(labels: Sequence[str], limit: int, seed: int) -> list[int]:
    """Indices of a sample in which each class keeps its share as nearly as whole numbers allow.

    Largest remainders; ties by the class's name. Indices are in the order of the file. Of more classes
    than the sample has places (numbers, sets of labels) any will do: it is not stratified.
    """
    random = np.random.default_rng(seed)
    places = {name: place for place, name in enumerate(sorted(set(labels)))}
    if len(places) > limit:
        return [int(index) for index in np.sort(random.permutation(len(labels))[:limit])]
    codes = np.fromiter((places[label] for label in labels), np.int64, len(labels))
    counts = np.bincount(codes)
    exact = counts * limit / len(labels)
    quotas = np.floor(exact).astype(int)
    short = limit - int(quotas.sum())
    quotas[np.argsort(-(exact - quotas), kind="stable")[:short]] += 1
    chosen = [
        random.permutation(np.flatnonzero(codes == code))[: quotas[code]] for code in range(len(places))
    ]
    return [int(index) for index in np.sort(np.concatenate(chosen))]


def class_ids(
    raw: RawDocuments, class_names: Sequence[str], label_map: Mapping[str, int] | None
) -> list[int]:
    """The class id of each document's label.

    How they are read: :func:`ptdq.inputs.labels.match_labels`.

    Raises:
        UserError: a label that the model does not know, or labels that can be read in two ways.
    """
    known = match_labels(raw.name, raw.known_labels(), class_names, label_map)
    return [known[label] for label in raw.labels]


def store_documents(raw: RawDocuments, ids: Sequence[int], class_names: Sequence[str]) -> Documents:
    """Write documents with class ids to the cache, by content."""
    counts = np.bincount(np.asarray(ids), minlength=len(class_names))
    digest = hashlib.sha256(f"{raw.digest} {list(class_names)}".encode()).hexdigest()
    grouped = count_groups(raw.as_texts, raw.groups)
    columns = {"label": np.asarray(ids), "group": raw.groups}
    path = write_documents(raw, digest, grouped, columns)
    return Documents(
        name=raw.name,
        path=path,
        digest=digest,
        count=len(ids),
        classes={name: int(count) for name, count in zip(class_names, counts, strict=True)},
        sampled_from=raw.sampled_from,
        lines=raw.lines,
        notes=raw.notes,
        counts=grouped,
        pairs=raw.pairs is not None,
    )


def write_documents(
    raw: RawDocuments, digest: str, counts: Counts, columns: Mapping[str, object]
) -> Path:
    """A file of the cache with documents and what is true of them.

    Groups make no other documents, so that runs with and without them compare; but another file.
    """
    content = digest
    if counts.digest is not None:
        content = hashlib.sha256(f"{digest} {counts.digest}".encode()).hexdigest()
    path = cache_entry("documents", content).with_suffix(".parquet")
    given = {"doc_id": raw.ids, "text": raw.texts, "pair": raw.pairs}
    columns = {name: as_column(texts) for name, texts in given.items()} | dict(columns)
    write_table(path, make_table_of_columns("documents", columns))
    return path
