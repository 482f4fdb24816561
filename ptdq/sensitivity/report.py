"""A study as Markdown, as JSON, as a configuration for a run, and in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptdq import numbers
from ptdq.problem.task import OF_CLASSES, main_measure, words_of
from ptdq.report import markdown
from ptdq.sensitivity.find import Found
from ptdq.sensitivity.words import Subject, sentences
from ptdq.store.disk import write_json, write_text
from ptdq.store.rows_beyond import SensitivityRow
from ptdq.store.schema import SCHEMA_VERSION
from ptdq.text import plain

MIXED = "int8-dynamic-mixed"
CONFIG = "mixed.yaml"

QUALITY = "quality"
"""In place of the name of the task's main measure."""

_COLUMNS: tuple[tuple[str, Callable[[SensitivityRow], str]], ...] = (
    ("harm, nats", lambda row: f"{row['divergence']:.2g}"),
    ("logit change", lambda row: f"{row['largest']:.3g}"),
    ("changed", lambda row: numbers.count(row["changed"])),
    (f"{QUALITY} change", lambda row: numbers.change(row["main_difference"])),
    ("float ms", lambda row: numbers.ms(row["float_ms"])),
    ("int8 ms", lambda row: numbers.ms(row["int8_ms"])),
    ("gain ms", lambda row: _gain(row)),
    ("stays", lambda row: "float" if row["kept"] else "int8"),
)
_LEGEND = (
    "Each alone quantized, the rest in float. Harm: mean Kullback-Leibler divergence of the answers from "
    "float32's. Logit change: the largest. Changed: predictions, or queries in another order. "
    "Times: of the modules alone in a forward pass, float and int8 in turns in one process; gain: median "
    "of the differences of pairs and its 95 % interval."
)


def write_files(
    directory: Path, found: Found, subject: Subject, record: Mapping[str, Any], run: Mapping[str, Any]
) -> None:
    """Write ``sensitivity.md`` and ``sensitivity.json`` and, where some is kept, ``mixed.yaml``.

    Args:
        directory: of the study.
        found: what it found.
        subject: what was studied.
        record: more facts for the JSON.
        run: parameters of a run of the same model.
    """
    if worth_a_run(found):
        write_text(directory / CONFIG, configuration(found, run))
    facts = {name: value for name, value in asdict(found).items() if name != "rows"}
    write_json(
        directory / "sensitivity.json",
        {
            "schema_version": SCHEMA_VERSION,
            "sensitivity_id": directory.name,
            **record,
            **asdict(subject),
            **facts,
            "sentences": sentences(found, subject),
        },
    )
    write_text(directory / "sensitivity.md", document(found, subject, directory))


def worth_a_run(found: Found) -> bool:
    """Whether a mixed variant is something else than both ``int8-dynamic`` and ``fp32``."""
    return bool(found.kept) and not found.nothing_left


def configuration(found: Found, run: Mapping[str, Any]) -> str:
    """Parameters of a run that measures the choice beside what it stands between, as YAML."""
    values = {**run, "variant": variants_of_run(run), "keep_float_mixed": found.kept}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def variants_of_run(run: Mapping[str, Any]) -> list[str]:
    """What a run that measures the choice compares, the baseline first."""
    return list(dict.fromkeys((*run.get("variant", ["fp32"]), "int8-dynamic", MIXED)))


def snippet(found: Found) -> str:
    """The one key that other configurations need."""
    return yaml.safe_dump({"keep_float_mixed": found.kept}).rstrip()


def command(directory: Path) -> str:
    """What measures the choice."""
    return f"ptdq run --config {directory / CONFIG}"


def document(found: Found, subject: Subject, directory: Path) -> str:
    """The report."""
    rows = (
        [markdown.code(row["name"]), *(markdown.prose(text(row)) for _, text in _COLUMNS)]
        for row in found.rows
    )
    measure = ""
    if worth_a_run(found):
        measure = markdown.paragraphs(
            "## Measure it",
            markdown.block(command(directory), "sh"),
            "or in a configuration of your own, with the variant `int8-dynamic-mixed`:",
            markdown.block(snippet(found), "yaml"),
        )
    return (
        markdown.paragraphs(
            f"# Sensitivity of {markdown.code(subject.model)}",
            markdown.bullets(markdown.prose(sentence) for sentence in sentences(found, subject)),
            measure,
            f"## Modules at {subject.max_length} tokens, most harmful first",
            markdown.table(["quantized", *_headings(subject)], rows),
            _LEGEND,
        )
        + "\n"
    )


def _headings(subject: Subject) -> list[str]:
    name = "F1" if subject.task in OF_CLASSES else words_of(subject.task, main_measure(subject.task))
    return [heading.replace(QUALITY, name) for heading, _ in _COLUMNS]


def show(found: Found, subject: Subject, directory: Path, console: Console) -> None:
    """Print the table, the sentences and what to do next."""
    table = Table(title=Text("Each alone quantized", style="bold"), title_justify="left")
    table.add_column("quantized", overflow="fold", min_width=30)
    for heading in _headings(subject):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found.rows:
        style = "bold" if row["kept"] else None
        cells = (row["name"], *(text(row) for _, text in _COLUMNS))
        table.add_row(*(Text(plain(cell)) for cell in cells), style=style)
    console.print(table)
    for sentence in sentences(found, subject):
        console.print(Text(plain(sentence)))
    if worth_a_run(found):
        console.print(Text(f"\n{snippet(found)}\n"))
        console.print(Text(f"measure it: {command(directory)}", style="bold"), soft_wrap=True)


def _gain(row: SensitivityRow) -> str:
    if row["gain_ms"] is None:
        return numbers.MISSING
    ends = numbers.interval(row["gain_low_ms"], row["gain_high_ms"], 3)
    return f"{row['gain_ms']:.3f} {ends}"
