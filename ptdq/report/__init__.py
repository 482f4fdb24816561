"""The report: pure functions from a run's tables to Markdown, plots and terminal tables."""

from ptdq.analysis.tables import figure_rows
from ptdq.report.build import Report, build_report
from ptdq.report.terminal import show

__all__ = ["Report", "build_report", "figure_rows", "show"]
