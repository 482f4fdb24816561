"""``ptdq export``: a measured variant, to be shipped."""

from __future__ import annotations

from pathlib import Path

import click

from ptdq.cli.completion import variants
from ptdq.cli.options import RESULTS, RUN
from ptdq.text import plain


@click.command("export")
@RUN
@click.option("--variant", required=True, shell_complete=variants, help="Which of the run's variants.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory to write; it must be new or empty.",
)
@click.option(
    "--push-to",
    metavar="OWNER/NAME",
    help="Then copy it to this repository of the model hub, which is made, private, where there is none. "
    "It takes a token that may write (hf auth login, or HF_TOKEN).",
)
@RESULTS
def command(run: str, variant: str, out: Path, push_to: str | None, results_dir: str) -> None:
    """Write what RUN measured, to be shipped: artifact, tokenizer, model card, loader without ptdq."""
    from ptdq.export.build import export
    from ptdq.export.push import check_push, push
    from ptdq.store.layout import open_run
    from ptdq.store.results import as_data, local

    files = open_run(run, local(results_dir))
    token = None if push_to is None else check_push(push_to)
    with as_data(files):
        written = export(files, variant, out)
    click.echo(plain(written))
    if push_to is not None and token is not None:
        click.echo(plain(push(written, push_to, token)))
