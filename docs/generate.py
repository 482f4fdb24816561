"""What the site takes from the code and from committed figures: one function for each marker.

A page has ``<!-- ptdq:NAME -->`` where the text of :data:`MARKERS` goes when the site is built. Tests use
the same functions, so that a parameter, column or variant that is missing from the site fails them.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic.fields import FieldInfo

from ptdq.orchestration import artifacts
from ptdq.parameters import Group, Parameters
from ptdq.parameters.matrix import MatrixParameters
from ptdq.store import schema
from ptdq.store.disk import read_json
from ptdq.variants import registry
from tests.benchmarks import bench, first, growth, nights, pipeline, real, tails, variants
from tests.safety import table as safety
from tests.variants import matrix as architectures

ROOT = Path(__file__).resolve().parents[1]
TABLES = schema.TABLES

FIGURES = ROOT / "tests" / "benchmarks" / "results"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; texts may hold Markdown, and what would end a cell is escaped."""
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    lines += ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
    return "\n".join(lines)


def parameters() -> str:
    """All parameters of a run, under the heading of their group."""
    parts = []
    for group in Group:
        fields = {n: f for n, f in Parameters.model_fields.items() if group in f.metadata}
        parts.append(f"## {group.value}\n\n{_fields(fields)}")
    return "\n\n".join(parts)


def matrix_parameters() -> str:
    """All parameters of a matrix."""
    return _fields(MatrixParameters.model_fields)


def _fields(fields: dict[str, FieldInfo]) -> str:
    return table(
        ["parameter", "type", "default", "meaning"],
        [[f"`{n}`", f"`{_kind(f)}`", _default(f), f.description or ""] for n, f in fields.items()],
    )


def _kind(field: FieldInfo) -> str:
    """The type in plain words, with its bounds."""
    bounds = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = [
        f" {sign} {getattr(mark, name):g}"
        for mark in field.metadata
        for name, sign in bounds.items()
        if getattr(mark, name, None) is not None
    ]
    return _words(field.annotation) + ",".join(limits)


def _words(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin is typing.Annotated:
        return _words(arguments[0])
    if origin in (types.UnionType, typing.Union):
        return _words(next(argument for argument in arguments if argument is not type(None)))
    if origin is list:
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return "mapping"
    words = {str: "text", int: "integer", float: "number", bool: "yes or no"}
    return words.get(kind) or str(kind.__name__)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.default
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list | dict):
        return ", ".join(f"`{item}`" for item in default) or "empty"
    return f"`{default}`"


def columns() -> str:
    """Every column of every table."""
    parts = []
    for name in TABLES:
        fields = schema.schema(name)
        rows = [
            [f"`{field.name}`", f"`{field.type}`", field.metadata[b"description"].decode()]
            for field in fields
        ]
        parts.append(f"### `{name}`\n\n{table(['column', 'type', 'meaning'], rows)}")
    return "\n\n".join(parts)


def artifact_columns() -> str:
    """Every column of every table artifact."""
    return "\n\n".join(
        f"## `{key}`\n\n{table(['column', 'meaning'], [[f'`{n}`', t] for n, t in found.items()])}"
        for key, found in artifacts.COLUMNS.items()
    )


def artifact_keys() -> str:
    """The table of keys in the module that makes the artifacts."""
    lines = inspect.getdoc(artifacts)
    assert lines is not None
    return "\n".join(line for line in lines.splitlines() if line.startswith("|")).replace("``", "`")


def built_in() -> str:
    """The variants of this package, with what each needs."""
    rows = []
    for name in registry.BUILT_IN:
        variant = registry.get(name)
        needs = ", ".join(variant.requires)
        rows.append(
            [
                f"`{name}`",
                variant.summary,
                f"`ptdq[{variant.extra}]`" if variant.extra else needs or "–",
                "documents" if variant.calibrates else "–",
                "yes" if variant.exported else "no",
            ]
        )
    return table(["variant", "what it does", "needs", "calibrates on", "export"], rows)


def variant_families() -> str:
    """What the modules of the variants say about themselves: settings, and where those are documented."""
    modules = dict.fromkeys(place.partition(":")[0] for place in registry.BUILT_IN.values())
    parts = []
    for module in modules:
        names = [f"`{n}`" for n, place in registry.BUILT_IN.items() if place.startswith(f"{module}:")]
        text = inspect.getdoc(importlib.import_module(module)) or ""
        parts.append(f"### {', '.join(names)}\n\n{_markdown(text)}")
    return "\n\n".join(parts)


