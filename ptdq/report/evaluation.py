"""The report of a sharded evaluation. From its record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptdq import numbers as n
from ptdq.report.markdown import code, facts, paragraphs, table
from ptdq.statistics.quality import Quality


def document(record: Mapping[str, Any], quality: Quality) -> str:
    """The whole report as Markdown."""
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
        for entry in quality.classes
    ]
    return (
        paragraphs(
            f"# Evaluation {code(record['run_id'])}",
            f"**{code(variant)} at {max_length} tokens: weighted F1 {n.score(quality.weighted_f1)}, "
            f"accuracy {n.score(quality.accuracy)} over {n.count(quality.documents)} documents.**",
            facts(
                [
                    ("Model", code(asked["model"])),
                    ("Data", code(asked["data"])),
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
            table(["Class", "Precision", "Recall", "F1", "Documents"], rows),
        )
        + "\n"
    )


def _groups(record: Mapping[str, Any]) -> str:
    """How many documents there are, if those that belong together count as one."""
    if record["groups"] is None:
        return ""
    column = code(record["asked"].get("group_column"))
    return f"{n.count(record['groups'])} groups of documents that belong together ({column})"
