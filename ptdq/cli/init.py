"""``ptdq init``: a configuration file for a model and a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptdq.cli.options import given_options, takes
from ptdq.parameters import names


@takes(names())
@click.command("init")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("nightly.yaml"),
    show_default=True,
    help="File to write; one that is there is never written over.",
)
def command(out: Path, **options: Any) -> None:
    """Look at a model and a data set, and write a configuration file for `ptdq run`.

    Takes the options of `ptdq run`, of which --model and --data are needed; what is given is kept, and
    the rest is chosen so that a run can decide. A few documents are timed, as by `ptdq plan`.
    """
    from ptdq.analysis.propose import propose
    from ptdq.report.configuration import check_new, configuration, write_new

    check_new(out)
    proposal = propose(given_options(options), lambda text: click.echo(text, err=True))
    for line in (*proposal.found, *proposal.decides):
        click.echo(line, err=True)
    write_new(out, configuration(proposal, out))
    click.echo(str(out))
