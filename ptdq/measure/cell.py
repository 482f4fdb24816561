"""The parent's side of a measurement: start the worker, wait, and say how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ptdq.host.machine import can_pin, cap
from ptdq.host.process import Program, run_child
from ptdq.measure.cell_request import CellRequest, Kind
from ptdq.measure.design import Cell
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.variant_names import registered
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes:
        error: why it failed, one line; None where it did not.
        log: where the worker's output is.
    """

    cell: Cell
    error: str | None
    log: str


@dataclass(frozen=True)
class Work:
    """What a cell evaluates, and how.

    Attributes:
        documents: file of the schema ``documents``, of which every row is evaluated: of a timing cell,
            what :func:`ptdq.inputs.stored.write_selection` wrote.
        kind: whether the cell's times or its predictions are what it is for.
        batch_size: documents in a batch.
        warmup: batches that are run before, and flagged.
        timeout: seconds that the worker may take.
        limit: documents to evaluate; None for all.
        cut: output over which a model with one output says yes; None for all others.
        by_query: whether a batch is the candidates of a query.
        together: how many cells of this place in the design run at once and wait for each other.
    """

    documents: Path
    kind: Kind = "timing"
    batch_size: int = 1
    warmup: int = 3
    timeout: float = 3600
    limit: int | None = None
    together: int = 1
    cut: float | None = None
    by_query: bool = False


def measure_cell(
    files: RunFiles,
    cell: Cell,
    artifact: Artifact,
    work: Work,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Measure one cell in a fresh process, unless its result is there already.

    A cell that fails leaves a record of it beside the results of the others, which are kept.

    Args:
        files: of the run; the result is ``cells/<cell_id>.parquet``.
        cell: what to measure, and where.
        artifact: the prepared variant.
        work: on which documents, and how.
        on_progress: called with the number of documents done, about twice a second.
    """
    result = files.cell(cell.cell_id)
    log = files.logs / f"{cell.cell_id}.log"
    if result.is_file():
        return Outcome(cell, None, str(log))
    meeting = None
    if work.together > 1:
        meeting = str(files.requests / f"meeting-{cell.repeat}-{cell.order}")
    request = CellRequest(
        run_id=files.run_id,
        cell_id=cell.cell_id,
        kind=work.kind,
        variant=cell.variant,
        max_length=cell.max_length,
        repeat=cell.repeat,
        order=cell.order,
        core=cell.core if can_pin() else None,
        artifact=str(artifact.directory),
        digest=artifact.digest,
        settings=asdict(artifact.settings),
        documents=str(work.documents),
        batch_size=work.batch_size,
        warmup=work.warmup,
        seed=cell.seed,
        cut=work.cut,
        by_query=work.by_query,
        limit=work.limit,
        meeting=meeting,
        together=work.together,
        result=str(result),
        spawned_at=time.time(),
        spawned_ns=time.monotonic_ns(),
        isa=cap(),
    )
    ended = run_child(
        Program("ptdq.measure.worker", registry.get(registered(cell.variant)).python),
        asdict(request),
        files.requests / f"{cell.cell_id}.json",
        log,
        threads=artifact.settings.threads,
        timeout=work.timeout,
        on_progress=on_progress,
    )
    error = ended.reason
    if error is None and not result.is_file():
        error = "the worker ended without a result"
    record = files.failure(cell.cell_id)
    if error is None:
        record.unlink(missing_ok=True)
        return Outcome(cell, None, str(log))
    write_json(record, {"cell": asdict(cell), "error": error, "log": str(log), "tail": ended.log_tail})
    return Outcome(cell, error, str(log))


def read_failure(files: RunFiles, cell: Cell) -> str | None:
    """Why the cell failed; None where there is no record of it."""
    path = files.failure(cell.cell_id)
    return str(read_json(path)["error"]) if path.is_file() else None


def measure_limits(
    files: RunFiles, core: int | None, shapes: Sequence[Sequence[int]] = (), timeout: float = 120
) -> dict[str, Any] | None:
    """All peaks of a core, from a process of its own; None where it could not tell in time.

    Args:
        files: of the run.
        core: which; None where the system cannot pin.
        shapes: rows, inner size and columns of products that the model makes.
        timeout: seconds that it may take.
    """
    result = files.logs / "limits-result.json"
    ended = run_child(
        "ptdq.measure.limits",
        {"core": core, "shapes": [list(shape) for shape in shapes], "result": str(result)},
        files.requests / "limits.json",
        files.logs / "limits.log",
        threads=1,
        timeout=timeout,
    )
    if ended.reason is not None or not result.is_file():
        return None
    return read_json(result)
