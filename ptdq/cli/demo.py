"""``ptdq demo``: the flow on the embedded default."""

from __future__ import annotations

from typing import Any

import click

from ptdq.cli.measuring import measure
from ptdq.cli.options import VERBOSE, given_options, takes
from ptdq.parameters import DEMO_VALUES, make_parameters, names


@takes(names())
@click.command("demo")
@VERBOSE
def command(verbose: bool, **options: Any) -> None:
    """Run the benchmark on the embedded default: a synthetic corpus and a small BERT, made here."""
    measure(make_parameters(DEMO_VALUES | given_options(options)), verbose=verbose)
