"""``ptdq evaluate``: the flow ``sharded-evaluation`` from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from ptdq.cli.options import given_options, options_of

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

OPTIONS = (
    "batch_size", "revision", "model_loader", "trust_remote_code", "text_column", "label_column",
    "label_map", "encoding", "engine", "modules", "keep_float", "keep_float_mixed", "granularity",
    "dtype", "cell_timeout", "max_wait", "results_dir", "run_id", "no_cache",
)  # fmt: skip
"""Fields of the parameters that mean here what they mean in a run; the others are declared below."""


@click.command()
@click.option(
    "--model", required=True, help="Checkpoint directory of a sequence classifier, or its id on the hub."
)
@click.option(
    "--data",
    required=True,
    help="Labelled documents: CSV, TSV, JSON lines or Parquet; a path or a URL. All rows are evaluated.",
)
@click.option(
    "--variant",
    required=True,
    help="The variant to evaluate, one. Those that calibrate are refused: the file is read piece by "
    "piece, so that no calibration document is in it goes unchecked; use `ptdq run`.",
)
@click.option(
    "--max-length", type=int, required=True, help="Documents are truncated to this many tokens; one."
)
@click.option(
    "--shard-documents", type=int, default=10_000, show_default=True, help="Documents of a shard."
)
@click.option("--workers", type=int, help="Evaluate on so many Dask worker processes of this machine.")
@click.option("--scheduler", metavar="ADDRESS", help="Evaluate on the Dask cluster at tcp://HOST:PORT.")
@options_of(OPTIONS)
def evaluate(
    variant: str,
    max_length: int,
    shard_documents: int,
    workers: int | None,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Evaluate one variant on a file of any size, in shards; the directory is the last line.

    With --run-id of an evaluation that was broken off, the missing shards only are done.
    """
    from ptdq.flows.evaluate import sharded_evaluation
    from ptdq.orchestration.ending import finish
    from ptdq.orchestration.runners import make_runner
    from ptdq.parameters import make_parameters

    chosen = sharded_evaluation.with_options(task_runner=make_runner(workers, scheduler))
    given = given_options(options) | {"variant": [variant], "max_length": [max_length]}
    state = chosen(make_parameters(given), shard_documents, return_state=True)
    finish(cast("State[Any]", state))
