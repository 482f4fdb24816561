"""The flow ``sharded-evaluation``: the quality of one variant on more documents than fit into memory.

Shards go through Prefect's task runner: threads of this process, or with ``prefect-dask`` the workers of
a Dask cluster, of this machine or of many that see the results directory and the cache. Nothing is
timed here: workers share cores as the cluster sees fit.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger

from ptdq.evaluation.collect import check_scored, conclude, missing_shards, read_results
from ptdq.evaluation.request import begin, check, prepare, read_model, whole_batches
from ptdq.evaluation.shards import count_shards
from ptdq.orchestration.artifacts import publish_evaluation
from ptdq.orchestration.ending import completed, ended
from ptdq.orchestration.flow_run import current_flow_run, current_task_runner, directory_for
from ptdq.orchestration.machine_limit import ServerLock
from ptdq.orchestration.permission import check_code
from ptdq.orchestration.runners import is_elsewhere
from ptdq.orchestration.signature import flat
from ptdq.parameters import Parameters
from ptdq.report.evaluation import document
from ptdq.store.disk import write_text
from ptdq.store.layout import ShardFiles
from ptdq.tasks.score import score


@flow(name="sharded-evaluation", validate_parameters=True)
@flat(Parameters)
def sharded_evaluation(parameters: Parameters, shard_documents: int = 10_000) -> Any:
    """Predict every document with one variant at one length; quality, and a file for each shard.

    With the run_id of an evaluation that was broken off, the missing shards only are done.

    Args:
        parameters: model and data (not `demo`), one variant that does not calibrate, one
            max_length; those of timing mean nothing here.
        shard_documents: documents of a shard, which bound the memory of a worker; rounded up to
            whole batches.
    """
    log = get_run_logger()
    # Absolute: workers of a cluster have working directories of their own.
    files = ShardFiles(directory_for(parameters, current_flow_run()).resolve())
    kept = f"finished shards are kept (--run-id {files.run_id} does the missing ones)"
    with ended(files, kept) as ending, ServerLock() as lock:
        check_code(parameters, current_flow_run())
        check(parameters, shard_documents)
        whole = whole_batches(shard_documents, parameters.batch_size)
        if whole != shard_documents:
            log.warning("shards of %d documents, whole batches, not %d", whole, shard_documents)
            shard_documents = whole
        checkpoint = read_model(parameters)
        if not is_elsewhere(current_task_runner()):
            # Shards that are scored on this machine would disturb a benchmark.
            lock.acquire(files.run_id, log.warning, parameters.max_wait)
        begin(files, parameters, shard_documents, checkpoint)
        request = prepare(files, parameters, shard_documents, checkpoint)

        missing = missing_shards(files)
        log.info("%d of %d shards are to be scored", len(missing), count_shards(files))
        check_scored(files, {number: score.submit(request, number) for number in missing})

        record, scores = conclude(files, read_results(files), request, checkpoint.class_names)
        markdown = document(record.model_dump(), scores.classes)
        write_text(files.report, markdown)
        publish_evaluation(files.run_id, markdown)
    return ending.state or completed(files)