def _markdown(docstring: str) -> str:
    """A docstring as Markdown: roles of Sphinx as code, addresses as links."""
    text = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", docstring).replace("``", "`")
    return re.sub(r"(?<![<(])(https?://[^\s)]+?)([.,]?)(?=\s|\)|$)", r"<\1>\2", text)


def figures(name: str) -> dict[str, Any]:
    """A committed file of figures."""
    return read_json(FIGURES / f"{name}.json")


def source(name: str, case: str | None = None) -> str:
    """Where the figures of a file, or of one case in it, come from."""
    found = figures(name) if case is None else figures(name)[case]
    machine, commit = found["machine"], found["git_commit"].removesuffix("-dirty")
    dirty = " with uncommitted changes" if found["git_commit"].endswith("-dirty") else ""
    return (
        f"From `tests/benchmarks/results/{name}.json`: {machine['cpu']}, {len(machine['cores'])} virtual "
        f"cores, `{'`, `'.join(machine['flags'])}`; measured on {found['ended_at'][:10]} at commit "
        f"`{commit[:7]}`{dirty}."
    )


def shards() -> str:
    """The sharded evaluation of a million documents, in a sentence."""
    found = figures("growth")["in_shards"]
    minutes, peak = found["seconds"] / 60, found["peak_rss_bytes"] / 1e6
    return f"{minutes:.1f} minutes, {peak:.0f} MB at the peak of a worker."


def variant_cases(name: str) -> str:
    """The tables of all variants in a file, one for each case that was measured."""
    parts = []
    for case, found in figures(name).items():
        where, told = source(name, case), variants.standing(found)
        parts.append(f"#### {case}\n\n{where}\n\n{variants.table(found)}\n\n{told}")
        if found["explained"]:
            commit = (found.get("profiled_commit") or found["git_commit"])[:7]
            parts.append(
                f"Where the time of a document goes, in ms, by `ptdq why` at commit `{commit}`:\n\n"
                f"{variants.explained(found)}"
            )
    return "\n\n".join(parts)


def tail_figures() -> str:
    """Documents of many lengths, with padding and branches and without."""
    return f"{source('tails')}\n\n{tails.table(figures('tails'))}"


def real_models() -> str:
    """A real encoder as classifier and reranker: a table for each that was measured, and its report."""
    found = figures("real") if real.RESULTS.is_file() else {}
    parts = []
    for name in real.MODELS:
        heading = f"### As a {name}"
        if name not in found:
            parts.append(f"{heading}\n\n**It has not been run in full yet**: there is no figure of it.")
            continue
        text = real.table(found[name])
        where = f"{found[name]['machine']['cpu']}, measured on {found[name]['ended_at'][:10]}"
        first, rest = text.split("\n", 1)
        parts.append(f"{heading}\n\n{first}; {where}. [The whole report](real-{name}/report.md).\n{rest}")
    return "\n\n".join(parts)


def layers() -> str:
    """The order in which the rooms may import each other, as it is declared and checked."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (ordered,) = (contract for contract in contracts if contract["type"] == "layers")
    lines = [re.sub(r"[()]", "", layer).replace(" | ", ", ") for layer in ordered["layers"]]
    return "```text\n" + "\n".join(lines) + "\n```"


def _figures_alone(text: str) -> str:
    """The table of a benchmark's own Markdown, without the line on where it comes from."""
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


MARKERS: dict[str, Callable[[], str]] = {
    "layers": layers,
    "parameters": parameters,
    "matrix-parameters": matrix_parameters,
    "columns": columns,
    "artifact-columns": artifact_columns,
    "artifact-keys": artifact_keys,
    "variants": built_in,
    "variant-families": variant_families,
    "source bench": lambda: source("bench"),
    "source nights": lambda: source("nights"),
    "variant-cases": lambda: variant_cases("variants"),
    "variant-cases with AMX": lambda: variant_cases("variants-amx"),
    "tails": tail_figures,
    "bench-table": lambda: _figures_alone(bench.table(figures("bench"))),
    "nights-table": lambda: nights.table(figures("nights")),
    "real-models": real_models,
    "source pipeline": lambda: source("pipeline"),
    "pipeline": lambda: pipeline.table(figures("pipeline")),
    "source first": lambda: source("first"),
    "first": lambda: first.table(figures("first")),
    "growth": lambda: _figures_alone(growth.table(figures("growth"))),
    "shards": shards,
    "architectures": lambda: architectures.table(read_json(architectures.RESULTS)),
    "architectures-summary": lambda: architectures.summary(read_json(architectures.RESULTS)),
    "faults": lambda: safety.faults(read_json(safety.RESULTS)),
    "soak": safety.soak,
    "attacks": lambda: safety.attacks(read_json(safety.RESULTS)),
}


def fill(markdown: str) -> str:
    """A page with its markers replaced.

    Raises:
        KeyError: a marker that there is no function for.
    """
    return re.sub(r"<!-- ptdq:(.+?) -->", lambda match: MARKERS[match[1]](), markdown)
