"""Confidence as quality: for all who set a threshold on a probability."""

from __future__ import annotations

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.report import columns
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import paragraphs
from ptdq.report.sections.page import Page
from ptdq.store.rows import ComparisonRow


def _interval(low: float | None, high: float | None) -> str:
    return numbers.interval(low, high, digits=4, sign=True)


_CONFIDENCE: list[Column[ComparisonRow]] = [
    columns.VARIANT,
    columns.LENGTH,
    Column("log-loss", lambda r: numbers.change(r["log_loss_difference"])),
    Column(
        "95 % interval",
        lambda r: _interval(r["log_loss_difference_low"], r["log_loss_difference_high"]),
    ),
    Column("from", lambda r: numbers.score(r["log_loss_baseline"])),
    Column("Brier score", lambda r: numbers.change(r["brier_difference"])),
    Column("95 % interval", lambda r: _interval(r["brier_difference_low"], r["brier_difference_high"])),
    Column("from", lambda r: numbers.score(r["brier_baseline"])),
    Column(
        "calibration error",
        lambda r: (
            f"{numbers.percent(r['calibration_error_baseline'])} to "
            f"{numbers.percent(r['calibration_error'])}"
        ),
    ),
]


def confidence(page: Page) -> str:
    """Log-loss and Brier score with their paired intervals, and the reliability plot."""
    rows = tables.against_baseline(page.run)
    rows = [row for row in rows if row["log_loss_difference"] is not None]
    if not page.run.quality or not rows:
        return ""
    return paragraphs(
        "## Confidence",
        to_markdown(_CONFIDENCE, rows),
        "Variant minus baseline, paired by document; above 0 is worse. Log-loss: minus the logarithm of "
        "the probability of the true class. Brier score: squared distance of the probabilities from the "
        "truth. Both see harm to every document, not only to those whose class changed. Calibration "
        "error: how far confidence is from the share of right predictions, baseline to variant; few "
        "documents make it larger, for both alike.",
        page.plot("reliability", "Share of right predictions against confidence"),
    )
