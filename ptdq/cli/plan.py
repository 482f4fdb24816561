"""``ptdq plan``: how long a run takes, and what it will be able to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptdq.cli.options import CONFIG, given_options, takes
from ptdq.parameters import make_parameters, names, read_config


@takes(names())
@click.command("plan")
@CONFIG
def command(config: Path | None, **options: Any) -> None:
    """Say how long a run would take here, and what it could decide.

    Takes the options of `ptdq run`. The baseline is prepared and a few of its calls are timed; nothing
    else is measured, and no directory is made.
    """
    from ptdq.analysis.planning import plan_alone

    values = read_config(config) if config is not None else {}
    parameters = make_parameters(values | given_options(options))
    plan = plan_alone(parameters, lambda text: click.echo(text, err=True))
    for line in plan.lines:
        click.echo(line)
    for warning in plan.warnings:
        click.echo(f"warning: {warning}")
