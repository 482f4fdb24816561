"""What the site takes from the code is all of it, and every marker and page is in use."""

from __future__ import annotations

import re
import sys

import click
import pytest

from ptdq.cli.main import cli
from ptdq.parameters import Group, Parameters
from ptdq.store import schema
from ptdq.variants import registry
from tests.support.pages import pages
from tests.support.running import ROOT

sys.path.append(str(ROOT / "docs"))

import generate


def test_every_parameter_has_a_group_and_a_row() -> None:
    text = generate.parameters()
    for name, field in Parameters.model_fields.items():
        assert sum(mark in field.metadata for mark in Group) == 1, name
        assert field.description, name
        assert text.count(f"\n| `{name}` | ") == 1, name


@pytest.mark.parametrize("table", generate.TABLES)
def test_every_column_has_a_row(table: str) -> None:
    (section,) = (part for part in generate.columns().split("### ") if part.startswith(f"`{table}`"))
    rows = re.findall(r"^\| `(\w+)` \| `[^|]+` \| (.+) \|$", section, re.MULTILINE)
    assert [name for name, _ in rows] == schema.schema(table).names
    assert all(text.strip() for _, text in rows)


def test_every_variant_has_a_row_and_its_settings() -> None:
    rows, settings = generate.built_in(), generate.variant_families()
    for name in registry.BUILT_IN:
        assert f"| `{name}` | " in rows
        assert f"`{name}`" in settings


def test_every_command_has_a_guide() -> None:
    guides = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/guides").glob("*.md"))
    for name in cli.list_commands(click.Context(cli)):
        assert re.search(rf"^# .*`ptdq {name}`", guides, re.MULTILINE), name


def test_markers_are_those_there_are() -> None:
    used = [
        found
        for page in pages()
        for found in re.findall(r"<!-- ptdq:(.+?) -->", page.read_text(encoding="utf-8"))
    ]
    assert sorted(used) == sorted(generate.MARKERS)


def test_a_cell_of_a_table_does_not_end_early() -> None:
    assert generate.table(["a"], [["x | y"]]).splitlines()[-1] == "| x \\| y |"
