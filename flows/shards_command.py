"""``ptdq evaluate``: the flow ``sharded-evaluation`` from the command line."""

from __future__ import annotations

from typing import Any

import click

from flows.options import given_options, parameter_options


@click.command()
@click.option(
    "--shard-documents", type=int, default=10_000, show_default=True, help="Documents of a shard."
)
@click.option("--workers", type=int, help="Evaluate on so many Dask worker processes of this machine.")
@click.option("--scheduler", metavar="ADDRESS", help="Evaluate on the Dask cluster at tcp://HOST:PORT.")
@parameter_options
def evaluate(shard_documents: int, workers: int | None, scheduler: str | None, **options: Any) -> None:
    """Evaluate one variant on a file of any size, in shards; the directory is the last line.

    Quality only: options of timing mean nothing here. With --run-id of an evaluation that was broken
    off, the missing shards only are done.
    """
    from flows.ending import finish
    from flows.parameters import make_parameters
    from flows.shards import with_runner

    chosen = with_runner(workers, scheduler)
    finish(chosen(make_parameters(given_options(options)), shard_documents, return_state=True))
