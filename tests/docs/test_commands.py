"""Each command that a page shows is one that there is, with options that it has; one of them is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest

from ptdq.cli.main import cli
from tests.support.pages import README, commands, mentioned, pages
from tests.support.running import ROOT

SHOWN = [(page, words) for page in pages() for words in commands(page)]
NAMED = [
    (page, words) for page in pages() for words in mentioned(page) if re.fullmatch("[a-z]+", words[1])
]


def parse(words: list[str]) -> None:
    """Have click take the words as it would; nothing is run."""
    name, *rest = words[1:]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"no command {name}"
    command.make_context(name, rest)


def named(case: tuple[Path, list[str]]) -> str:
    page, words = case
    return f"{page.relative_to(ROOT)}: {' '.join(words)[:70]}"


@pytest.mark.parametrize("case", SHOWN, ids=named)
def test_a_command_in_a_block_is_complete(case: tuple[Path, list[str]]) -> None:
    parse(case[1])


@pytest.mark.parametrize("case", NAMED, ids=named)
def test_a_command_in_a_sentence_exists(case: tuple[Path, list[str]]) -> None:
    # A sentence need not name all that a command takes, nor take values that are values.
    with suppress(click.BadParameter, click.BadOptionUsage):
        parse(case[1])


def test_the_readme_names_every_command() -> None:
    assert {words[1] for words in mentioned(README)} >= set(cli.list_commands(click.Context(cli)))


@pytest.mark.long
@pytest.mark.slow
def test_the_readme_s_command_runs(tmp_path: Path) -> None:
    from ptdq.demo import Recipe, make_demo
    from ptdq.demo.recipe import Shape

    shape = Shape(hidden=64, layers=1, word_steps=2, steps=2, batch=4)
    demo = make_demo(tmp_path / "demo", progress=False, recipe=Recipe(64, 40, shape))
    # Under the names that the command has, so that it is run word by word.
    shutil.copytree(demo.model, tmp_path / "path" / "or" / "hub-id")
    shutil.copy(demo.data, tmp_path / "test.csv")
    (words,) = (found for found in commands(README) if found[1] == "run")
    ran = subprocess.run(
        [Path(sys.executable).with_name("ptdq"), *words[1:]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    directory = tmp_path / ran.stdout.splitlines()[-1]
    assert (directory / "report.md").read_text(encoding="utf-8").startswith("# Quantization benchmark")
