"""The command ``ptdq``: finds the command asked for, and turns errors into exit statuses.

A command NAME is the object ``command`` of the module ``ptdq/cli/NAME.py``, and one line of
:data:`COMMANDS` here. A module is imported when its command is used, and its heavy imports are inside
its function, so that help and mistakes are answered at once.

Exit status: 0 good, 1 the run failed, 2 the input is wrong, 3 gates failed (no variant passes all of
its gates) or ``compare`` found a regression, 130 interrupted. The verdict alone does not change it.
Progress goes to standard error; ``run`` and ``demo`` print the run's directory on the last line of
standard output.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import cast

import click

from ptdq.errors import GateFailed, RunFailed, UserError, disk_full
from ptdq.host.process import search_path
from ptdq.orchestration.environment import set_defaults
from ptdq.text import plain

RUN_FAILED, INPUT_WRONG, GATE_FAILED, INTERRUPTED = 1, 2, 3, 130

COMMANDS: dict[str, dict[str, str]] = {
    "Measure": {
        "init": "Look at a model and a data set, and write a configuration that can decide.",
        "plan": "Say how long a run takes, and what it can decide.",
        "run": "Measure variants of a model side by side.",
        "demo": "The same on the embedded default: a synthetic corpus and a small BERT.",
        "gate": "Measure old and new side by side in a pipeline; fail where the new one is worse.",
        "sensitivity": "Find the modules that lose quality in int8.",
        "tune": "Search the fastest int8 of a model that keeps its answers.",
        "evaluate": "Evaluate one variant on a file of any size, in shards.",
        "matrix": "Measure models on several machines.",
    },
    "Look at runs": {
        "show": "Print the tables of a run.",
        "report": "Rebuild the report of a run.",
        "compare": "Say what changed from one run to another.",
        "why": "Say where the time of a document goes, and what to do about it.",
        "history": "Show how latency and quality went from run to run.",
    },
    "Use and keep": {
        "export": "Write a measured variant for serving, without ptdq.",
        "baseline": "Mark a run as the one that later runs are compared with.",
        "prune": "Drop the rows of documents of old runs.",
    },
    "This machine": {
        "variants": "List the variants, and which are installed.",
        "doctor": "Check this machine before the first run.",
    },
}
"""Heading, name and one line of help for each command."""


class Commands(click.Group):
    """The group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for group in COMMANDS.values() for name in group]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return cast(click.Command, importlib.import_module(f"ptdq.cli.{cmd_name}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, commands in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ptdq")
def cli() -> None:
    """Is the quantized text classifier faster, smaller and as good? Measured, with intervals."""


def main() -> None:
    """Entry point of the command ``ptdq``."""
    sys.exit(_status())


def _status() -> int:
    """Run the command; what it ended with, said in one line where that is no success."""
    try:
        set_defaults()
        # A user's own modules (model_loader, variants) are found from where the command is run.
        os.environ["PYTHONPATH"] = search_path()
        sys.path.append(str(Path.cwd()))
    except FileNotFoundError:
        return _say("the working directory is gone; change to one that is there", INPUT_WRONG)
    try:
        status = cli.main(prog_name="ptdq", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except UserError as error:
        return _say(error, INPUT_WRONG)
    except GateFailed as error:
        return _say(error, GATE_FAILED)
    except RunFailed as error:
        return _last_words(str(error), error)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        notes = getattr(error, "__notes__", [])
        said = "; ".join([f"{error.filename}: {error.strerror}", *notes])
        return _say(said, RUN_FAILED if notes or disk_full(error) else INPUT_WRONG)
    except Exception as error:
        from ptdq.orchestration.api import not_answering

        line = not_answering(error)
        if line is None:
            raise
        # What Prefect wrote before may lack the end of its line.
        click.echo(err=True)
        return _last_words(line, error)
    return status if isinstance(status, int) else 0


def _last_words(line: str, error: Exception) -> int:
    """Why a run failed and how it goes on; nothing follows, of what Prefect's threads cannot send."""
    from ptdq.orchestration.api import silence

    _say("; ".join([line, *getattr(error, "__notes__", [])]), RUN_FAILED)
    silence()
    return RUN_FAILED


def _say(problem: object, status: int) -> int:
    """One line of plain text, whatever names and files of others are quoted in it."""
    click.echo(f"ptdq: {plain(problem)}", err=True)
    return status
