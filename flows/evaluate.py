"""The flow ``sharded-evaluation``: the quality of one variant on more documents than fit into memory.

Shards go through Prefect's task runner: threads of this process, or with ``prefect-dask`` the workers of
a Dask cluster, of this machine or of many that see the results directory and the cache. Nothing is
timed here: workers share cores as the cluster sees fit.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from prefect import flow, get_run_logger
from prefect.context import get_run_context
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ptdq.errors import RunFailed, UserError, disk_full
from ptdq.evaluation.shards import ShardRequest, ShardResult, check_same, count_shards, read_result
from ptdq.flows.benchmark import choose_settings, default_run_id
from ptdq.host.lock import MachineLock
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.inputs.documents import read_label_map
from ptdq.inputs.load import open_model
from ptdq.inputs.stream import split_documents
from ptdq.orchestration.artifacts import publish_evaluation
from ptdq.parameters import ALL, DEMO, Parameters, Purpose, default_values, names
from ptdq.report.evaluation import document
from ptdq.statistics.quality import Quality, measure_counts
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json, write_json, write_text
from ptdq.store.layout import ShardFiles
from ptdq.store.record import check_unused, now
from ptdq.tasks.score import score
from ptdq.variants import registry
from ptdq.variants.preparation import prepare_variant

Runner = TaskRunner[Any]


@flow(name="sharded-evaluation", validate_parameters=True)
def sharded_evaluation(parameters: Parameters, shard_documents: int = 10_000) -> Any:
    """Predict every document with one variant at one length; quality, and a file for each shard.

    With the run_id of an evaluation that was broken off, the missing shards only are done.

    Args:
        parameters: model and data (not `demo`), one variant that does not calibrate, one
            max_length; those of timing mean nothing here.
        shard_documents: documents of a shard, which bound the memory of a worker.
    """
    flow_run = get_run_context().flow_run  # type: ignore[union-attr]
    # Absolute: workers of a cluster have working directories of their own.
    results = Path(parameters.results_dir).resolve()
    files = ShardFiles(results / (parameters.run_id or default_run_id(flow_run)))
    try:
        with MachineLock() as lock:
            evaluate(files, parameters, shard_documents, lock)
    except (UserError, RunFailed) as error:
        return Failed(message=str(error), data=error)
    except OSError as error:
        full = disk_full(error)
        if full is None:
            raise
        text = f"{full}; finished shards are kept (--run-id {files.run_id} does the missing ones)"
        return Failed(message=text, data=RunFailed(text, str(files.directory)))
    return Completed(message=f"report: {files.report}", data=str(files.directory))


def evaluate(files: ShardFiles, parameters: Parameters, shard_documents: int, lock: MachineLock) -> None:
    """Everything from the parameters to the report; runs inside a Prefect flow.

    Where shards are scored on this machine it takes the machine's lock: they would disturb a benchmark.

    Raises:
        UserError: the input is wrong.
        RunFailed: some shards failed; the others are kept.
    """
    check(parameters, shard_documents)
    label_map = read_label_map(parameters.label_map)
    checkpoint = open_model(parameters, [str(index) for index in (label_map or {}).values()])
    if scored_here():
        lock.acquire(files.run_id, get_run_logger().warning, parameters.max_wait)
    begin(files, parameters, shard_documents, checkpoint)
    request = prepare(files, parameters, checkpoint)
    if not files.documents.is_file():
        split_documents(parameters, checkpoint.class_names, shard_documents, files.documents)
    results, failed = score_all(files, request, count_shards(files))
    if failed:
        number, error = next(iter(failed.items()))
        raise RunFailed(
            f"{len(failed)} of {len(results) + len(failed)} shards failed, first {number}: {error}; "
            f"the others are kept (--run-id {files.run_id} does the missing ones)",
            str(files.directory),
        )
    finish(files, results, checkpoint)


def with_runner(workers: int | None = None, scheduler: str | None = None) -> Any:
    """The flow on a Dask cluster: so many processes of this machine, or the one at an address.

    Raises:
        UserError: the extra ``dask`` is not installed.
    """
    runner: Runner = ThreadPoolTaskRunner(max_workers=1)
    if workers is not None or scheduler is not None:
        try:
            from prefect_dask.task_runners import DaskTaskRunner
        except ImportError as error:
            raise UserError("workers: Dask is not installed (pip install 'ptdq[dask]')") from error
        if scheduler is not None:
            runner = DaskTaskRunner(address=scheduler)
        else:
            local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            runner = DaskTaskRunner(cluster_kwargs=local)
    return sharded_evaluation.with_options(task_runner=runner)


def scored_here() -> bool:
    """Whether shards are scored on this machine, and not on a cluster that has an address."""
    runner = get_run_context().task_runner  # type: ignore[union-attr]
    return getattr(runner, "address", None) is None


def check(parameters: Parameters, shard_documents: int) -> None:
    """Raises UserError for what a sharded evaluation cannot do."""
    if len(parameters.variant) != 1 or ALL in parameters.variant:
        raise UserError(f"variant: an evaluation takes one, not {', '.join(parameters.variant)}")
    if len(parameters.max_length) != 1:
        raise UserError("max_length: an evaluation takes one")
    if DEMO in (parameters.model, parameters.data) or parameters.limit is not None:
        raise UserError("an evaluation takes a model and a file, and all of its rows (no demo, no limit)")
    if parameters.random_weights:
        raise UserError("random_weights: there is no quality to evaluate")
    if registry.get(parameters.variant[0]).calibrates:
        # A run looks for calibration documents in the data, which are not in memory here.
        raise UserError(
            f"variant {parameters.variant[0]}: those that calibrate are not evaluated in shards, where "
            "it is not checked that they calibrate on other documents; use `ptdq run`"
        )
    if shard_documents < 1 or shard_documents % parameters.batch_size:
        # Else batches would be others than without shards, and with them int8 results.
        raise UserError(f"shard_documents {shard_documents}: must be a multiple of the batch size")


def begin(
    files: ShardFiles, parameters: Parameters, shard_documents: int, checkpoint: Checkpoint
) -> None:
    """Write the record, or find that it asks for the same.

    Raises:
        UserError: the directory is used by something else.
    """
    decisive = names(Purpose.EVALUATE, without=[Purpose.UNMEASURED])
    asked = parameters.model_dump(include=set(decisive))
    asked |= {"shard_documents": shard_documents, "model_digest": checkpoint.digest}
    if files.record.is_file():
        # A record of an earlier version lacks the parameters that came later.
        check_same(default_values() | read_json(files.record)["asked"], asked, files.run_id)
        return
    check_unused(files.directory)
    write_json(files.record, {"run_id": files.run_id, "asked": asked, "started_at": now()})


def prepare(files: ShardFiles, parameters: Parameters, checkpoint: Checkpoint) -> ShardRequest:
    """The artifact, made or found in the cache, and what every shard needs to know."""
    (variant,), (max_length,) = parameters.variant, parameters.max_length
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", variant)
    prepared = prepare_variant(
        variant,
        checkpoint,
        choose_settings(parameters),
        CalibrationRequest(None, "", "none", max_length),
        cache_root() / "logs" / f"prepare-{slug}.log",
        timeout=parameters.cell_timeout,
        use_cache=not parameters.no_cache,
    )
    return ShardRequest(
        directory=files.directory,
        artifact=prepared.artifact.directory,
        variant=variant,
        max_length=max_length,
        batch_size=parameters.batch_size,
        classes=len(checkpoint.class_names),
    )


def score_all(
    files: ShardFiles, request: ShardRequest, count: int
) -> tuple[list[ShardResult], dict[int, str]]:
    """Results of all shards, those that were there already too, and why others failed."""
    results = [found for number in range(count) if (found := read_result(files, number)) is not None]
    done = {result.number for result in results}
    if done:
        get_run_logger().info("%d of %d shards are there already", len(done), count)
    futures = {number: score.submit(request, number) for number in range(count) if number not in done}
    failed: dict[int, str] = {}
    for number, future in futures.items():
        found = future.result(raise_on_failure=False)
        if isinstance(found, ShardResult):
            results.append(found)
        else:
            failed[number] = f"{type(found).__name__}: {found}"
    return sorted(results, key=lambda result: result.number), failed


def finish(files: ShardFiles, results: list[ShardResult], checkpoint: Checkpoint) -> None:
    """Add up the shards; write the record and the report."""
    confusion = np.sum([result.confusion for result in results], axis=0)
    found: Quality = measure_counts(confusion)
    record = read_json(files.record) | {
        "ended_at": now(),
        "documents": found.documents,
        "shards": len(results),
        "classes": checkpoint.class_names,
        "confusion": confusion.tolist(),
        "accuracy": found.accuracy,
        "f1_macro": found.macro_f1,
        "f1_weighted": found.weighted_f1,
        "seconds": sum(result.seconds for result in results),
        "processes": len({result.process for result in results}),
        "peak_rss_bytes": max(result.peak_rss_bytes for result in results),
    }
    write_json(files.record, record)
    markdown = document(record, found)
    write_text(files.report, markdown)
    publish_evaluation(files.run_id, markdown)


__all__ = ["sharded_evaluation", "with_runner"]
