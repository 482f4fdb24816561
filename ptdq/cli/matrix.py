"""``ptdq matrix``: the flow ``benchmark-matrix`` from the command line, against a Prefect server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from ptdq.cli.options import VERBOSE, given_options, takes
from ptdq.errors import UserError
from ptdq.parameters import read_config, validated
from ptdq.parameters.matrix import MatrixParameters


@takes(["machine", "model", "max_length", "timeout", "results_dir", "run_id"], MatrixParameters)
@click.command("matrix")
@click.option("--price", multiple=True, metavar="MACHINE=PRICE", help="Price of an hour of a machine.")
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path),
    help="YAML or JSON file of the parameters of every run: data, variant, repeats, …",
)
@VERBOSE
def command(config: Path, price: tuple[str, ...], verbose: bool, **options: Any) -> None:
    """Measure models on machines; one report with a row for each CPU.

    Each machine has a worker of its own and a deployment: see deployments/matrix.yaml.
    """
    from ptdq.matrix.plan import check_input

    given = given_options(options) | {
        "benchmark": read_config(config),
        "price": dict(_price(text) for text in price),
    }
    parameters = validated(MatrixParameters, given)
    check_input(parameters)
    from prefect.client.schemas.objects import State

    from ptdq.flows.matrix import benchmark_matrix
    from ptdq.orchestration.calm import shown
    from ptdq.orchestration.ending import finish

    with shown(verbose):
        finish(cast(State[Any], benchmark_matrix(**parameters.model_dump(), return_state=True)))


def _price(text: str) -> tuple[str, float]:
    machine, _, price = text.partition("=")
    try:
        return machine, float(price)
    except ValueError as error:
        raise UserError(f"price '{text}': expected MACHINE=PRICE, as in epyc=0.34") from error
