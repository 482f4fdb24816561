"""Row-level scale: one shard of the documents scored at a time, anywhere, with memory of one shard.

A shard is a row group of ``documents.parquet``. Its result is a file that is there whole or not at all;
one that is there is done, so a run that was broken off does the missing shards only. What the shards
add up to is a confusion matrix, kept in each file's metadata: the rows need not be read again.
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ptdq.errors import UserError
from ptdq.host.machine import peak_rss_bytes
from ptdq.inputs.pairs import Texts, texts_of
from ptdq.store.layout import ShardFiles
from ptdq.store.tables import make_table_of_columns, read_table, table_metadata, write_table
from ptdq.variants.base import Settings

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ShardRequest:
    """What is to be done with every shard; small, since it goes to each worker with each shard.

    Attributes:
        directory: of the evaluation; all workers see it.
        artifact: directory of the prepared variant; all workers see it.
        digest: content that the artifact must have.
        settings: what it was prepared with, as the parameters have it.
        classes: number of classes.
        cut: output over which a model with one output says yes; None for all others.
    """

    directory: Path
    artifact: Path
    digest: str
    settings: Settings
    variant: str
    max_length: int
    batch_size: int
    classes: int
    cut: float | None = None


@dataclass(frozen=True)
class ShardResult:
    """What is kept of a shard in memory.

    Attributes:
        confusion: documents by label and prediction [classes, classes].
        seconds: loading, tokenizing and predicting.
        process: which process did it.
        peak_rss_bytes: largest resident set of that process, so far.
    """

    number: int
    confusion: Ints
    seconds: float
    process: int
    peak_rss_bytes: int

    @property
    def documents(self) -> int:
        return int(self.confusion.sum())


def count_shards(files: ShardFiles) -> int:
    """Shards of the documents."""
    return int(pq.ParquetFile(files.documents).metadata.num_row_groups)


def read_result(files: ShardFiles, number: int) -> ShardResult | None:
    """The result of a shard that is done; None where it is not, or its file is damaged or another's."""
    try:
        kept = table_metadata(read_table(files.shard(number)))
        if kept["number"] != number:
            return None
        confusion = np.asarray(kept["confusion"], np.int64)
        return ShardResult(number, confusion, kept["seconds"], kept["process"], kept["peak_rss_bytes"])
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
    logits, tokens = _predict(request, texts_of(documents))
    predictions = logits.argmax(axis=1)
    if request.cut is not None:
        predictions = (logits[:, 0] > request.cut).astype(np.int64)
    labels = documents["label"].to_numpy()
    confusion = np.zeros((request.classes, request.classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    result = ShardResult(number, confusion, time.perf_counter() - started, os.getpid(), peak_rss_bytes())
    table = make_table_of_columns(
        "shard",
        {
            "doc_id": documents["doc_id"].to_pylist(),
            "label": labels,
            "prediction": predictions,
            "logits": logits,
            "tokens": tokens,
            "group": documents["group"].combine_chunks() if "group" in documents.column_names else None,
        },
        vars(result) | {"confusion": confusion.tolist()},
    )
    write_table(files.shard(number), table)
    return result


def _predict(request: ShardRequest, texts: Texts) -> tuple[NDArray[np.float32], Ints]:
    tokenizer, predict = _load(request.artifact, request.digest, request.settings, request.variant)
    count = len(texts.first)
    outputs = request.classes if request.cut is None else 1
    logits = np.empty((count, outputs), np.float32)
    tokens = np.empty(count, np.int64)
    # In the order of the file: int8 activations share a scale within a batch, so that another
    # grouping would be another result.
    for first in range(0, count, request.batch_size):
        rows = slice(first, first + request.batch_size)
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
