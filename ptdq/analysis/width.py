"""How wide the intervals of a run are by now: of the time per document, against the baseline."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from ptdq.analysis.timing_table import TIMES, checked, length_times
from ptdq.measure.design import Design
from ptdq.statistics.influence import MEAN_TIME
from ptdq.statistics.measured import Comparer
from ptdq.statistics.uncertain import Estimate
from ptdq.statistics.width import half_width
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table


@dataclass(frozen=True)
class Width:
    """Of one variant at one length.

    Attributes:
        rounds: those that both it and the baseline have.
        documents: those that are timed.
        estimate: of the log speed-up; None where there is no interval yet.
        too_few: why there will be none with any number of rounds; None where there can be.
    """

    variant: str
    max_length: int
    rounds: int
    documents: int
    estimate: Estimate | None
    too_few: str | None

    @property
    def share(self) -> float:
        """Half-width of the interval, as a share of the speed-up."""
        return float("inf") if self.estimate is None else half_width(self.estimate)


def read_times(files: RunFiles, design: Design) -> pd.DataFrame:
    """Times of the cells that are finished, for :func:`widths`."""
    paths = [path for cell in design.cells if (path := files.cell(cell.cell_id)).is_file()]
    tables = [read_table(path, TIMES).replace_schema_metadata() for path in paths]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def widths(times: pd.DataFrame, baseline: str) -> list[Width]:
    """The width of each comparison with the baseline: of the interval of it alone, at 95 %.

    It does not look at which variant is faster, so that one may add rounds until it is small enough:
    stopping on what an interval says, and not on how wide it is, would find differences where none are.

    Args:
        times: as for :func:`ptdq.analysis.timing.analyse`.
        baseline: the variant that the others are compared with.

    Raises:
        ValueError: the table is not as described.
    """
    table = checked(times, baseline)
    names = [baseline, *(name for name in table["variant"].unique() if name != baseline)]
    rows = []
    for length in sorted(table["max_length"].unique()):
        of_length = table[table["max_length"] == length]
        here = [name for name in names if (of_length["variant"] == name).any()]
        if here[0] != baseline:
            continue
        comparer = Comparer(length_times(of_length, here, int(length)).total, MEAN_TIME)
        present, documents = comparer.fit.layout.present, comparer.measured.documents
        for other in range(1, len(here)):
            estimate = None if comparer.refused(0, other) else comparer.compare(0, other)
            rounds = int((present[0] & present[other]).sum())
            too_few = MEAN_TIME.refused(documents)
            rows.append(Width(here[other], int(length), rounds, documents, estimate, too_few))
    return rows
