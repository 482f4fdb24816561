"""The child process that times one candidate: ``python -m ptdq.variants.tuning.time_child request.json``.

Pinned to one core with one thread, as a worker is, and alone with the candidate.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import affinity_of_threads, pin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptdq.inputs.arrays import Inputs, Predictor

PASSES = 3
"""Over the documents, at least."""
SECONDS = 2.0
"""That are timed at least: what disturbs a shared machine comes and goes within a second."""


@dataclass(frozen=True)
class TimeRequest:
    """The JSON file that the child reads holds just this.

    Attributes:
        variant: whose loader the candidate takes.
        settings: of the preparation.
        candidate: directory of its files.
        samples: file of the calibration documents.
        documents: how many of them are called.
        core: to pin to; None where the system cannot.
        result: file to write: milliseconds of a document.
    """

    variant: str
    settings: dict[str, Any]
    candidate: str
    samples: str
    documents: int
    core: int | None
    result: str


def main(arguments: list[str]) -> int:
    """Time what the request names."""
    die_with_parent()
    values, _ = read_request(arguments)
    request = TimeRequest(**{field.name: values[field.name] for field in fields(TimeRequest)})
    if request.core is not None:
        pin(request.core)
    # Imported once the process is pinned: libraries start threads.
    from ptdq.store.disk import write_json
    from ptdq.variants import registry
    from ptdq.variants.base import Settings
    from ptdq.variants.tuning.samples import Samples

    settings = Settings.from_json(request.settings)
    variant = registry.get(request.variant)
    if variant.uses_torch:
        import torch

        torch.set_num_threads(settings.threads)
        torch.set_num_interop_threads(1)
    predict = variant.load(Path(request.candidate), settings)
    samples = Samples.load(Path(request.samples))
    if (warm := getattr(predict, "warm", None)) is not None:
        warm(1, samples.longest)
    chosen = samples.over_lengths(request.documents)
    for inputs in chosen:
        predict(inputs)
    ms = mean_of_documents(predict, chosen)
    if request.core is not None and affinity_of_threads() != [request.core]:
        print(f"refused: runs on cores {affinity_of_threads()}, not {request.core}", file=sys.stderr)
        return 1
    write_json(Path(request.result), {"ms": ms})
    return 0


def mean_of_documents(predict: Predictor, documents: Sequence[Inputs]) -> float:
    """Milliseconds of a document: the mean over documents of the median over passes."""
    passes: list[list[int]] = []
    began = time.monotonic()
    while len(passes) < PASSES or time.monotonic() - began < SECONDS:
        took = []
        for inputs in documents:
            start = time.perf_counter_ns()
            predict(inputs)
            took.append(time.perf_counter_ns() - start)
        passes.append(took)
    of_documents = [float(median(times)) for times in zip(*passes, strict=True)]
    return mean(of_documents) / 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
