"""Quality at tasks other than one class: each measure of each variant, and each label."""

from __future__ import annotations

from ptdq import numbers
from ptdq.problem.task import words_of
from ptdq.report import columns
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import paragraphs
from ptdq.report.sections.page import Page
from ptdq.store.rows import ClassRow, MeasureRow
from ptdq.store.run import Run


def _columns(run: Run) -> list[Column[MeasureRow]]:
    return [
        columns.VARIANT,
        columns.LENGTH,
        Column("measure", lambda r: words_of(run.task, r["measure"]), words=True),
        Column("value", lambda r: numbers.score(r["value"])),
        Column("difference", lambda r: numbers.change(r["difference"])),
        Column("95 % interval", lambda r: _interval(r)),
        Column("kept", lambda r: numbers.percent(r["ratio"], 2)),
        Column("lower bound", lambda r: numbers.percent(r["ratio_low"], 2)),
    ]


def _interval(row: MeasureRow) -> str:
    return numbers.interval(row["difference_low"], row["difference_high"], digits=4, sign=True)


_NOTES = {
    "multi-label": "Micro F1 counts all labels of all documents together, macro F1 is the mean over the "
    "labels; subset accuracy is the share of documents with exactly the right labels.",
    "regression": "Correlations of the model's output, as it is, with the values of the data; of the "
    "mean absolute error less is better.",
    "rerank": "Means over the queries that have a relevant candidate. Of candidates with the same score "
    "the less relevant one comes first. Kendall's tau: how alike the orders of variant and baseline are. "
    "A batch is the candidates of a query: latencies are per query, documents per second are pairs of "
    "query and candidate.",
}


def measures(page: Page) -> str:
    """Every measure of the task, with the paired interval of its change."""
    run = page.run
    rows = run.rows(MeasureRow)
    if not run.quality or not rows:
        return ""
    return paragraphs(
        "## Quality at the task",
        to_markdown(_columns(run), rows),
        f"{_NOTES.get(run.task, '')} Difference: variant minus baseline, both on the same documents. "
        "Kept: the share of the baseline's, with the bound that decides non-inferiority.",
    )


def labels(page: Page) -> str:
    """Precision, recall and F1 of each label of a multi-label model."""
    run = page.run
    rows = run.rows(ClassRow) if run.quality and run.task == "multi-label" else []
    if not rows:
        return ""
    first = min(row["repeat"] for row in rows)
    shown: list[Column[ClassRow]] = [
        columns.VARIANT,
        columns.LENGTH,
        Column("label", lambda r: r["class_name"], data=True),
        Column("precision", lambda r: numbers.score(r["precision"])),
        Column("recall", lambda r: numbers.score(r["recall"])),
        Column("F1", lambda r: numbers.score(r["f1"])),
        Column("documents", lambda r: numbers.count(r["support"])),
    ]
    return paragraphs("## Labels", to_markdown(shown, [row for row in rows if row["repeat"] == first]))
