"""The report of a sharded evaluation. From its record alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ptdq import numbers as n
from ptdq.problem.task import WORDS, words_of
from ptdq.report.markdown import code, facts, paragraphs, table
from ptdq.statistics.quality import ClassMetrics


def document(record: Mapping[str, Any], classes: Sequence[ClassMetrics]) -> str:
    """The whole report as Markdown.

    Args:
        record: of the evaluation, complete.
        classes: figures of each class or label; none where the task has none.
    """
    asked, names = record["asked"], record["classes"]
    (variant,), (max_length,) = asked["variant"], asked["max_length"]
    rows = [
        [
            code(names[entry.label]),
            n.score(entry.precision),
            n.score(entry.recall),
            n.score(entry.f1),
            n.count(entry.support),
        ]
        for entry in classes
    ]
    return (
        paragraphs(
            f"# Evaluation {code(record['run_id'])}",
            f"**{code(variant)} at {max_length} tokens: {_quality(record)}.**",
            facts(
                [
                    ("Model", code(asked["model"])),
                    ("Data", code(asked["data"])),
                    ("Task", WORDS.get(record["task"], "")),
                    ("Groups", _groups(record)),
                    (
                        "Shards",
                        f"{record['shards']} of up to {n.count(asked['shard_documents'])} documents",
                    ),
                    ("Processes", f"{record['processes']}"),
                    ("Largest process", f"{n.megabytes(record['peak_rss_bytes'] / 1e6)} MB"),
                    ("Time of all shards", f"{n.seconds(record['seconds'])} s, not a benchmark"),
                ]
            ),
            table(["Class", "Precision", "Recall", "F1", "Documents"], rows) if rows else "",
        )
        + "\n"
    )


def _quality(record: Mapping[str, Any]) -> str:
    """The measures, and over how much."""
    found = ", ".join(
        f"{words_of(record['task'], name)} {n.score(value)}" for name, value in record["measures"].items()
    )
    documents = n.count(record["documents"])
    if record["queries"] is not None:
        return f"{found} over {n.count(record['queries'])} queries with {documents} candidates"
    return f"{found} over {documents} documents"


def _groups(record: Mapping[str, Any]) -> str:
    """How many documents there are, if those that belong together count as one."""
    if record["groups"] is None:
        return ""
    column = code(record["asked"].get("group_column"))
    return f"{n.count(record['groups'])} groups of documents that belong together ({column})"
