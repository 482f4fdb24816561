"""A run that is there, as Python and notebooks see it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ptdq.store.layout import RunFiles
    from ptdq.store.record_model import RunRecord, VerdictRecord
    from ptdq.store.run import Run as StoredRun


class Run:
    """Verdict, record and tables of a run; in a notebook it shows verdict, tables and a plot.

    Tables are data frames with a row each for …; they are empty where the run did not get so far, or its
    rows were pruned. :func:`ptdq.store.schema.schema` describes every column.
    """

    def __init__(self, files: RunFiles) -> None:
        """:func:`ptdq.run` and :func:`ptdq.load` make runs; nothing else needs to."""
        from ptdq.store.run import load

        self._stored: StoredRun = load(files)

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self._stored.files.directory

    @property
    def report(self) -> Path:
        """The report, Markdown; its plots lie beside it."""
        return self._stored.files.report

    @property
    def record(self) -> RunRecord:
        """``run.json``: parameters, model, data, machine, versions, design, verdict, gates."""
        return self._stored.record

    @property
    def verdict(self) -> VerdictRecord | None:
        """The decision (ship, don't ship or can't tell), its variant, and why; None without figures."""
        return self._stored.record.verdict

    @property
    def failed_gates(self) -> list[str]:
        """The gates that fail the run, in words; empty where some variant passes all of its gates."""
        from ptdq.analysis.outcome import gate_failures

        return gate_failures(self._stored.record)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """Each variant against the baseline at each length: speed-up, quality, intervals, verdicts."""
        return self._table("comparisons")

    @cached_property
    def variants(self) -> pd.DataFrame:
        """Each variant: its artifact's size and hash, and what was converted."""
        return self._table("variants")

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Each cell (variant, length, round): latency, quality, and the state of machine and process."""
        return self._table("cells")

    @cached_property
    def classes(self) -> pd.DataFrame:
        """Each class in each cell: precision, recall, F1."""
        return self._table("classes")

    @cached_property
    def buckets(self) -> pd.DataFrame:
        """Each comparison within a bucket of document lengths."""
        return self._table("buckets")

    @cached_property
    def best(self) -> pd.DataFrame:
        """The variants that can't be told from the fastest, and what the fastest is worth."""
        return self._table("best")

    @cached_property
    def first_calls(self) -> pd.DataFrame:
        """Each variant and length: the first call of a shape, which a serving process pays once."""
        return self._table("first_calls")

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """Each variant, length and bin of confidence: how often it is right there."""
        return self._table("calibration")

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Each variant and length of a task other than one class: its measures against the baseline's."""
        return self._table("measures")

    @cached_property
    def interference(self) -> pd.DataFrame:
        """Each variant and length: latency with the other cores idle and busy."""
        return self._table("interference")

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """Each variant that `ptdq why` was asked about: its measured and its explained time."""
        return self._table("profiles")

    @cached_property
    def operations(self) -> pd.DataFrame:
        """Each kind of operation of such a variant: its time, calls and instruction set."""
        return self._table("operations")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Each document in each cell, warm-up included: prediction, logits, times in ns."""
        return self._table("predictions")

    @cached_property
    def control(self) -> pd.DataFrame:
        """The same columns, of the documents evaluated with the other cores idle."""
        return self._table("control")

    @cached_property
    def documents(self) -> pd.DataFrame:
        """Each document: id, text, label."""
        return self._table("documents")

    def _table(self, name: str) -> pd.DataFrame:
        from ptdq.store.schema import schema
        from ptdq.store.tables import read_table

        path = self._stored.files.table(name)
        table = read_table(path) if path.is_file() else schema(name).empty_table()
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def __repr__(self) -> str:
        variant = self.verdict.variant if self.verdict is not None else None
        decision = " ".join(filter(None, [self._stored.decision, variant]))
        return f"<ptdq.Run {str(self.directory)!r}: {decision}>"

    def _repr_html_(self) -> str:
        from ptdq.report.notebook import html

        return html(self._stored)


__all__ = ["Run"]
