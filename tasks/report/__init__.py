"""The report: pure functions from a run's tables to Markdown, plots and terminal tables."""

from tasks.report.build import Report, build_report
from tasks.report.tables import figure_rows
from tasks.report.terminal import show

__all__ = ["Report", "build_report", "figure_rows", "show"]
