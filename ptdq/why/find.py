"""From a run and a variant to rows of ``profiles`` and ``operations``; the work is done in a child."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ptdq.errors import RunFailed, UserError
from ptdq.host.machine import can_pin, cap, usable_cores
from ptdq.host.process import Program, run_child
from ptdq.inputs.stored import stored_tokens, write_selection
from ptdq.measure.cell_request import CellRequest
from ptdq.measure.queries import choose_timing_queries
from ptdq.measure.selection import choose_timing_documents
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.store.rows_profile import OperationRow, ProfileRow
from ptdq.store.run import Run
from ptdq.store.tables import make_table, read_table, write_table
from ptdq.variant_names import registered
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact
from ptdq.variants.measured import measured_artifact
from ptdq.why.request import WhyRequest

DOCUMENTS = 16
PASSES = 3
TIMEOUT = 3600.0


@dataclass(frozen=True)
class Asked:
    """What is profiled.

    Attributes:
        max_length: documents are cut to this many tokens; None: the longest that the run measured.
        documents: how many of the run's are called, chosen over their lengths.
        loader: ``model_loader`` that may run; it must be the run's.
        trust_remote_code: whether code that comes with the checkpoint may run; as above.
    """

    max_length: int | None = None
    documents: int = DOCUMENTS
    loader: str | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Found:
    """Rows of one variant."""

    profile: ProfileRow
    operations: list[OperationRow]


def artifact_of(run: Run, name: str, asked: Asked) -> Artifact:
    """The artifact of a variant that may be loaded and called.

    Raises:
        UserError: there is none; or the run ran code of its own, which was not named here.
    """
    was = run.record.parameters
    wanted = (was.get("model_loader"), bool(was.get("trust_remote_code")))
    if wanted != (asked.loader, asked.trust_remote_code) and any(wanted):
        options = [f"--model-loader {wanted[0]}" if wanted[0] else "", "--trust-remote-code" * wanted[1]]
        # A run's directory may be anybody's: it does not say which code runs here.
        raise UserError(
            f"run '{run.files.run_id}': its model runs code of its own; if you trust it, add "
            + " ".join(filter(None, options))
        )
    code = registered(name)
    registry.check_installed(code)
    return measured_artifact(run, name, registry.get(code), (asked.loader, asked.trust_remote_code))


def profile_variant(
    run: Run, name: str, asked: Asked, on_progress: Callable[[int], None] = lambda done: None
) -> Found:
    """Profile a variant of a run on its documents, in a process of its own on one core.

    Raises:
        UserError: see :func:`artifact_of`; or the run's documents are gone.
        RunFailed: the process failed.
    """
    artifact = artifact_of(run, name, asked)
    lengths = sorted({cell["max_length"] for cell in run.good if cell["variant"] == name})
    length = asked.max_length or max(lengths)
    if length not in lengths:
        raise UserError(
            f"max_length {length}: run '{run.files.run_id}' measured {name} at "
            f"{', '.join(map(str, lengths))}"
        )
    batch_size = int(run.record.parameters.get("batch_size") or 1)
    with tempfile.TemporaryDirectory(prefix="ptdq-why-") as scratch:
        documents = Path(scratch) / "documents.parquet"
        by_query = run.task == "rerank"
        _choose(run.files, artifact, length, max(asked.documents, batch_size), documents, by_query)
        return profile_artifact(
            run.files.run_id, name, artifact, documents, (length, batch_size), on_progress, by_query
        )


def profile_artifact(
    run_id: str,
    name: str,
    artifact: Artifact,
    documents: Path,
    shape: tuple[int, int],
    on_progress: Callable[[int], None] = lambda done: None,
    by_query: bool = False,
) -> Found:
    """Profile an artifact.

    Args:
        run_id: for the rows.
        name: of the variant, likewise; its code is found by it.
        artifact: what is loaded.
        documents: file of the schema ``documents``; all of them are called.
        shape: longest document in tokens, and documents in a batch.
        on_progress: called with 1, 2 and 3 as the steps are done.
        by_query: whether a batch is the candidates of a query.

    Raises:
        RunFailed: the process failed.
    """
    core = usable_cores()[0] if can_pin() else None
    length, batch_size = shape
    with tempfile.TemporaryDirectory(prefix="ptdq-why-") as scratch:
        result = Path(scratch) / "result.json"
        cell = CellRequest(
            run_id=run_id, cell_id="why", kind="timing", variant=name, max_length=length, repeat=0,
            order=0, core=core, artifact=str(artifact.directory), digest=artifact.digest,
            settings=asdict(artifact.settings), documents=str(documents), batch_size=batch_size, warmup=0,
            seed=0, limit=None, meeting=None, together=1, result=str(result), spawned_at=time.time(),
            spawned_ns=time.monotonic_ns(), by_query=by_query, isa=cap(),
        )  # fmt: skip
        log = cache_root() / "logs" / f"why-{run_id}.log"
        ended = run_child(
            Program("ptdq.why.child", registry.get(registered(name)).python),
            asdict(WhyRequest(cell=asdict(cell), passes=PASSES)),
            Path(scratch) / "request.json",
            log,
            threads=artifact.settings.threads,
            timeout=TIMEOUT,
            on_progress=on_progress,
        )
        if ended.reason is not None or not result.is_file():
            raise RunFailed(f"profiling {name}: {ended.reason or 'it left no result'}; its log is {log}")
        return _rows(read_json(result), cell)


def keep(files: RunFiles, found: Sequence[Found]) -> None:
    """Write what was found beside a run's tables, in the place of what was known of the same variants."""
    new = {(one.profile["variant"], one.profile["max_length"]) for one in found}
    rows: dict[str, list[Any]] = {
        "profiles": [one.profile for one in found],
        "operations": [row for one in found for row in one.operations],
    }
    for table, added in rows.items():
        path = files.table(table)
        old = read_table(path).to_pylist() if path.is_file() else []
        kept = [row for row in old if (row["variant"], row["max_length"]) not in new]
        write_table(path, make_table(table, [*kept, *added]))


def _choose(
    files: RunFiles, artifact: Artifact, length: int, count: int, target: Path, by_query: bool
) -> None:
    source = files.table("documents")
    if not source.is_file():
        raise UserError(f"run '{files.run_id}': its documents were dropped (ptdq prune); measure again")
    tokens = stored_tokens(source, artifact.tokenizer(), length)
    if by_query:
        queries = read_table(source, ["group"])["group"].to_pylist()
        chosen = choose_timing_queries(tokens, queries, count, 0)
    else:
        chosen = choose_timing_documents(tokens, count, 0)
    write_selection(source, chosen, target)


def _rows(answer: dict[str, Any], cell: CellRequest) -> Found:
    place = {"run_id": cell.run_id, "variant": cell.variant, "max_length": cell.max_length}
    documents = answer["documents"]
    kept = (
        "documents", "tokens", "computed_tokens", "timed_ms", "profiled_ms", "instruction_set",
    )  # fmt: skip
    core = -1 if cell.core is None else cell.core
    profile: Any = {
        **place, "core": core, "batch_size": cell.batch_size, **{name: answer[name] for name in kept},
    }  # fmt: skip
    operations: list[Any] = [
        {
            **place,
            "part": one["part"],
            "operation": one["name"],
            "numbers": one["numbers"] or None,
            "shape": one["shape"] or None,
            "calls": one["calls"],
            "ms": 1e3 * one["seconds"] / documents,
            "multiply_adds": one["multiply_adds"] or None,
            "kernel": one["kernel"] or None,
            "library": one["library"] or None,
        }
        for one in answer["operations"]
    ]
    return Found(profile, operations)
