"""The command line. Options of ``run`` are the fields of :class:`ptdq.parameters.Parameters`.

Exit status: 0 good, 1 the run failed, 2 the input is wrong, 3 gates failed (no variant passes all of
its gates) or ``compare`` found a regression, 130 interrupted. The verdict alone does not change it. Logs
go to standard error; ``run`` and ``demo`` print the run's directory on the last line of standard output.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ptdq.cli.commands import register
from ptdq.cli.evaluate import evaluate
from ptdq.cli.matrix import matrix
from ptdq.cli.options import given_options, parameter_options
from ptdq.cli.sensitivity import sensitivity
from ptdq.errors import GateFailed, RunFailed, UserError
from ptdq.host.process import search_path

RUN_FAILED, INPUT_WRONG, GATE_FAILED = 1, 2, 3


def main() -> None:
    """Entry point of the command ``ptdq``."""
    # Set before Prefect is imported: its ephemeral server may take long to start on a busy
    # machine, and nothing is to leave the machine unasked.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
    # A user's own modules (model_loader, variants) are found from where the command is run.
    os.environ["PYTHONPATH"] = search_path()
    sys.path.append(str(Path.cwd()))
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        status = 130
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except UserError as error:
        click.echo(f"ptdq: {error}", err=True)
        status = INPUT_WRONG
    except (RunFailed, GateFailed) as error:
        click.echo(f"ptdq: {error}", err=True)
        status = GATE_FAILED if isinstance(error, GateFailed) else RUN_FAILED
    except Exception as error:
        from ptdq.orchestration.api import not_answering, silence

        line = not_answering(error)
        if line is None:
            raise
        # What Prefect wrote before may lack the end of its line.
        click.echo(f"\nptdq: {'; '.join([line, *getattr(error, '__notes__', [])])}", err=True)
        silence()
        status = RUN_FAILED
    sys.exit(status if isinstance(status, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ptdq")
def cli() -> None:
    """Is the quantized text classifier faster, smaller and as good? Measured, with intervals."""


@cli.command()
@click.option("--config", type=click.Path(path_type=Path), help="YAML or JSON file of parameters.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was broken off.")
@parameter_options
def run(config: Path | None, resume: str | None, **options: Any) -> None:
    """Measure variants side by side; options go before the config file, which goes before defaults."""
    from ptdq.execution import execute
    from ptdq.parameters import make_parameters, read_config

    given = given_options(options)
    if resume is not None:
        from ptdq.store import record
        from ptdq.store.layout import open_run
        from ptdq.store.record import UNMEASURED

        asked = [*(["config"] if config is not None else []), *given]
        if fixed := [name for name in asked if name not in UNMEASURED]:
            raise UserError(
                f"{fixed[0]}: a run goes on as it began; leave --{fixed[0].replace('_', '-')} out, or "
                "start a new run"
            )

        files = open_run(resume, Path(str(given.get("results_dir", "results"))))
        values = record.read(files).parameters | given
        values |= {"run_id": files.run_id, "results_dir": str(files.directory.parent)}
        execute(make_parameters(values), resume=True)
        return
    values = read_config(config) if config is not None else {}
    execute(make_parameters(values | given))


@cli.command()
@parameter_options
def demo(**options: Any) -> None:
    """Run the benchmark on the embedded default: a synthetic corpus and a small BERT, made here."""
    from ptdq.execution import execute
    from ptdq.parameters import DEMO_VALUES, make_parameters

    execute(make_parameters(DEMO_VALUES | given_options(options)))


@cli.command()
@click.argument("run_name", metavar="RUN")
@click.option("--results-dir", default="results", type=click.Path(path_type=Path))
def report(run_name: str, results_dir: Path) -> None:
    """Rebuild the report of RUN (a directory, or an id) from its tables."""
    from ptdq.report import build_report
    from ptdq.report.summary import write_summary
    from ptdq.store.layout import open_run

    files = open_run(run_name, results_dir)
    write_summary(files)
    click.echo(str(build_report(files).path))


@cli.command()
@click.argument("run_name", metavar="RUN")
@click.option("--results-dir", default="results", type=click.Path(path_type=Path))
def show(run_name: str, results_dir: Path) -> None:
    """Print the tables of RUN (a directory, or an id)."""
    from ptdq.report.terminal import console
    from ptdq.report.terminal import show as show_run
    from ptdq.store.layout import open_run

    show_run(open_run(run_name, results_dir), console())


@cli.command()
def variants() -> None:
    """List the variants: what each does, what it needs, whether it is installed here."""
    from rich.markup import escape
    from rich.table import Table

    from ptdq.report.terminal import console
    from ptdq.variants import registry

    table = Table("variant", "what it does", "needs", "installed")
    for name in registry.names():
        try:
            variant = registry.get(name)
        except UserError as error:
            # One of another package that is broken: the others are listed all the same.
            table.add_row(name, escape(str(error)), "-", "no")
            continue
        missing = registry.missing_packages(variant)
        table.add_row(
            name,
            variant.summary,
            ", ".join(variant.requires) or "-",
            "yes" if not missing else registry.install_hint(variant),
        )
    console().print(table)


register(cli)
cli.add_command(matrix)
cli.add_command(evaluate)
cli.add_command(sensitivity)
