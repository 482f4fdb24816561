"""Every command is found by its name, says what it does, and costs nothing until it is used."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import ptdq.cli
from ptdq.cli.main import COMMANDS, cli
from tests.support.running import ROOT

NAMES = [name for group in COMMANDS.values() for name in group]


def test_every_module_with_a_command_is_in_the_table() -> None:
    modules = [module.name for module in pkgutil.iter_modules(ptdq.cli.__path__)]
    having = {n for n in modules if hasattr(importlib.import_module(f"ptdq.cli.{n}"), "command")}
    assert having == set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help(name: str) -> None:
    command = importlib.import_module(f"ptdq.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.name == name
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f" {name} [OPTIONS]" in result.output
    declared = [parameter.name for parameter in command.params]
    assert len(set(declared)) == len(declared)


def test_help_of_the_whole_imports_no_command() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom ptdq.cli.main import cli\n"
        "print(CliRunner().invoke(cli, ['--help']).output)\n"
        "heavy = {'pydantic', 'numpy', 'pandas', 'torch', 'prefect', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert f"\n  {name} " in done.stdout


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ptdq", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ptdq ")
    assert "nonsense" in done.stderr
