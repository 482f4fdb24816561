"""The worker: one fresh process that measures one cell. ``python -m ptdq.measure.worker cell.json``.

It pins itself, sets one thread before torch is imported, reads both back and refuses to go on where
they are not what was asked for. It loads the artifact it measures and nothing else, imports neither
Prefect nor pandas, and leaves its results as one file that is there whole or not at all.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import affinity_of_threads, core_state, load_average, peak_rss_bytes, pin

PROGRESS_EVERY_NS = 500_000_000


@dataclass(frozen=True)
class CellRequest:
    """What a worker is asked to do; the JSON file beside the results holds just this.

    Attributes:
        seed: of the order of the documents, the same for all variants of a round.
        limit: documents to take from the start of that order; None for all.
        digest: content that the artifact must have.
        settings: what it was prepared with, as the run's parameters have it.
        core: core to pin to; None where the system cannot pin.
        spawned_at: seconds since the epoch when the parent started the process.
    """

    run_id: str
    cell_id: str
    variant: str
    max_length: int
    repeat: int
    order: int
    core: int | None
    artifact: str
    digest: str
    settings: dict[str, Any]
    documents: str
    batch_size: int
    warmup: int
    seed: int
    limit: int | None
    result: str
    spawned_at: float


class Refused(Exception):
    """The process is not what was asked for: its timings would mean nothing."""


def main(arguments: list[str]) -> int:
    """Measure the cell that the request file describes."""
    die_with_parent()
    values, report = read_request(arguments)
    request = CellRequest(**{field.name: values[field.name] for field in fields(CellRequest)})
    if request.core is not None:
        pin(request.core)
    try:
        measure(request, report)
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


def measure(request: CellRequest, report: Callable[[int], None]) -> None:
    """Load, warm up, evaluate every document, write the result file."""
    # Imported here: the process is pinned and its environment is set.
    import numpy as np
    import pyarrow.parquet as pq
    import torch

    from ptdq.measure.rows import Rows
    from ptdq.store.tables import write_table
    from ptdq.variants import registry
    from ptdq.variants.artifact import open_artifact
    from ptdq.variants.base import Settings

    torch.set_num_threads(request.settings["threads"])
    torch.set_num_interop_threads(1)
    torch.backends.quantized.engine = request.settings["engine"]

    loading = time.perf_counter()
    settings = Settings.from_json(request.settings)
    artifact = open_artifact(Path(request.artifact), settings, request.digest)
    predict = registry.get(request.variant).load(artifact.directory, artifact.settings)
    load_seconds = time.perf_counter() - loading
    tokenizer = artifact.tokenizer()

    documents = pq.read_table(request.documents)
    order = np.random.default_rng(request.seed).permutation(documents.num_rows)[: request.limit]
    documents = documents.take(order)
    texts: list[str] = documents["text"].to_pylist()
    batches = [
        range(first, min(first + request.batch_size, len(texts)))
        for first in range(0, len(texts), request.batch_size)
    ]
    queue = [(batch, True) for batch in batches[: request.warmup]]
    queue += [(batch, False) for batch in batches]

    read_back = check_process(request)
    # What exists by now stays: the collector need not look at it while documents are timed.
    gc.collect()
    gc.freeze()
    core = request.core if request.core is not None else 0
    before, load_before = core_state(core), load_average()
    usage_before = resource.getrusage(resource.RUSAGE_SELF)
    start_seconds = time.time() - request.spawned_at
    first = reported = time.perf_counter_ns()

    rows = Rows()
    done = 0
    clock = time.perf_counter_ns
    for number, (batch, warmup) in enumerate(queue):
        batch_texts = texts[batch.start : batch.stop]
        t0 = clock()
        encoding = tokenizer(
            batch_texts,
            max_length=request.max_length,
            truncation=True,
            padding=True,
            return_tensors="np",
        )
        t1 = clock()
        logits = predict(encoding)
        t2 = clock()
        lengths = encoding["attention_mask"].sum(axis=1)
        truncated = _truncated(tokenizer, encoding, batch_texts, lengths, request.max_length)
        rows.add(
            batch,
            number=number,
            lengths=lengths,
            truncated=truncated,
            logits=logits,
            tokenize_ns=t1 - t0,
            forward_ns=t2 - t1,
            warmup=warmup,
        )
        done += 0 if warmup else len(batch)
        if t2 - reported > PROGRESS_EVERY_NS:
            reported = t2
            report(done)

    measure_seconds = (time.perf_counter_ns() - first) / 1e9
    ended = time.time()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    after = core_state(core)
    check_process(request)
    cpu_seconds = _cpu(usage) - _cpu(usage_before)
    busy = _difference(before.busy_seconds, after.busy_seconds)
    facts: dict[str, Any] = {
        **read_back,
        "peak_rss_bytes": peak_rss_bytes(),
        "load_seconds": load_seconds,
        "start_seconds": start_seconds,
        "wall_seconds": ended - request.spawned_at,
        "cpu_seconds": cpu_seconds,
        "measure_seconds": measure_seconds,
        "started_at": datetime.fromtimestamp(request.spawned_at, UTC).isoformat(),
        "ended_at": datetime.fromtimestamp(ended, UTC).isoformat(),
        "load_average_before": load_before,
        "load_average_after": load_average(),
        "steal_seconds": _difference(before.steal_seconds, after.steal_seconds),
        "other_seconds": None if busy is None else max(0.0, busy - cpu_seconds),
        "throttle_count": _difference(before.throttle_count, after.throttle_count),
        "frequency_mhz_before": before.frequency_mhz,
        "frequency_mhz_after": after.frequency_mhz,
        "involuntary_switches": usage.ru_nivcsw - usage_before.ru_nivcsw,
    }
    key = {
        "run_id": request.run_id,
        "variant": request.variant,
        "max_length": request.max_length,
        "repeat": request.repeat,
        "core": -1 if request.core is None else request.core,
        "order": request.order,
    }
    table = rows.table(documents, key, {"cell": asdict(request), "facts": facts})
    write_table(Path(request.result), table)
    report(done)


def check_process(request: CellRequest) -> dict[str, Any]:
    """What this process really is: pinning, threads, engine.

    Raises:
        Refused: any of it is not what was asked for.
    """
    import torch

    read_back: dict[str, Any] = {
        "pinned": request.core is not None,
        "affinity": affinity_of_threads(),
        "torch_threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "engine": str(torch.backends.quantized.engine),
    }
    expected: dict[str, Any] = {
        "torch_threads": request.settings["threads"],
        "interop_threads": 1,
        "engine": request.settings["engine"],
    }
    if request.core is not None:
        expected["affinity"] = [request.core]
    for name, wanted in expected.items():
        if read_back[name] != wanted:
            raise Refused(f"{name} is {read_back[name]}, asked for {wanted}")
    in_environment = os.environ.get("OMP_NUM_THREADS")
    if in_environment != str(request.settings["threads"]):
        raise Refused(f"OMP_NUM_THREADS was {in_environment} when torch was imported")
    return read_back


def _truncated(
    tokenizer: Any, encoding: Any, texts: Sequence[str], lengths: Any, max_length: int
) -> list[bool]:
    """Whether truncation shortened each document; outside the timed region."""
    if encoding.encodings is not None:
        return [bool(fast.overflowing) for fast in encoding.encodings]
    return [
        int(length) >= max_length and len(tokenizer(text)["input_ids"]) > max_length
        for text, length in zip(texts, lengths, strict=True)
    ]


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
