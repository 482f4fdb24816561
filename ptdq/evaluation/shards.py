"""Row-level scale: one shard of the documents scored at a time, anywhere, with memory of one shard.

A shard is a row group of ``documents.parquet``. Its result is a file that is there whole or not at all;
one that is there is done, so a run that was broken off does the missing shards only. What the shards
add up to is kept in each file's metadata: but for correlations, the rows need not be read again.
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ptdq.errors import UserError
from ptdq.evaluation.tally import classes_predicted, tally
from ptdq.host.machine import peak_rss_bytes
from ptdq.inputs.pairs import texts_of
from ptdq.measure.queries import query_batches
from ptdq.problem.task import Task
from ptdq.store.layout import ShardFiles
from ptdq.store.tables import make_table_of_columns, read_table, table_metadata, write_table
from ptdq.variants.base import Settings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShardRequest:
    """What is to be done with every shard; small, since it goes to each worker with each shard.

    Attributes:
        directory: of the evaluation; all workers see it.
        artifact: directory of the prepared variant; all workers see it.
        digest: content that the artifact must have.
        settings: what it was prepared with, as the parameters have it.
        task: what the model answers.
        outputs: of the model.
        cut: output over which a label is given, where the task has a threshold; None for all others.
        recall_at: k of recall@k.
    """

    directory: Path
    artifact: Path
    digest: str
    settings: Settings
    variant: str
    max_length: int
    batch_size: int
    task: Task
    outputs: int
    cut: float | None
    recall_at: int


@dataclass(frozen=True)
class ShardResult:
    """What is kept of a shard in memory.

    Attributes:
        documents: in it.
        tally: what adds up over the shards: :func:`ptdq.evaluation.tally.tally`.
        seconds: loading, tokenizing and predicting.
        process: which process did it.
        peak_rss_bytes: largest resident set of that process, so far.
    """

    number: int
    documents: int
    tally: Floats
    seconds: float
    process: int
    peak_rss_bytes: int


def count_shards(files: ShardFiles) -> int:
    """Shards of the documents."""
    return int(pq.ParquetFile(files.documents).metadata.num_row_groups)


def read_result(files: ShardFiles, number: int) -> ShardResult | None:
    """The result of a shard that is done; None where it is not, or its file is damaged or another's."""
    try:
        kept = table_metadata(read_table(files.shard(number)))
        if kept["number"] != number:
            return None
        values = {field.name: kept[field.name] for field in fields(ShardResult)}
        return ShardResult(**values | {"tally": np.asarray(kept["tally"], np.float64)})
    except (UserError, LookupError, TypeError, ValueError):
        return None


def score_shard(request: ShardRequest, number: int) -> ShardResult:
    """Score one shard, unless that is done, and write its file."""
    files = ShardFiles(request.directory)
    done = read_result(files, number)
    if done is not None:
        return done
    started = time.perf_counter()
    documents = pq.ParquetFile(files.documents).read_row_group(number)
    logits, tokens = _predict(request, documents)
    result = ShardResult(
        number,
        documents.num_rows,
        tally(request.task, documents, logits, request.cut, request.recall_at),
        time.perf_counter() - started,
        os.getpid(),
        peak_rss_bytes(),
    )
    known = {name: documents[name].combine_chunks() for name in _KEPT if name in documents.column_names}
    table = make_table_of_columns(
        "shard",
        {
            **known,
            "prediction": classes_predicted(request.task, logits, request.cut),
            "logits": logits,
            "tokens": tokens,
        },
        vars(result) | {"tally": result.tally.tolist()},
    )
    write_table(files.shard(number), table)
    return result


_KEPT = ("doc_id", "label", "target", "group")
"""Of the documents, in the file of their shard."""


def _predict(request: ShardRequest, documents: pa.Table) -> tuple[NDArray[np.float32], Ints]:
    tokenizer, predict = _load(request.artifact, request.digest, request.settings, request.variant)
    texts = texts_of(documents)
    count = len(texts.first)
    logits = np.empty((count, request.outputs), np.float32)
    tokens = np.empty(count, np.int64)
    # In the order of the file: int8 activations share a scale within a batch, so that another
    # grouping would be another result.
    batches = [range(first, first + request.batch_size) for first in range(0, count, request.batch_size)]
    if request.task == "rerank":
        batches = query_batches(documents["group"].to_pylist())
    for batch in batches:
        rows = slice(batch.start, batch.stop)
        some = texts.between(rows.start, rows.stop)
        encoded = tokenizer(some.first, request.max_length, some.second)
        logits[rows] = predict(encoded.inputs)
        tokens[rows] = encoded.lengths
    return logits, tokens


@functools.lru_cache(maxsize=1)
def _load(directory: Path, digest: str, settings: Settings, variant: str) -> tuple[Any, Any]:
    """Tokenizer and model of an artifact; a process keeps them from shard to shard."""
    import torch

    from ptdq.variants import registry
    from ptdq.variants.artifact import open_artifact

    artifact = open_artifact(directory, settings, digest)
    torch.set_num_threads(artifact.settings.threads)
    torch.backends.quantized.engine = artifact.settings.engine
    return artifact.tokenizer(), registry.get(variant).load(directory, artifact.settings)
