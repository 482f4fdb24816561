"""``ptdq doctor``: is this machine fit for a benchmark?"""

from __future__ import annotations

import sys

import click

from ptdq.cli.options import RESULTS


@click.command("doctor")
@click.option("--model", help="Checkpoint directory, or id of a model in the hub's cache.")
@RESULTS
def command(model: str | None, results_dir: str) -> None:
    """Check this machine before the first run, and say what to mend. Status 1: something has to be."""
    from rich.console import Console
    from rich.text import Text

    from ptdq.doctor import examine
    from ptdq.store.results import local

    console = Console(soft_wrap=True)
    style = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    checks = examine(model, local(results_dir))
    for check in checks:
        console.print(
            Text(f"{check.status:<5}", style=style[check.status]), Text(f"{check.name}: {check.text}")
        )
        if check.remedy:
            console.print(Text(f"      {check.remedy}", style="italic"))
    if any(check.status == "fail" for check in checks):
        sys.exit(1)
