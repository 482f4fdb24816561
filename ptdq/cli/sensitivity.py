"""``ptdq sensitivity``: what quantizing each module costs and gains, and what should stay float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptdq.cli.options import given_options, options_of
from ptdq.parameters import Parameters, make_parameters, read_config

# Of a run's parameters, those that mean something here and have the same default.
_SHARED = (
    "model", "data", "revision", "model_loader", "trust_remote_code", "text_column", "label_column",
    "label_map", "encoding", "engine", "modules", "keep_float", "granularity", "cores", "seed",
    "max_wait", "run_timeout", "results_dir", "run_id",
)  # fmt: skip
_RUN_ONLY = ("run_id", "limit")
_HERE_ONLY = ("max_length", "cores", "max_wait", "run_timeout")
LENGTH, DOCUMENTS = 128, 500


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="YAML or JSON file, as `ptdq run` takes.")
@click.option(
    "--by",
    type=click.Choice(["module", "block"]),
    default="module",
    show_default=True,
    help="Look at each module, or at all modules of a numbered layer together: much faster.",
)
@click.option(
    "--max-length",
    type=int,
    help=f"Tokens of a document.  [default: the longest of the configuration, else {LENGTH}]",
)
@click.option(
    "--limit", type=int, help=f"A stratified sample of this many documents.  [default: {DOCUMENTS}]"
)
@click.option(
    "--f1-margin",
    "--margin",
    "margin",
    type=float,
    help="Share of float32's weighted F1 that must be kept.  "
    f"[default: {Parameters.model_fields['margin'].default}]",
)
@click.option(
    "--calibration-data",
    help="Labelled documents to make the choice on, none of which may be in the data. Without them the "
    "choice is made on the data itself, and what a run then says of it is flattered.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Then measure the choice, if there is one, as `ptdq run` with that configuration does: the last "
    "line is the run's directory, and the exit status is the run's.",
)
@options_of(_SHARED)
def sensitivity(config: Path | None, by: Any, measure: bool, **options: Any) -> None:
    """Find the modules that cost quality in int8, what each gains, and what should stay float.

    Each module is quantized alone, its outputs are compared with float32's, and it is timed in both.
    Then the most harmful stay float until the margin of F1 holds: the variant int8-dynamic-mixed. The
    directory with table, report and a configuration for `ptdq run` is the last line printed.
    """
    from ptdq.report.terminal import console
    from ptdq.sensitivity.report import CONFIG, show, worth_a_run
    from ptdq.sensitivity.run import run_sensitivity

    configured = read_config(config) if config is not None else {}
    asked = given_options(options)
    if "max_length" in asked:
        asked["max_length"] = [asked["max_length"]]
    # Of a configuration, the name and the sample are the run's.
    shared = {"max_length": [LENGTH]} | {k: v for k, v in configured.items() if k not in _RUN_ONLY}
    parameters = make_parameters(shared | {"limit": DOCUMENTS} | asked)
    parameters = parameters.model_copy(update={"max_length": [max(parameters.max_length)]})
    # A run on this sample of the data would be no test of a choice made on it, so it stays here.
    run = (
        {"max_length": parameters.max_length}
        | {k: v for k, v in asked.items() if k not in (*_RUN_ONLY, *_HERE_ONLY)}
        | {k: v for k, v in configured.items() if k not in asked or k in (*_RUN_ONLY, *_HERE_ONLY)}
    )
    found, subject, directory = run_sensitivity(
        parameters, by, run, say=lambda text: click.echo(text, err=True)
    )
    show(found, subject, directory, console())
    click.echo(str(directory))
    if measure and worth_a_run(found):
        from ptdq.execution import execute

        execute(make_parameters(read_config(directory / CONFIG)))
