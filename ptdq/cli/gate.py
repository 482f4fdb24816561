"""``ptdq gate``: old and new in one job of a pipeline, and an exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptdq.cli.completion import files as complete_files
from ptdq.cli.options import CONFIG, VERBOSE, given_options, takes
from ptdq.errors import GateFailed, RunFailed, UserError
from ptdq.parameters import names, read_config
from ptdq.text import plain


@takes(names())
@click.command("gate")
@CONFIG
@click.option(
    "--old-model",
    shell_complete=complete_files,
    help="The model that is served now: it is prepared and judged first, then measured beside the new "
    "one. In place of --baseline.",
)
@click.option("--old-revision", help="Branch, tag or commit of an old model on the hub.")
@click.option(
    "--json",
    "verdict",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Copy the verdict there: the run's summary.json.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="GITHUB_STEP_SUMMARY",
    help="Append a summary in Markdown to this file.  [default: what GITHUB_STEP_SUMMARY names]",
)
@VERBOSE
def command(
    config: Path | None,
    old_model: str | None,
    old_revision: str | None,
    verdict: Path | None,
    page: Path | None,
    verbose: bool,
    **options: Any,
) -> None:
    """Measure an old and a new model side by side; fail where the new one is worse.

    For a pipeline. Takes the options of `ptdq run`. Old and new artifacts are interleaved in one run,
    which fails (status 3) where a variant became decidedly slower or worse, or where none passes all
    gates. Rounds are added until the intervals are within 5 %, for 20 minutes at most, unless
    --target-width and --max-minutes say otherwise.
    """
    from ptdq.gate import Old, gate
    from ptdq.report.job_summary import add_to_page, job_summary
    from ptdq.report.summary import summary_path
    from ptdq.report.terminal import console, show
    from ptdq.store.disk import read_json, write_json
    from ptdq.store.layout import open_run

    if old_revision is not None and old_model is None:
        raise UserError("old_revision: it is of --old-model, which is missing")
    old = None if old_model is None else Old(old_model, old_revision)
    values = (read_config(config) if config is not None else {}) | given_options(options)
    try:
        ended = gate(values, old, verbose)
    except (UserError, RunFailed, GateFailed) as error:
        if page is not None:
            add_to_page(page, f"**ptdq gate ended without a report:** {plain(error)}\n")
        raise
    if ended.directory is not None:
        files = open_run(ended.directory)
        show(files, console())
        if page is not None:
            add_to_page(page, job_summary(files))
        if verdict is not None:
            verdict.parent.mkdir(parents=True, exist_ok=True)
            write_json(verdict, read_json(summary_path(files)))
        click.echo(str(ended.directory))
    if ended.error is not None:
        raise ended.error
