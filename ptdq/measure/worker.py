"""The worker: one fresh process that measures one cell. ``python -m ptdq.measure.worker cell.json``.

It pins itself, sets one thread before any runtime is imported, reads both back and refuses to go on
where they are not what was asked for. It loads the artifact it measures and nothing else: torch only
where the variant runs on it, transformers only for a model or tokenizer that needs it, never Prefect or
pandas. Its results are one file that is there whole or not at all.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ptdq.host.child import absent, die_with_parent, meet, read_request
from ptdq.host.machine import affinity_of_threads, cap_of_process, pin
from ptdq.measure.cell_request import CellRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ptdq.inputs.pairs import Texts
    from ptdq.inputs.tokenizing import Tokenizer
    from ptdq.variants.base import Predictor

PROGRESS_EVERY_NS = 500_000_000
MEETING_SECONDS = 60.0


class Refused(Exception):
    """The process is not what was asked for: its timings would mean nothing."""


def main(arguments: list[str]) -> int:
    """Measure the cell that the request file describes."""
    die_with_parent()
    values, report = read_request(arguments)
    request = CellRequest.from_json(values)
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
    # Imported here and below: the process is pinned and its environment is set.
    from ptdq.measure.watch import Watch
    from ptdq.store.tables import write_table

    predict, tokenizer, load_seconds = load(request)
    documents = read_documents(request)
    evaluation = Evaluation(request, predict, tokenizer, documents)

    read_back = check_process(request, predict)
    # What exists by now stays: the collector need not look at it while documents are timed.
    gc.collect()
    gc.freeze()
    warming = time.monotonic_ns()
    evaluation.warm_up()
    met = request.meeting is None or meet(
        Path(request.meeting), request.cell_id, request.together, MEETING_SECONDS
    )
    warmup_seconds = (time.monotonic_ns() - warming) / 1e9
    watch = Watch(request.core, request.spawned_at, request.spawned_ns)
    done = evaluation.run(watch, report)
    facts = {
        **read_back,
        **watch.facts(),
        "load_seconds": load_seconds,
        "start_seconds": (warming - request.spawned_ns) / 1e9,
        "warmup_seconds": warmup_seconds,
        "met": met,
    }
    check_process(request, predict)
    key = {
        "run_id": request.run_id,
        "kind": request.kind,
        "variant": request.variant,
        "max_length": request.max_length,
        "repeat": request.repeat,
        "core": -1 if request.core is None else request.core,
        "order": request.order,
    }
    # pyarrow imports pandas before it makes an array, which takes longer than most of the above.
    with absent("pandas"):
        metadata = {"cell": asdict(request), "facts": facts}
        table = evaluation.rows.table(documents.ids, documents.labels, key, metadata)
    write_table(Path(request.result), table)
    report(done)


def load(request: CellRequest) -> tuple[Predictor, Tokenizer, float]:
    """The variant's artifact as a callable, its tokenizer, and the seconds that it took.

    They include making kernels for all lengths where the variant does that when it is loaded.
    """
    from ptdq.variant_names import registered
    from ptdq.variants import registry
    from ptdq.variants.artifact import open_artifact
    from ptdq.variants.base import Settings

    settings = Settings.from_json(request.settings)
    variant = registry.get(registered(request.variant)).of(Path(request.artifact))
    if variant.uses_torch:
        import torch

        torch.set_num_threads(settings.threads)
        torch.set_num_interop_threads(1)
        torch.backends.quantized.engine = settings.engine
    loading = time.perf_counter()
    artifact = open_artifact(Path(request.artifact), settings, request.digest)
    predict = variant.load(artifact.directory, settings)
    if (warm := getattr(predict, "warm", None)) is not None:
        warm(request.batch_size, request.max_length)
    return predict, artifact.tokenizer(), time.perf_counter() - loading


class Documents(NamedTuple):
    """Columns of the table ``documents``, in the order of the cell."""

    ids: list[str]
    texts: Texts
    labels: NDArray[np.int64] | None
    """Class ids; None where the task has no classes."""
    batches: list[range]
    """Their places."""


def read_documents(request: CellRequest) -> Documents:
    """The cell's documents in its order."""
    import numpy as np
    import pyarrow.parquet as pq

    from ptdq.inputs.pairs import texts_of

    # Read as a single file and reordered here: a data set, or pyarrow's own `take`, imports half of it.
    columns = pq.ParquetFile(request.documents).read().to_pydict()
    count = len(columns["doc_id"])
    if request.by_query:
        from ptdq.measure.queries import query_batches, query_order

        order = query_order(columns["group"], request.seed, request.limit)
        batches = query_batches([columns["group"][place] for place in order])
    else:
        order = np.random.default_rng(request.seed).permutation(count)[: request.limit]
        size = request.batch_size
        starts = range(0, len(order), size)
        batches = [range(first, min(first + size, len(order))) for first in starts]
    ids = [columns["doc_id"][place] for place in order]
    labels = None if None in columns["label"] else np.array(columns["label"], np.int64)[order]
    return Documents(ids, texts_of(columns).at(order), labels, batches)


