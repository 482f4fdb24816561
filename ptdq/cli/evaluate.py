"""``ptdq evaluate``: the flow ``sharded-evaluation`` from the command line."""

from __future__ import annotations

from typing import Any, cast

import click

from ptdq.cli.completion import files, variants
from ptdq.cli.options import VERBOSE, given_options, takes
from ptdq.parameters import Purpose, make_parameters, names


@takes(names(Purpose.EVALUATE))
@click.command("evaluate")
@click.option(
    "--model",
    required=True,
    shell_complete=files,
    help="Checkpoint directory of a sequence classifier, or its id on the hub.",
)
@click.option(
    "--data",
    required=True,
    shell_complete=files,
    help="Labelled documents: CSV, TSV, JSON lines or Parquet; a path or a URL. All rows are evaluated.",
)
@click.option(
    "--variant",
    required=True,
    shell_complete=variants,
    help="The variant to evaluate, one. Those that calibrate are refused: the file is read piece by "
    "piece, so nothing checks that no calibration document is in it; use `ptdq run`.",
)
@click.option(
    "--max-length", type=int, required=True, help="Documents are truncated to this many tokens; one."
)
@click.option(
    "--shard-documents",
    type=int,
    default=10_000,
    show_default=True,
    help="Documents of a shard, rounded up to whole batches.",
)
@click.option("--workers", type=int, help="Evaluate on so many Dask worker processes of this machine.")
@click.option("--scheduler", metavar="ADDRESS", help="Evaluate on the Dask cluster at tls://HOST:PORT.")
@VERBOSE
def command(
    shard_documents: int, workers: int | None, scheduler: str | None, verbose: bool, **options: Any
) -> None:
    """Evaluate one variant on a file of any size, in shards; the directory is the last line.

    With the --run-id of an evaluation that was broken off, only the missing shards are done.
    """
    from ptdq.evaluation.request import check_input

    given = given_options(options)
    parameters = make_parameters(given | {name: [given[name]] for name in ("variant", "max_length")})
    check_input(parameters, shard_documents)

    from prefect.client.schemas.objects import State

    from ptdq.flows.evaluate import sharded_evaluation
    from ptdq.orchestration.calm import shown
    from ptdq.orchestration.ending import finish
    from ptdq.orchestration.runners import make_runner
    from ptdq.orchestration.server import api

    chosen = sharded_evaluation.with_options(task_runner=make_runner(workers, scheduler))
    with shown(verbose), api():
        given = {**parameters.model_dump(), "shard_documents": shard_documents}
        finish(cast(State[Any], chosen(**given, return_state=True)))
