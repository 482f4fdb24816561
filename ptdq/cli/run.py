"""``ptdq run``: the flow ``quantization-benchmark`` on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptdq.cli.completion import runs
from ptdq.cli.measuring import measure
from ptdq.cli.options import CONFIG, VERBOSE, given_options, takes
from ptdq.errors import UserError
from ptdq.parameters import make_parameters, names, option_name, read_config


@takes(names())
@click.command("run")
@CONFIG
@click.option("--resume", metavar="RUN", shell_complete=runs, help="Continue a run that was broken off.")
@click.option(
    "--extend",
    metavar="RUN",
    shell_complete=runs,
    help="Add rounds to a run that is there: as many in all as --repeats says, or for --target-width.",
)
@VERBOSE
def command(
    config: Path | None, resume: str | None, extend: str | None, verbose: bool, **options: Any
) -> None:
    """Measure variants side by side, and write a report.

    An option goes before the same parameter in the config file, and that before its default.
    """
    given = given_options(options)
    if resume is not None and extend is not None:
        raise UserError("--resume, --extend: give one of them")
    if resume is None and extend is None:
        values = read_config(config) if config is not None else {}
        measure(make_parameters(values | given), verbose=verbose)
        return
    from ptdq.execution import extended, fixed, resumed

    asked = [*(["config"] if config is not None else []), *given]
    if unchangeable := fixed(asked, extending=extend is not None):
        option = option_name(unchangeable[0])
        raise UserError(
            f"{unchangeable[0]}: a run continues as it began; leave {option} out, or start a new run"
        )
    parameters = extended(extend, given) if extend is not None else resumed(str(resume), given)
    measure(parameters, resume=True, verbose=verbose)
