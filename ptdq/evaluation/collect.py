"""The results of an evaluation's shards: those that are there, those that failed, and their sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pandas.util import hash_array

from ptdq.errors import RunFailed
from ptdq.evaluation.shards import ShardRequest, ShardResult, count_shards, read_result
from ptdq.evaluation.tally import Scores, scores_of
from ptdq.host import terminal
from ptdq.store import evaluation_record
from ptdq.store.layout import ShardFiles
from ptdq.store.record_model import EvaluationRecord

Floats = NDArray[np.float64]


class Scoring(Protocol):
    """The future of a shard."""

    def result(self, *, raise_on_failure: bool) -> Any:
        """A :class:`ShardResult`, or the error."""


def missing_shards(files: ShardFiles) -> list[int]:
    """Numbers of the shards that have no result yet."""
    return [number for number in range(count_shards(files)) if read_result(files, number) is None]


def check_scored(files: ShardFiles, futures: Mapping[int, Scoring]) -> None:
    """Wait until all shards have ended.

    Raises:
        RunFailed: some failed; the others are kept.
    """
    failed: dict[int, Any] = {}
    shown = terminal.current()
    for done, (number, future) in enumerate(futures.items()):
        if shown is not None:
            shown.progress("scoring", done, len(futures), f"{done} of {len(futures)} shards")
        outcome = future.result(raise_on_failure=False)
        if not isinstance(outcome, ShardResult):
            failed[number] = outcome
    if failed:
        number, error = next(iter(failed.items()))
        raise RunFailed(
            f"{len(failed)} of {count_shards(files)} shards failed, first {number}: "
            f"{type(error).__name__}: {error}",
            str(files.directory),
        )


def read_results(files: ShardFiles) -> list[ShardResult]:
    """Results of the shards that are done, in order."""
    results = (read_result(files, number) for number in range(count_shards(files)))
    return [result for result in results if result is not None]


def conclude(
    files: ShardFiles, results: Sequence[ShardResult], request: ShardRequest, class_names: Iterable[str]
) -> tuple[EvaluationRecord, Scores]:
    """Add up the shards, and complete the record."""
    total = np.sum([result.tally for result in results], axis=0)
    scores = scores_of(request.task, total, request.recall_at, lambda: read_values(files))
    of_classes = {
        name: None if scores.whole is None else getattr(scores.whole, name)
        for name in ("accuracy", "macro_f1", "weighted_f1")
    }
    record = evaluation_record.complete(
        files,
        task=request.task,
        documents=scores.documents,
        groups=None if scores.queries is not None else count_groups(files),
        queries=scores.queries,
        shards=len(results),
        classes=list(class_names),
        confusion=scores.confusion,
        measures=scores.measures,
        accuracy=of_classes["accuracy"],
        f1_macro=of_classes["macro_f1"],
        f1_weighted=of_classes["weighted_f1"],
        seconds=sum(result.seconds for result in results),
        processes=len({result.process for result in results}),
        peak_rss_bytes=max(result.peak_rss_bytes for result in results),
    )
    return record, scores


def read_values(files: ShardFiles) -> tuple[Floats, Floats]:
    """What is true of each document [N], and what was answered [N]; no number counts as 0."""
    found: dict[str, list[Floats]] = {"target": [], "logits": []}
    for number in range(count_shards(files)):
        table = pq.read_table(files.shard(number), columns=list(found))
        for column, parts in found.items():
            values = table[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            parts.append(np.nan_to_num(values.astype(np.float64)))
    return np.concatenate(found["target"]), np.concatenate(found["logits"])


def count_groups(files: ShardFiles) -> int | None:
    """Groups of documents, over all shards; None where none are named. Of each group a number is kept."""
    file, known = pq.ParquetFile(files.documents), np.empty(0, np.uint64)
    if "group" not in file.schema_arrow.names:
        return None
    for shard in range(file.metadata.num_row_groups):
        groups = file.read_row_group(shard, columns=["group"])["group"]
        if groups.null_count:
            return None
        names = groups.to_numpy().astype(object)
        known = np.union1d(known, hash_array(names, categorize=False))
    return len(known)
