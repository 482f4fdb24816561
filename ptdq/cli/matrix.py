"""``ptdq matrix``: the flow ``benchmark-matrix`` from the command line, against a Prefect server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from ptdq.cli.options import given_options
from ptdq.errors import UserError


@click.command()
@click.option("--machine", multiple=True, help="Deployment of quantization-benchmark; may be repeated.")
@click.option("--model", multiple=True, help="Checkpoint, as each machine finds it; may be repeated.")
@click.option("--max-length", multiple=True, type=int, help="Tokens; may be repeated.")
@click.option("--price", multiple=True, metavar="MACHINE=PRICE", help="Price of an hour of a machine.")
@click.option("--timeout", type=float, metavar="SECONDS", help="What has not ended by then is cancelled.")
@click.option("--results-dir", help="Directory that all machines see.  [default: results]")
@click.option("--run-id", help="Name of the matrix; that of an earlier one goes on with it.")
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path),
    help="YAML or JSON file of the parameters of every run: data, variant, repeats, …",
)
def matrix(config: Path, price: tuple[str, ...], **options: Any) -> None:
    """Measure models on machines; one report with a row for each CPU.

    Each machine has a worker of its own and a deployment: see deployments/matrix.yaml.
    """
    from prefect.client.schemas.objects import State

    from ptdq.flows.matrix import benchmark_matrix
    from ptdq.matrix.parameters import MatrixParameters
    from ptdq.orchestration.ending import finish
    from ptdq.parameters import read_config, validated

    given = given_options(options) | {
        "benchmark": read_config(config),
        "price": dict(_price(text) for text in price),
    }
    parameters = validated(MatrixParameters, given)
    finish(cast(State[Any], benchmark_matrix(parameters, return_state=True)))


def _price(text: str) -> tuple[str, float]:
    machine, _, price = text.partition("=")
    try:
        return machine, float(price)
    except ValueError as error:
        raise UserError(f"price '{text}': expected MACHINE=PRICE, as in epyc=0.34") from error
