"""Labelled documents: reading them, checking them, sampling them, matching labels to classes."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import numpy as np
import pandas as pd

from ptdq.errors import UserError, line_of
from ptdq.inputs.columns import pair_ids, second_texts, with_label_lists
from ptdq.inputs.hub_data import read_split
from ptdq.inputs.pairs import Texts
from ptdq.problem.task import SINGLE, Task
from ptdq.store.cache import cache_entry
from ptdq.store.disk import replacing
from ptdq.store.tables import make_table_of_columns, write_table

_READERS = {".csv": ",", ".tsv": "\t", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True)
class RawDocuments:
    """Documents as the file has them: labels are text, not yet matched to a model's classes.

    Attributes:
        name: what the user named.
        file_digest: SHA-256 of the file's bytes.
        ids: stable id of each document: row number and hash of its text.
        texts: the documents.
        labels: label of each, as text.
        sampled_from: number of documents in the file where a sample was taken, else None.
        pairs: the second text of each; None where documents are single texts.
    """

    name: str
    file_digest: str
    ids: list[str]
    texts: list[str]
    labels: list[str]
    sampled_from: int | None
    pairs: list[str] | None = None

    @property
    def contents(self) -> Sequence[object]:
        """What makes each document the one that it is: its text, or both of a pair."""
        return Texts(self.texts, self.pairs).contents

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
    pairs: bool = False
    """Whether each is a pair of texts."""
    queries: int | None = None
    """Number of queries whose candidates they are; None for other tasks."""
    task: Task = SINGLE
    """What their labels are for."""


def read_documents(
    name: str,
    *,
    text_column: str | tuple[str, str],
    label_column: str | Sequence[str] | None,
    encoding: str,
    limit: int | None,
    seed: int,
    split: str | None = None,
) -> RawDocuments:
    """Read a labelled file, or a split of a data set, and check every row.

    Args:
        name: local path or any URL that fsspec opens (``hf://``, ``s3://``, …); the type is known
            by its ending: csv, tsv, jsonl, ndjson or parquet, compressed or not.
        text_column: column with the documents; of pairs of texts, both columns.
        label_column: column with ids or names of classes; of several labels, one column for each; None
            where labels are not needed.
        encoding: of a text file.
        limit: size of a stratified sample; None for all.
        seed: of the sample.
        split: of the data set that ``name`` then names (:mod:`ptdq.inputs.hub_data`).

    Raises:
        UserError: whatever is wrong with the file; says where and what to do.
    """
    if split is not None:
        frame, file_digest = read_split(name, split), ""
    else:
        frame, file_digest = _read_frame(name, encoding)
    text_column, pair_column = (text_column, None) if isinstance(text_column, str) else text_column
    frame, label_column = with_label_lists(frame, name, label_column)
    ids, texts, labels = check_rows(frame, name, text_column, label_column)
    pairs = None if pair_column is None else second_texts(frame, name, pair_column)
    if pairs is not None:
        ids = pair_ids(texts, pairs)
    sampled_from = None
    if limit is not None and limit < len(texts):
        sampled_from = len(texts)
        chosen = stratified_sample(labels, limit, seed)
        ids, texts, labels = ([values[i] for i in chosen] for values in (ids, texts, labels))
        pairs = None if pairs is None else [pairs[i] for i in chosen]
    return RawDocuments(name, file_digest, ids, texts, labels, sampled_from, pairs)


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
        UserError: a column is missing, there is no row, or a value is missing or no text.
    """
    for column in filter(None, (text_column, label_column)):
        if column not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            option = "--text-column" if column == text_column else "--label-column"
            raise UserError(f"{name}: no column '{column}'; there are {known}; choose with {option}")
    if frame.empty:
        known = ", ".join(map(str, frame.columns))
        raise UserError(f"{name}: columns {known}, and no row; it needs a row for each document")
    texts = frame[text_column].tolist()
    bad = [row for row, text in enumerate(texts, first) if not isinstance(text, str) or not text.strip()]
    if bad:
        raise UserError(
            f"{name}: column '{text_column}' has {len(bad)} missing or non-text values, "
            f"in rows {_first(bad)}; remove them or name another text column"
        )
    labels = [""] * len(texts)
    if label_column is not None:
        labels = [_label_text(value) for value in frame[label_column].tolist()]
        bad = [row for row, label in enumerate(labels, first) if label == ""]
        if bad:
            raise UserError(
                f"{name}: column '{label_column}' has {len(bad)} missing labels, in rows {_first(bad)}; "
                "complete or remove them"
            )
    ids = [f"{row:07d}-{_short(text)}" for row, text in enumerate(texts, first)]
    return ids, texts, labels


def _read_frame(name: str, encoding: str) -> tuple[pd.DataFrame, str]:
    path = PurePosixPath(name)
    suffix = PurePosixPath(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix
    kind = _READERS.get(suffix.lower())
    if kind is None:
        known = ", ".join(_READERS)
        raise UserError(
            f"{name}: unknown type of file '{path.suffix}'; known endings are {known}; "
            "a data set by its name needs --split"
        )
    try:
        with fsspec.open(name, "rb", compression="infer") as file:
            data: bytes = file.read()
    except FileNotFoundError as error:
        raise UserError(f"data file {name}: no such file; --data takes a path or a URL") from error
    except IsADirectoryError as error:
        raise UserError(f"data file {name}: it is a directory; name the file in it") from error
    except (ImportError, ValueError) as error:
        # fsspec names the package that a protocol needs, and protocols that it does not know.
        raise UserError(f"data file {name}: {error}") from error
    except OSError as error:
        raise UserError(f"data file {name}: cannot be read ({error})") from error
    if not data:
        raise UserError(f"data file {name}: it is empty; it needs a row for each document")
    digest = hashlib.sha256(data).hexdigest()
    try:
        if kind == "parquet":
            return pd.read_parquet(io.BytesIO(data)), digest
        text = _decode(name, data, encoding)
        if kind == "json":
            return pd.read_json(io.StringIO(text), lines=True, dtype=False), digest
        frame = pd.read_csv(io.StringIO(text), sep=kind, dtype=str, na_filter=False)
        return frame, digest
    except UserError:
        raise
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"data file {name}: not readable as {suffix[1:]} ({reason})") from error


def _decode(name: str, data: bytes, encoding: str) -> str:
    try:
        # A byte-order mark is no part of the first column's name.
        return data.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise UserError(f"encoding '{encoding}': no such encoding") from error
    except UnicodeDecodeError as error:
        fits = [other for other in ("utf-8", "gb18030", "utf-16", "big5") if _decodes(data, other)]
        hint = f"; it decodes as {fits[0]}: try --encoding {fits[0]}" if fits else ""
        raise UserError(
            f"data file {name}: byte {error.start} (0x{data[error.start]:02x}) is not {encoding}{hint}"
        ) from error


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _first(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")


def _label_text(value: Any) -> str:
    """A label as text: ``1``, ``1.0`` and ``"1"`` are the same label; missing is the empty text."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def stratified_sample(labels: Sequence[str], limit: int, seed: int) -> list[int]:
    """Indices of a sample in which each class keeps its share as nearly as whole numbers allow.

    Largest remainders; ties by the class's name. Indices are in the order of the file. Of more classes
    than the sample has places (numbers, sets of labels) any will do: it is not stratified.
    """
    random = np.random.default_rng(seed)
    names, codes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    if len(names) > limit:
        return [int(index) for index in np.sort(random.permutation(len(labels))[:limit])]
    exact = counts * limit / len(labels)
    quotas = np.floor(exact).astype(int)
    short = limit - int(quotas.sum())
    quotas[np.argsort(-(exact - quotas), kind="stable")[:short]] += 1
    chosen = [
        random.permutation(np.flatnonzero(codes == code))[: quotas[code]] for code in range(len(names))
    ]
    return [int(index) for index in np.sort(np.concatenate(chosen))]


def class_ids(
    raw: RawDocuments, class_names: Sequence[str], label_map: Mapping[str, int] | None
) -> list[int]:
    """The class id of each document's label.

    A label is looked up in ``label_map`` if there is one; else among the model's class names; else
    it is read as an id.

    Raises:
        UserError: a label that the model does not know.
    """
    by_name = {name: index for index, name in enumerate(class_names)}
    known: dict[str, int] = {}
    ids: list[int] = []
    for row, label in zip(raw.ids, raw.labels, strict=True):
        if label not in known:
            if label_map is not None:
                index = label_map.get(label)
            else:
                index = by_name.get(label, int(label) if label.isascii() and label.isdigit() else None)
            if index is None or not 0 <= index < len(class_names):
                where = "the label map" if label_map is not None else "the model"
                names = label_map if label_map is not None else class_names
                raise UserError(
                    f"{raw.name}: label '{label}' in row {int(row.split('-')[0])} is not known to "
                    f"{where}, which has {', '.join(names)} (ids 0 to {len(class_names) - 1}); "
                    "a label map translates (--label-map)"
                )
            known[label] = index
        ids.append(known[label])
    return ids


def read_label_map(path: str | None) -> dict[str, int] | None:
    """A JSON object from label to class id.

    Raises:
        UserError: missing, not JSON, or values that are no whole numbers.
    """
    if path is None:
        return None
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"label map {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"label map {path}: not valid JSON ({error})") from error
    if not isinstance(value, dict) or not all(type(v) is int for v in value.values()):
        raise UserError(f"label map {path}: expected an object from label to class id")
    return value


def store_documents(raw: RawDocuments, ids: Sequence[int], class_names: Sequence[str]) -> Documents:
    """Write documents with class ids to the cache, by content."""
    counts = np.bincount(np.asarray(ids), minlength=len(class_names))
    digest = hashlib.sha256(f"{raw.digest} {list(class_names)}".encode()).hexdigest()
    path = cache_entry("documents", digest).with_suffix(".parquet")
    columns = {"doc_id": raw.ids, "text": raw.texts, "pair": raw.pairs, "label": np.asarray(ids)}
    write_table(path, make_table_of_columns("documents", columns))
    return Documents(
        name=raw.name,
        path=path,
        digest=digest,
        count=len(ids),
        classes={name: int(count) for name, count in zip(class_names, counts, strict=True)},
        sampled_from=raw.sampled_from,
        pairs=raw.pairs is not None,
    )
