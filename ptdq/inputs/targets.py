"""What is true of each document, for tasks in which it is not one class: read, checked, as numbers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ptdq.errors import UserError
from ptdq.inputs.documents import Documents, RawDocuments, write_documents
from ptdq.inputs.grouping import count_groups
from ptdq.problem.task import Task

Floats = NDArray[np.float64]


def store_targets(raw: RawDocuments, task: Task, class_names: Sequence[str]) -> Documents:
    """Write documents with what is true of them to the cache, by content.

    Raises:
        UserError: see :func:`targets_of`; and queries without a relevant candidate.
    """
    targets = targets_of(raw, task, class_names)
    queries = None
    groups: list[str] | None = None
    if task == "rerank":
        groups = query_ids(raw.texts)
        queries = len(set(groups))
        if not (targets > 0).any():
            raise none_relevant(raw.name)
    digest = hashlib.sha256(f"{raw.digest} {task} {list(class_names)}".encode()).hexdigest()
    grouped = count_groups(raw.as_texts, raw.groups)
    columns = {"target": targets, "group": raw.groups if groups is None else groups}
    path = write_documents(raw, digest, grouped, columns)
    counts = targets.sum(axis=0) if task == "multi-label" else []
    return Documents(
        name=raw.name,
        path=path,
        digest=digest,
        count=len(raw.ids),
        classes={name: int(count) for name, count in zip(class_names, counts, strict=False)},
        sampled_from=raw.sampled_from,
        lines=raw.lines,
        notes=raw.notes,
        counts=grouped,
        pairs=raw.pairs is not None,
        queries=queries,
    )


def query_ids(texts: Sequence[str]) -> list[str]:
    """Groups of candidates, by the text of their query."""
    return [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16] for text in texts]


def none_relevant(name: str) -> UserError:
    """That a file ranks nothing."""
    return UserError(
        f"{name}: no candidate is relevant; the label of each row is the relevance of the "
        "candidate (--text-pair-column) for the query (--text-column), over 0 for some"
    )


class Labelled(Protocol):
    """Documents of a file, or some of them: their ids, and their labels as texts."""

    @property
    def name(self) -> str: ...
    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def labels(self) -> Sequence[str]: ...


def targets_of(
    raw: Labelled, task: Task, class_names: Sequence[str], *, indicators: bool | None = None
) -> Floats:
    """What is true of each document [N, labels], or [N, 1]: a value, or the relevance of a candidate.

    Args:
        raw: the documents.
        task: none of those in which a document is given one class.
        class_names: by class id.
        indicators: of the task multi-label, what :func:`are_indicators` says of the whole file; None
            where these are all of its documents.

    Raises:
        UserError: a label that the task cannot have, or that the model does not know.
    """
    if task == "multi-label":
        if indicators is None:
            indicators = are_indicators(raw.labels, len(class_names))
        return _label_sets(raw, class_names, indicators)
    values = np.array([_number(raw, place, task) for place in range(len(raw.labels))])
    if task == "rerank" and (values < 0).any():
        row = _row(raw, int(np.argmax(values < 0)))
        raise UserError(f"{raw.name}: the relevance in row {row} is below 0; 0 means not relevant")
    return values[:, None]


def _number(raw: Labelled, place: int, task: Task) -> float:
    try:
        value = float(raw.labels[place])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = "a number" if task == "regression" else "a relevance: a number, 0 where not relevant"
        raise UserError(
            f"{raw.name}: label '{raw.labels[place]}' in row {_row(raw, place)} is no number, and the "
            f"task {task} needs {what}; name the column with --label-column"
        )
    return value


def are_indicators(labels: Sequence[str], count: int) -> bool:
    """Whether each list is 0 or 1 for every one of ``count`` labels.

    Lists of ids would repeat an id, so that nothing is taken for the other.
    """
    lists = map(_list, labels)
    return count > 1 and all(len(row) == count and all(map(_bit, row)) for row in lists)


def _label_sets(raw: Labelled, class_names: Sequence[str], indicators: bool) -> Floats:
    """0 or 1 for each label [N, K]; the file's lists are names, ids, or 0 and 1 for every label."""
    lists = [_list(text) for text in raw.labels]
    count = len(class_names)
    if indicators:
        return np.array(lists, np.float64)
    by_name = {name: index for index, name in enumerate(class_names)}
    targets = np.zeros((len(lists), count))
    for place, row in enumerate(lists):
        for value in row:
            index = by_name.get(value) if isinstance(value, str) else None
            if index is None and str(value).isascii() and str(value).isdigit():
                index = int(str(value))
            if index is None or not 0 <= index < count:
                raise UserError(
                    f"{raw.name}: label '{value}' in row {_row(raw, place)} is not known to the model, "
                    f"which has {', '.join(class_names)} (ids 0 to {count - 1}); the task multi-label "
                    "takes a list of names or of ids in each row, or --label-columns"
                )
            targets[place, index] = 1
    return targets


def _list(text: str) -> list[Any]:
    """The labels of a row: a list in JSON, or a single one."""
    try:
        value = json.loads(text)
    except ValueError:
        return [text]
    return value if isinstance(value, list) else [text]


def _bit(value: Any) -> bool:
    return type(value) in (int, float, bool) and value in (0, 1)


def _row(raw: Labelled, place: int) -> int:
    return int(raw.ids[place].split("-")[0])
