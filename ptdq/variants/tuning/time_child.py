"""The child process that times one candidate: ``python -m ptdq.variants.tuning.time_child request.json``.

Pinned to one core with one thread, as a worker is, and alone with the candidate.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import affinity_of_threads, pin

PASSES = 3


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
    """Time what the request names: the mean over documents of the median over passes."""
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
    took: list[float] = []
    for inputs in chosen:
        passes = []
        for _ in range(PASSES):
            start = time.perf_counter_ns()
            predict(inputs)
            passes.append(time.perf_counter_ns() - start)
        took.append(median(passes) / 1e6)
    if request.core is not None and affinity_of_threads() != [request.core]:
        print(f"refused: runs on cores {affinity_of_threads()}, not {request.core}", file=sys.stderr)
        return 1
    write_json(Path(request.result), {"ms": sum(took) / len(took)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
