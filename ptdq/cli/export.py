"""``ptdq export``: a measured variant, to be shipped."""

from __future__ import annotations

from pathlib import Path

import click

from ptdq.cli.options import RESULTS
from ptdq.text import plain


@click.command("export")
@click.argument("run", metavar="RUN")
@click.option("--variant", required=True, help="Which of the run's variants.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory to write; it must be new or empty.",
)
@RESULTS
def command(run: str, variant: str, out: Path, results_dir: str) -> None:
    """Write what RUN measured, to be shipped: artifact, tokenizer, model card, loader without ptdq."""
    from ptdq.export.build import export
    from ptdq.store.layout import open_run
    from ptdq.store.results import as_data, local

    files = open_run(run, local(results_dir))
    with as_data(files):
        written = export(files, variant, out)
    click.echo(plain(written))
