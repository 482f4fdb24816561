"""The model card of an export: what it is, what was measured, on which machine, how it was made."""

from __future__ import annotations

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.export.metadata import front_matter
from ptdq.report import columns
from ptdq.report.columns import to_markdown
from ptdq.report.markdown import block, code, facts, paragraphs, prose
from ptdq.report.sections.closing import environment, reproduce
from ptdq.report.sections.opening import RANDOM, SYNTHETIC, question
from ptdq.report.sections.page import Page
from ptdq.store.rows import ComparisonRow
from ptdq.store.run import Run
from ptdq.variants.artifact import Artifact

_USE = """\
from load import Classifier

classifier = Classifier()
"""
_KINDS = {"regression": "A model of numbers", "rerank": "A reranker"}
_CALLS = {"regression": "predict", "rerank": "rank"}
"""What to call, where it is not ``classify``."""


def _call(run: Run) -> str:
    """A line that uses the model as it was measured."""
    name = _CALLS.get(run.task, "classify")
    given = '["a document", "another"]'
    if run.task == "rerank":
        given = '"a query", ["a candidate", "another"]'
    elif run.record.data.pairs:
        given = '["a text", "another"], pairs=["its second text", "and of the other"]'
    return f"{_USE}classifier.{name}({given})\n"


def model_card(run: Run, name: str, summary: str, artifact: Artifact, loader: str | None = None) -> str:
    """The text of ``README.md``; whatever is in names and data is shown as written.

    Args:
        run: that measured it.
        name: of the variant.
        summary: of the variant.
        artifact: of the variant.
        loader: ``package.module:function`` that builds the module, where it is needed to load it.
    """
    page = Page(run, {}, inlined=True)
    model, labels = run.get("model", "name", default="a model"), run.get("model", "labels", default=[])
    return (
        paragraphs(
            front_matter(run, name),
            f"# {code(model, 120)} as {code(name)}",
            f"{_KINDS.get(run.task, 'A text classifier')}, prepared for CPUs and measured by ptdq in the "
            f"run {code(run.files.run_id)}: {prose(summary)}.",
            _classes(run, labels),
            "## Use",
            block(_call(run), "python"),
            "With this directory as the working directory or on Python's path, and the packages of "
            "`requirements.txt`; ptdq is not needed. `logits` gives the model's output. Documents are "
            "cut to the longest length that was measured, unless `max_length` says otherwise.",
            _own_module(loader),
            _figures(run, name),
            _made(run, name, artifact),
            question(page),
            environment(page),
            reproduce(page),
        )
        + "\n"
    )


def _classes(run: Run, labels: list[str]) -> str:
    """Names of the classes, of a task that has any."""
    if not labels or run.task in _CALLS:
        return ""
    return f"Classes: {', '.join(code(label, 60) for label in labels)}."


def _own_module(loader: str | None) -> str:
    if loader is None:
        return ""
    module, _, function = loader.partition(":")
    return (
        f"The model is a module of its own, which is not in this directory: {code(module)}, whose "
        f"function {code(function)} builds it, must be importable as well, with what it imports."
    )


def _figures(run: Run, name: str) -> str:
    """Latency and quality of the variant and the baseline; the difference with its interval."""
    shown = (run.baseline, name)
    batch = run.get("parameters", "batch_size", default=1)
    compared = [row for row in tables.against_baseline(run) if row["variant"] == name]
    return paragraphs(
        "## Measured",
        to_markdown(columns.figures(run), [r for r in tables.figures(run) if r["variant"] in shown]),
        f"Batch of {prose(batch)}, one thread, one core. Median and p95: forward pass; total: with "
        "tokenization. MB of 1e6 bytes.",
        _speedup(run, compared),
        SYNTHETIC if run.get("data", "synthetic") else "",
        RANDOM if run.random_weights else "",
    )


def _speedup(run: Run, compared: list[ComparisonRow]) -> str:
    if not compared:
        return ""
    return paragraphs(
        f"Against {code(run.baseline)}, with 95 % intervals over rounds and documents:",
        to_markdown(columns.speedups(), compared),
        to_markdown(columns.differences(run), compared) if run.quality else "",
    )


def _made(run: Run, name: str, artifact: Artifact) -> str:
    """Where the artifact comes from, and what is in it."""
    settings = artifact.settings
    size = next(row for row in tables.sizes(run) if row["variant"] == name)
    share = f", {numbers.score(size['artifact_share'])} of {code(run.baseline)}"
    verdict, chosen = run.decision, run.get("verdict", "variant")
    rows = [
        ("run", code(run.files.run_id)),
        ("verdict of the run", prose(verdict) + (f" {code(chosen)}" if chosen else "")),
        (
            "size",
            f"{numbers.megabytes(size['artifact_mb'])} MB{share if name != run.baseline else ''}",
        ),
        ("hash of the artifact", code(artifact.digest)),
        ("converted", f"{len(artifact.converted)} modules"),
        ("left in float32", f"{len(artifact.kept_float)} modules"),
        ("engine", code(settings.engine)),
        ("granularity", code(settings.granularity)),
        (
            "kept in float32 on request",
            ", ".join(map(code, (*settings.keep_float, *settings.keep_float_mixed))),
        ),
        ("preparation", f"{numbers.seconds(artifact.prepare_seconds)} s"),
    ]
    return paragraphs("## How it was made", facts(rows))
