"""The flow's tasks: Prefect's view of the plain functions of this package, and nothing more.

A mistake of the user ends a task as Failed with one line, not with a traceback.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from httpx import TransportError
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from ptdq.analysis import conclude
from ptdq.analysis import tables as report_tables
from ptdq.analysis.verdict import Gates
from ptdq.demo import build
from ptdq.demo.build import DemoFiles
from ptdq.errors import RunFailed, UserError, disk_full
from ptdq.inputs import load as inputs
from ptdq.inputs.documents import RawDocuments
from ptdq.inputs.load import Loaded
from ptdq.measure.cell import Outcome, measure_cell
from ptdq.measure.design import Cell, Design
from ptdq.measure.progress import Board
from ptdq.orchestration.artifacts import publish
from ptdq.parameters import Parameters
from ptdq.report import build_report
from ptdq.report.summary import write_summary
from ptdq.store import published
from ptdq.store.cache import cache_root
from ptdq.store.layout import RunFiles
from ptdq.store.run import load as load_run
from ptdq.variants.base import Settings
from ptdq.variants.preparation import PreparedVariant, prepare_variant


class _NoEmptyTraceback(logging.Filter):
    """Prefect logs a Failed state with ``exc_info`` of no exception: a line "NoneType: None"."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is None:
            record.exc_info = None
        return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_NoEmptyTraceback())


def plain_failure(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors with a message for the user into a Failed state, which has no traceback."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (UserError, RunFailed) as error:
            state: State[Any] = Failed(message=str(error), data=error)
            return state
        except OSError as error:
            full = disk_full(error)
            if full is None:
                raise
            return Failed(message=str(full), data=full)

    return wrapper


@task(name="make_demo", cache_policy=NO_CACHE)
@plain_failure
def make_demo() -> DemoFiles:
    """The embedded default: corpus, tokenizer and a small BERT trained on it, made or found."""
    get_run_logger().info("the embedded default: from the cache, or made now (under a minute)")
    files = build.make_demo(cache_root() / "demo")
    get_run_logger().info("accuracy of its float32 model on held-out documents: %.3f", files.accuracy)
    return files


@task(name="load_data", task_run_name="load_data", cache_policy=NO_CACHE)
@plain_failure
def load_data(parameters: Parameters) -> RawDocuments:
    """Read and check the labelled documents."""
    raw = inputs.read_data(parameters)
    sampled = f", a stratified sample of {raw.sampled_from}" if raw.sampled_from else ""
    get_run_logger().info("%s: %d documents%s", raw.name, len(raw.ids), sampled)
    return raw


@task(name="load_model", task_run_name="load_model", cache_policy=NO_CACHE)
@plain_failure
def load_model(parameters: Parameters, raw: RawDocuments) -> Loaded:
    """Find, check and normalize the model; match the labels of the data to its classes."""
    loaded = inputs.read_model(parameters, raw)
    checkpoint = loaded.checkpoint
    get_run_logger().info(
        "%s: %s, %.1f million parameters, classes %s",
        checkpoint.name,
        checkpoint.architecture,
        checkpoint.parameters / 1e6,
        ", ".join(checkpoint.class_names),
    )
    return loaded


@task(name="quantize", task_run_name="quantize {variant}", cache_policy=NO_CACHE)
@plain_failure
def quantize(
    variant: str, loaded: Loaded, settings: Settings, timeout: float, use_cache: bool
) -> PreparedVariant:
    """The variant's artifact, from the cache or made in a process of its own."""
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", variant)
    log = cache_root() / "logs" / f"prepare-{slug}.log"
    prepared = prepare_variant(
        variant,
        loaded.checkpoint,
        settings,
        loaded.calibration,
        log,
        timeout=timeout,
        use_cache=use_cache,
    )
    artifact = prepared.artifact
    get_run_logger().info(
        "%s: %.1f MB, %d modules converted, %s",
        variant,
        artifact.size_bytes / 1e6,
        len(artifact.converted),
        "from the cache" if prepared.cached else f"prepared in {artifact.prepare_seconds:.1f} s",
    )
    for note in artifact.details.get("notes", []):
        get_run_logger().warning("%s: %s", variant, note)
    return prepared


@task(name="evaluate", task_run_name="evaluate {cell.title}", cache_policy=NO_CACHE)
@plain_failure
def evaluate(
    cell: Cell,
    files: RunFiles,
    prepared: PreparedVariant,
    documents_path: Path,
    parameters: Parameters,
    board: Board,
    limit: int | None = None,
) -> Outcome:
    """Measure one cell in a fresh process on its core."""
    outcome = measure_cell(
        files,
        cell,
        prepared.artifact,
        documents_path,
        batch_size=parameters.batch_size,
        warmup=parameters.warmup,
        timeout=parameters.cell_timeout,
        limit=limit,
        on_progress=board.reporter(cell.cell_id),
    )
    if outcome.error is not None:
        raise RunFailed(f"cell {cell.cell_id}: {outcome.error}; log: {outcome.log}")
    return outcome


@task(name="aggregate", task_run_name="aggregate", cache_policy=NO_CACHE)
@plain_failure
def aggregate(
    files: RunFiles,
    design: Design,
    variants: Sequence[str],
    prepared: dict[str, PreparedVariant],
    loaded: Loaded,
    parameters: Parameters,
) -> None:
    """Tables, comparisons, gates and verdict from the files of the cells."""
    conclude.conclude(
        files,
        design,
        {name: prepared[name] for name in variants},
        max_lengths=parameters.max_length,
        class_names=loaded.checkpoint.class_names,
        claim_quality=not loaded.checkpoint.random_weights,
        batch_size=parameters.batch_size,
        margin=parameters.margin,
        seed=parameters.seed,
        gates=Gates(
            parameters.min_speedup,
            parameters.max_f1_drop,
            parameters.max_size_ratio,
            parameters.max_p95_ms,
        ),
        baseline=parameters.baseline,
    )


def server_away(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether a task failed because the Prefect server could not be reached."""
    return isinstance(state.data, TransportError)


@task(
    name="report",
    task_run_name="report",
    cache_policy=NO_CACHE,
    # A server that is restarted is back in a minute or two; the report's file is written by then.
    retries=5,
    retry_delay_seconds=[5, 10, 20, 40, 80],
    retry_condition_fn=server_away,
)
@plain_failure
def report(files: RunFiles) -> Path:
    """Write the report and publish the artifacts."""
    write_summary(files)
    written = build_report(files)
    run = load_run(files)
    publish(
        files.run_id,
        files.directory,
        written.markdown_inlined,
        run.record,
        report_tables.figure_rows(files),
        report_tables.against_baseline(run),
    )
    return written.path


@task(
    name="publish_run",
    task_run_name="publish_run",
    cache_policy=NO_CACHE,
    retries=2,  # a store that is out of reach for a moment
    retry_delay_seconds=[2, 20],
)
@plain_failure
def publish_run(files: RunFiles, url: str) -> str:
    """Copy the finished run to another file system."""
    target = published.publish(files, url)
    get_run_logger().info("a copy of report and tables: %s", target)
    return target