class Evaluation:
    """The calls of a cell, one after the other, and what they gave.

    Attributes:
        rows: what was measured so far.
    """

    def __init__(
        self, request: CellRequest, predict: Predictor, tokenizer: Tokenizer, documents: Documents
    ) -> None:
        from ptdq.measure.rows import Rows

        self.rows = Rows(request.cut)
        self._request, self._predict, self._tokenizer = request, predict, tokenizer
        self._texts, self._batches = documents.texts, documents.batches

    def warm_up(self) -> None:
        """Batches that count nowhere; in a timing cell then one of each shape that has not been seen.

        Runtimes that compile by shape do it at the first call of a length, which a serving process pays
        once; all variants make these calls, so that all are timed alike.
        """
        request = self._request
        first = self._batches[: request.warmup]
        for batch in first:
            self._call(batch, warmup=True)
        if request.kind == "timing":
            seen = {self._shape(batch) for batch in first}
            for batch in self._batches:
                if (shape := self._shape(batch)) not in seen:
                    seen.add(shape)
                    self._call(batch, warmup=True, first_of_shape=True)

    def run(self, watch: Any, report: Callable[[int], None]) -> int:
        """Evaluate every batch; the number of documents."""
        done = 0
        reported = time.perf_counter_ns()
        for batch in self._batches:
            ended = self._call(batch)
            watch.look()
            done += len(batch)
            if ended - reported > PROGRESS_EVERY_NS:
                reported = ended
                watch.look_at_parent()
                report(done)
        return done

    def _shape(self, batch: range) -> tuple[int, int]:
        texts, pairs = self._texts.between(batch.start, batch.stop)
        return self._tokenizer(texts, self._request.max_length, pairs).shape

    def _call(self, batch: range, warmup: bool = False, first_of_shape: bool = False) -> int:
        texts, pairs = self._texts.between(batch.start, batch.stop)
        max_length = self._request.max_length
        clock = time.perf_counter_ns
        t0 = clock()
        encoded = self._tokenizer(texts, max_length, pairs)
        t1 = clock()
        logits = self._predict(encoded.inputs)
        t2 = clock()
        self.rows.add(
            batch, encoded, logits, (t1 - t0, t2 - t1), warmup=warmup, first_of_shape=first_of_shape
        )
        return t2


def check_process(request: CellRequest, predict: Predictor) -> dict[str, Any]:
    """What this process really is: pinning, threads, engine, instructions.

    Threads are those of torch where it is loaded, those that the runtime says it has where it says so,
    and whatever there are: the kernel knows the cores of each.

    Raises:
        Refused: any of it is not what was asked for.
    """
    threads = request.settings["threads"]
    read_back: dict[str, Any] = {
        "pinned": request.core is not None,
        "affinity": affinity_of_threads(),
        "runtime_threads": getattr(predict, "threads", None),
        "torch_threads": None,
        "interop_threads": None,
        "engine": None,
        "isa": cap_of_process(),
        "torch_capability": None,
    }
    expected: dict[str, Any] = {}
    if request.isa is not None:
        expected["isa"] = request.isa
    if read_back["runtime_threads"] is not None:
        expected["runtime_threads"] = threads
    # Not only where the variant says that it runs on it: whoever imported it has its threads.
    if torch := sys.modules.get("torch"):
        read_back |= {
            "torch_threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "engine": str(torch.backends.quantized.engine),
            "torch_capability": torch.backends.cpu.get_cpu_capability(),
        }
        expected |= {"torch_threads": threads, "interop_threads": 1, "engine": request.settings["engine"]}
    if request.core is not None:
        expected["affinity"] = [request.core]
    for name, wanted in expected.items():
        if read_back[name] != wanted:
            raise Refused(f"{name} is {read_back[name]}, asked for {wanted}")
    if request.isa == "avx2" and "512" in str(read_back["torch_capability"]):
        raise Refused(f"torch uses {read_back['torch_capability']}, and is to be kept to {request.isa}")
    in_environment = os.environ.get("OMP_NUM_THREADS")
    if in_environment != str(threads):
        raise Refused(f"OMP_NUM_THREADS was {in_environment} when the runtime was imported")
    return read_back


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
