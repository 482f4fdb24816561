"""The command line. Options of ``run`` are the fields of :class:`flows.parameters.Parameters`.

Exit status: 0 good, 1 the run failed, 2 the input is wrong, 3 a gate failed. Logs go to standard
error; ``run`` and ``demo`` print the run's directory on the last line of standard output.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, cast

import click

from flows.commands import register
from flows.matrix_command import matrix
from flows.options import given_options, parameter_options
from flows.sensitivity_command import sensitivity
from flows.shards_command import evaluate
from tasks.errors import GateFailed, RunFailed, UserError

RUN_FAILED, INPUT_WRONG, GATE_FAILED = 1, 2, 3


def main() -> None:
    """Entry point of the command ``ptdq``."""
    # Set before Prefect is imported: its ephemeral server may take long to start on a busy
    # machine, and nothing is to leave the machine unasked.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
    # A user's own modules (model_loader, variants) are found from where the command is run.
    here = str(Path.cwd())
    sys.path.insert(0, here)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
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
        from flows.api import not_answering, silence

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
    from flows.parameters import make_parameters, read_config

    given = given_options(options)
    if resume is not None:
        from tasks.store import open_run, read_json

        files = open_run(resume, Path(str(given.get("results_dir", "results"))))
        values = read_json(files.record)["parameters"] | given
        values |= {"run_id": files.run_id, "results_dir": str(files.directory.parent)}
        execute(make_parameters(values), resume=True)
        return
    values = read_config(config) if config is not None else {}
    execute(make_parameters(values | given))


@cli.command()
@parameter_options
def demo(**options: Any) -> None:
    """Run the benchmark on the embedded default: a synthetic corpus and a small BERT, made here."""
    from flows.parameters import DEMO_VALUES, make_parameters

    execute(make_parameters(DEMO_VALUES | given_options(options)))


def execute(parameters: Any, resume: bool = False) -> None:
    """Run the flow and raise what it failed with; print the run's directory last.

    Raises:
        UserError, RunFailed, GateFailed: as the flow ended.
    """
    check_input(parameters, resume)
    from prefect.client.schemas.objects import State

    from flows.benchmark import quantization_benchmark
    from tasks.report.terminal import console, show
    from tasks.store import open_run

    started = time.time()
    try:
        state = cast(State[Any], quantization_benchmark(parameters, resume=resume, return_state=True))
    except Exception as error:
        directory = _broken_off(parameters, started)
        if directory is not None:
            error.add_note(f"finished cells are kept: ptdq run --resume {directory}")
        raise
    result = state.result(raise_on_failure=False)
    if isinstance(result, UserError):
        raise result
    directory = _directory(result, parameters)
    if directory is not None:
        show(open_run(directory), console())
        click.echo(str(directory))
    if isinstance(result, RunFailed | GateFailed):
        raise result
    if isinstance(result, BaseException):
        raise RunFailed(f"{type(result).__name__}: {result}") from result


def check_input(parameters: Any, resume: bool) -> None:
    """Find what is wrong before Prefect starts: within seconds, and with no log around the one line.

    The flow checks the same again, for those who come by a deployment. What is read here is in the
    cache then.

    Raises:
        UserError: something is wrong; nothing was written but the cache.
    """
    from flows.parameters import ALL, DEMO
    from tasks import inputs, published, record
    from tasks.engines import choose_engine
    from tasks.measure.machine import choose_cores
    from tasks.store import RunFiles
    from tasks.variants import registry

    for name in parameters.variant:
        if name != ALL:
            registry.check_installed(name)
    choose_engine(parameters.engine)
    choose_cores(parameters.cores)
    new = RunFiles(Path(parameters.results_dir) / (parameters.run_id or ".new"))
    record.check_target(new, None, resume)
    if parameters.publish_to is not None:
        published.check(parameters.publish_to, new.run_id, resume)
    if DEMO not in (parameters.model, parameters.data):
        inputs.read_model(parameters, inputs.read_data(parameters))


def _broken_off(parameters: Any, started: float) -> Path | None:
    """The directory of the run that was just broken off, by its id or as the newest one begun since."""
    records = Path(parameters.results_dir).glob(f"{parameters.run_id or '*'}/run.json")
    begun = [(path.stat().st_mtime, path.parent) for path in records]
    return max((found for found in begun if found[0] >= started), default=(0.0, None))[1]


def _directory(result: Any, parameters: Any) -> Path | None:
    if isinstance(result, str):
        return Path(result)
    if isinstance(result, RunFailed | GateFailed) and result.directory is not None:
        return Path(result.directory)
    return None


@cli.command()
@click.argument("run_name", metavar="RUN")
@click.option("--results-dir", default="results", type=click.Path(path_type=Path))
def report(run_name: str, results_dir: Path) -> None:
    """Rebuild the report of RUN (a directory, or an id) from its tables."""
    from tasks.report import build_report
    from tasks.store import open_run
    from tasks.summary import write_summary

    files = open_run(run_name, results_dir)
    write_summary(files)
    click.echo(str(build_report(files).path))


@cli.command()
@click.argument("run_name", metavar="RUN")
@click.option("--results-dir", default="results", type=click.Path(path_type=Path))
def show(run_name: str, results_dir: Path) -> None:
    """Print the tables of RUN (a directory, or an id)."""
    from tasks.report.terminal import console
    from tasks.report.terminal import show as show_run
    from tasks.store import open_run

    show_run(open_run(run_name, results_dir), console())


@cli.command()
def variants() -> None:
    """List the variants: what each does, what it needs, whether it is installed here."""
    from rich.table import Table

    from tasks.report.terminal import console
    from tasks.variants import registry

    table = Table("variant", "what it does", "needs", "installed")
    for name in registry.names():
        variant = registry.get(name)
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
