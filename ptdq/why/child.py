"""The child process of ``ptdq why``: ``python -m ptdq.why.child request.json``.

Pinned to one core with one thread as a worker is. The model is loaded twice: as it is, to time it; and
again with the profiler of its runtime, which costs time of its own.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import pin
from ptdq.measure.cell_request import CellRequest
from ptdq.why.request import WhyRequest


def main(arguments: list[str]) -> int:
    """Profile what the request names."""
    die_with_parent()
    values, report = read_request(arguments)
    request = WhyRequest.from_json(values)
    cell = CellRequest.from_json(request.cell)
    if cell.core is not None:
        pin(cell.core)
    # Imported once the process is pinned: libraries start threads.
    from ptdq.measure.worker import Refused, check_process, load, read_documents
    from ptdq.profile.instructions import in_words
    from ptdq.profile.watch import profile

    predict, tokenizer, _ = load(cell)
    documents = read_documents(cell)
    count = len(documents.ids)
    texts = [documents.texts.between(batch.start, batch.stop) for batch in documents.batches]
    batches = [tokenizer(some.first, cell.max_length, some.second) for some in texts]
    inputs = [batch.inputs for batch in batches]
    try:
        check_process(cell, predict)
        padded = getattr(predict, "padded", lambda tokens, documents: tokens)
        shapes = [batch.shape for batch in batches]
        computed = sum(documents * padded(tokens, documents) for documents, tokens in shapes)
        call_all(predict, first_of_each_shape(inputs))
        report(1)
        seconds = timed(predict, inputs, request.passes)
        # Two models at once would take twice the memory.
        del predict
        gc.collect()
        report(2)
        profiled = profile(
            lambda: load_again(cell),
            lambda model: call_all(model, first_of_each_shape(inputs)),
            lambda model: call_all(model, inputs),
        )
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    answer = {
        "documents": count,
        "tokens": int(sum(sum(batch.lengths) for batch in batches)),
        "computed_tokens": int(computed),
        "timed_ms": 1e3 * seconds / count,
        "profiled_ms": 1e3 * profiled.seconds / count,
        "instruction_set": in_words(profiled.operations),
        "operations": [asdict(one) for one in profiled.operations],
    }
    Path(cell.result).write_text(json.dumps(answer), encoding="utf-8")
    report(3)
    return 0


def load_again(cell: CellRequest) -> Any:
    """The model once more, in a process that :func:`ptdq.measure.worker.load` has set up and checked."""
    from ptdq.variant_names import registered
    from ptdq.variants import registry
    from ptdq.variants.base import Settings
    from ptdq.why.apart import branches_apart

    artifact = Path(cell.artifact)
    variant = registry.get(registered(cell.variant)).of(artifact)
    with branches_apart():
        return variant.load(artifact, Settings.from_json(cell.settings))


def first_of_each_shape(inputs: Sequence[Any]) -> list[Any]:
    """One input of each shape: what a runtime compiles for is made before anything is timed."""
    return list({one["input_ids"].shape: one for one in inputs}.values())


def call_all(predict: Any, inputs: Sequence[Any]) -> None:
    """Call the model once for each input."""
    for one in inputs:
        predict(one)


def timed(predict: Any, inputs: Sequence[Any], passes: int) -> float:
    """Seconds of all inputs: of each input the median of the passes."""
    clock = time.perf_counter
    spent = []
    for one in inputs:
        took = []
        for _ in range(passes):
            start = clock()
            predict(one)
            took.append(clock() - start)
        spent.append(sorted(took)[len(took) // 2])
    return sum(spent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
