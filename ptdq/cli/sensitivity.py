"""``ptdq sensitivity``: what quantizing each module costs and gains, and what should stay float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptdq.cli.measuring import measure as measure_run
from ptdq.cli.options import given_options, takes
from ptdq.parameters import Parameters, Purpose, default_values, make_parameters, names, read_config

LENGTH, DOCUMENTS = 128, 500


@takes(names(Purpose.SENSITIVITY))
@click.command("sensitivity")
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
    help="Share of float32's weighted and macro F1 that must be kept, shown by the lower bound as in a "
    f"run.  [default: {default_values()['margin']}]",
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
def command(config: Path | None, by: Any, measure: bool, **options: Any) -> None:
    """Find the modules that cost quality in int8, what each gains, and what should stay float.

    Each module is quantized alone, its outputs are compared with float32's, and it is timed in both.
    Then the most harmful stay float until the documents show that the margin of F1 holds: the variant
    int8-dynamic-mixed. The directory with table, report and a configuration for `ptdq run` is the last
    line printed.
    """
    from ptdq.report.terminal import console
    from ptdq.sensitivity.report import CONFIG, show, worth_a_run
    from ptdq.sensitivity.run import run_sensitivity

    configured = read_config(config) if config is not None else {}
    asked = given_options(options)
    if "max_length" in asked:
        asked["max_length"] = [asked["max_length"]]
    parameters = of_study(configured, asked)
    study, subject, directory = run_sensitivity(
        parameters,
        by,
        of_run(configured, asked, parameters),
        say=lambda text: click.echo(text, err=True),
    )
    show(study, subject, directory, console())
    click.echo(str(directory))
    if measure and worth_a_run(study):
        measure_run(make_parameters(read_config(directory / CONFIG)))


def of_study(configured: dict[str, Any], asked: dict[str, Any]) -> Parameters:
    """Parameters of the study: the options, before those of a configuration that are not the run's."""
    shared = {k: v for k, v in configured.items() if k not in names(Purpose.RUN_ONLY)}
    parameters = make_parameters({"max_length": [LENGTH], "limit": DOCUMENTS} | shared | asked)
    return parameters.model_copy(update={"max_length": [max(parameters.max_length)]})


def of_run(configured: dict[str, Any], asked: dict[str, Any], study: Parameters) -> dict[str, Any]:
    """Parameters of a run that measures the choice: the configuration, and options that are its too.

    The sample of the study is not among them: a run on it would be no test of a choice made on it.
    """
    shared = {k: v for k, v in asked.items() if k not in names(Purpose.STUDY_ONLY)}
    return {"max_length": study.max_length} | configured | shared
