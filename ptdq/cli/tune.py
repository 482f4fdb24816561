"""``ptdq tune``: search the fastest int8 that keeps a model's answers on this machine."""

from __future__ import annotations

import click

from ptdq.cli.options import given_options, takes
from ptdq.parameters import DEMO, Purpose, default_values, make_parameters, names


@takes(names(Purpose.TUNE))
@click.command("tune")
@click.argument("model", metavar="MODEL")
@click.option(
    "--data",
    help="Documents that a run will measure: none of them may be among those to search on. They are read "
    "for that alone.",
)
@click.option(
    "--max-length",
    type=int,
    help=f"Tokens, the longest that runs will have.  [default: {max(default_values()['max_length'])}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was tried as JSON.")
def command(
    model: str, data: str | None, max_length: int | None, as_json: bool, **options: object
) -> None:
    """Search int8-best for MODEL on this machine, on its calibration documents, and print what was tried.

    A run of the same model, calibration data and longest maximum length finds the choice in the cache;
    --no-cache searches anew.
    """
    from ptdq.host.terminal import calm
    from ptdq.report.terminal import console
    from ptdq.tune.run import tune
    from ptdq.tune.show import as_text, show

    asked = given_options(options)
    if data is None and model == DEMO:
        data = DEMO
    # A run needs data; without any, those to search on stand for it and nothing is done with them.
    asked |= {"model": model, "data": data or asked.get("calibration_data") or ""}
    if max_length is not None:
        asked["max_length"] = [max_length]
    parameters = make_parameters(asked)
    with calm() as display:
        prepared = tune(parameters, data is not None, display.note)
    if as_json:
        click.echo(as_text(prepared.artifact))
        return
    if prepared.cached:
        click.echo("found in the cache; --no-cache searches anew", err=True)
    show(prepared.artifact, console())
