"""The report's sections, in order. A new one is one function from page to Markdown, named here.

A section with nothing to say returns an empty text.
"""

from __future__ import annotations

from collections.abc import Callable

from ptdq.report.sections import (
    baseline,
    closing,
    comparison,
    confidence,
    figures,
    history,
    measures,
    opening,
    quality,
    speed,
    tuning,
    uncertainty,
    why,
)
from ptdq.report.sections.page import Page

SECTIONS: tuple[Callable[[Page], str], ...] = (
    opening.verdict,
    opening.question,
    opening.gates,
    baseline.change,
    history.history,
    comparison.comparison,
    speed.fastest,
    figures.figures,
    measures.measures,
    measures.labels,
    confidence.confidence,
    comparison.buckets,
    speed.first_calls,
    comparison.interference,
    uncertainty.uncertainty,
    figures.reference,
    figures.sizes,
    tuning.tuning,
    quality.reports,
    quality.agreement,
    closing.limits,
    why.why,
    figures.pareto,
    closing.flags,
    closing.environment,
    closing.reproduce,
    closing.contents,
)
