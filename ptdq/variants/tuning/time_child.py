"""The child process that times candidates: ``python -m ptdq.variants.tuning.time_child request.json``.

Pinned to one core with one thread, as a worker is, and alone with the candidate; or with two that are
compared in turns, so that what slows the machine meanwhile slows both.
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
    from collections.abc import Mapping, Sequence

    from ptdq.inputs.arrays import Inputs, Predictor

PASSES = 3
"""Over the documents, at least."""
SECONDS = 2.0
"""That are timed at least: what disturbs a shared machine comes and goes within a second."""


@dataclass(frozen=True)
class TimeRequest:
    """The JSON file that the child reads holds just this.

    Attributes:
        variant: whose loader the candidates take.
        settings: of the preparation.
        candidates: by name, the directory of its files.
        samples: file of the calibration documents.
        documents: how many of them are called.
        core: to pin to; None where the system cannot.
        result: file to write: by name, milliseconds of a document.
    """

    variant: str
    settings: dict[str, Any]
    candidates: dict[str, str]
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
    samples = Samples.load(Path(request.samples))
    chosen = samples.over_lengths(request.documents)
    predictors = {name: variant.load(Path(path), settings) for name, path in request.candidates.items()}
    for predict in predictors.values():
        if (warm := getattr(predict, "warm", None)) is not None:
            warm(1, samples.longest)
        for inputs in chosen:
            predict(inputs)
    ms = means_of_documents(predictors, chosen)
    if request.core is not None and affinity_of_threads() != [request.core]:
        print(f"refused: runs on cores {affinity_of_threads()}, not {request.core}", file=sys.stderr)
        return 1
    write_json(Path(request.result), ms)
    return 0


def means_of_documents(
    predictors: Mapping[str, Predictor], documents: Sequence[Inputs]
) -> dict[str, float]:
    """By name, milliseconds of a document: the mean over documents of the median over passes."""
    passes: dict[str, list[list[int]]] = {name: [] for name in predictors}
    began, names = time.monotonic(), list(predictors)
    # There and back: the middle two of an even number of passes are at the same time of all of them.
    turns = [*names, *reversed(names)]
    while len(passes[names[0]]) < PASSES or time.monotonic() - began < SECONDS * len(names):
        for name in turns:
            predict, took = predictors[name], []
            for inputs in documents:
                start = time.perf_counter_ns()
                predict(inputs)
                took.append(time.perf_counter_ns() - start)
            passes[name].append(took)
    return {name: mean(map(median, zip(*rows, strict=True))) / 1e6 for name, rows in passes.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
