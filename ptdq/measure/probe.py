"""A few probing calls of the baseline: what a call and a process cost here, and how much both vary."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from ptdq.host.clock import TimeLimit
from ptdq.host.futures import run_queues
from ptdq.host.lately import measured_lately
from ptdq.inputs.stored import stored_tokens, write_selection
from ptdq.measure.design import Design, Isolation, make_design
from ptdq.measure.queries import choose_timing_queries
from ptdq.measure.selection import choose_timing_documents
from ptdq.measure.stage import Stage
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table, table_metadata

DOCUMENTS = 16
_ROUNDS = 2
"""On each core, of a process each: what differs between them is no matter of the core."""


@dataclass(frozen=True)
class Probe:
    """What the calls tell.

    Attributes:
        start_seconds: start of a process to its first document.
        tokens: different numbers of tokens that the documents have, ascending [M].
        seconds: of a document of so many tokens, end to end [M].
        cell_sd: standard deviation of the log mean time of a process; its core's speed is out.
        processes: how many there were.
        accuracy: of the baseline, from these few documents by the rule of succession (P.-S. Laplace,
            1814): (right + 1) / (documents + 2); nan where the task has no classes.
        measured_at: when, where an earlier run made them; None where this one did.
    """

    start_seconds: float
    tokens: NDArray[np.int64]
    seconds: NDArray[np.float64]
    cell_sd: float
    processes: int
    accuracy: float
    measured_at: datetime | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Probe:
        """From what :meth:`to_json` gave; raises TypeError or ValueError for anything else."""
        tokens, seconds = (
            np.asarray(values["tokens"], np.int64),
            np.asarray(values["seconds"], np.float64),
        )
        if tokens.ndim != 1 or tokens.shape != seconds.shape or not tokens.size:
            raise ValueError("a time for each number of tokens")
        return cls(
            start_seconds=float(values["start_seconds"]),
            tokens=tokens,
            seconds=seconds,
            cell_sd=_number(values["cell_sd"]),
            processes=int(values["processes"]),
            accuracy=_number(values["accuracy"]),
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON, which has no nan; without the moment."""
        return {
            "start_seconds": self.start_seconds,
            "tokens": self.tokens.tolist(),
            "seconds": self.seconds.tolist(),
            "cell_sd": None if math.isnan(self.cell_sd) else self.cell_sd,
            "processes": self.processes,
            "accuracy": None if math.isnan(self.accuracy) else self.accuracy,
        }

    def seconds_of(self, tokens: ArrayLike) -> NDArray[np.float64]:
        """Seconds of documents of so many tokens, between those that were timed by straight lines."""
        return np.asarray(np.interp(np.asarray(tokens), self.tokens, self.seconds))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def probe(
    stage: Stage,
    baseline: str,
    max_length: int,
    cores: Sequence[int],
    isolation: str,
    limit: TimeLimit,
    *,
    keep: bool = False,
) -> Probe | None:
    """Time a few documents in fresh processes, on all cores at once; None if none of them finished.

    Where an earlier run did so lately, with the same artifact and documents, its times are taken.

    Args:
        stage: of the run, whose files stay as they are.
        baseline: its first variant.
        max_length: tokens to which documents are cut.
        cores: those of the run.
        isolation: of the run; with "same" the processes begin when they are ready.
        limit: time that the run may take.
        keep: whether later runs may take these: not where others use the machine.
    """
    way: Isolation = "solo" if isolation == "solo" else "parallel"
    design = make_design([baseline], [max_length], _ROUNDS * len(cores), cores, 0, way)
    with tempfile.TemporaryDirectory(prefix="ptdq-probe-") as place:
        files = RunFiles(Path(place) / "probe")
        count = _select(stage, baseline, max_length, files.timing_documents)

        def measure() -> dict[str, Any] | None:
            found = _measure(stage, count, design, files, limit)
            return None if found is None else found.to_json()

        artifact = stage.artifacts[baseline]
        what = {
            "probe": artifact.digest,
            "settings": asdict(artifact.settings),
            "documents": read_table(files.timing_documents).to_pylist(),
            "max_length": max_length,
            "batch_size": stage.batch_size,
            "warmup": stage.warmup,
            "cores": list(cores),
            "isolation": way,
            "task": stage.task,
            "cut": stage.cut,
        }
        found = measured_lately(what, measure, Probe.from_json, keep=keep)
    return None if found is None else replace(found[0], measured_at=found[1])


def _select(stage: Stage, baseline: str, max_length: int, target: Path) -> int:
    """Write a few documents that stand for all; how many they are."""
    tokens = stored_tokens(stage.timing_documents, stage.artifacts[baseline].tokenizer(), max_length)
    if stage.task == "rerank":
        queries = read_table(stage.timing_documents, ["group"])["group"].to_pylist()
        chosen = choose_timing_queries(tokens, queries, DOCUMENTS, 0)
    else:
        chosen = choose_timing_documents(tokens, DOCUMENTS, 0)
    write_selection(stage.timing_documents, chosen, target)
    return len(chosen)


def _measure(stage: Stage, count: int, design: Design, files: RunFiles, limit: TimeLimit) -> Probe | None:
    own = replace(
        stage,
        files=files,
        timing_documents=files.timing_documents,
        timing_count=count,
        together=1,
    )
    with ThreadPoolExecutor(len(design.cores)) as pool:
        run_queues(design.queues, lambda cell: pool.submit(copy_context().run, own.measure, cell), limit)
    return _read(files, design)


def _read(files: RunFiles, design: Design) -> Probe | None:
    starts: list[float] = []
    right: dict[str, bool] = {}
    tokens: list[int] = []
    seconds: list[float] = []
    means: dict[int, list[float]] = {}
    for cell in design.cells:
        path = files.cell(cell.cell_id)
        if not path.is_file():
            continue
        table = read_table(path)
        starts.append(table_metadata(table)["facts"]["start_seconds"])
        table = table.filter(pc.invert(table["warmup"]))
        # The time of a batch is that of each of its documents.
        batches = table["batch"].to_numpy()
        size = np.bincount(batches)[batches]
        total = (table["tokenize_ns"].to_numpy() + table["forward_ns"].to_numpy()) / size / 1e9
        tokens += table["tokens"].to_pylist()
        seconds += total.tolist()
        if not table["label"].null_count:
            agrees = table["label"].to_numpy() == table["prediction"].to_numpy()
            right |= dict(zip(table["doc_id"].to_pylist(), agrees.tolist(), strict=True))
        means.setdefault(cell.core, []).append(float(np.log(total.mean())))
    if not starts:
        return None
    different, which = np.unique(tokens, return_inverse=True)
    by_core = [np.array(logs) for logs in means.values()]
    df = len(starts) - len(by_core)
    left = sum(float(((logs - logs.mean()) ** 2).sum()) for logs in by_core)
    return Probe(
        start_seconds=float(np.median(starts)),
        tokens=different,
        seconds=np.bincount(which, seconds) / np.bincount(which),
        cell_sd=float(np.sqrt(left / df)) if df else float("nan"),
        processes=len(starts),
        accuracy=(sum(right.values()) + 1) / (len(right) + 2) if right else float("nan"),
    )
