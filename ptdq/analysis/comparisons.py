"""From a run's predictions to the tables that compare its variants.

Thin over :mod:`ptdq.analysis.timing` and :mod:`ptdq.analysis.predictions`: this module picks the rows
and names the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ptdq.analysis.arrays import Times, read_times
from ptdq.analysis.document_groups import Groups, read_groups
from ptdq.analysis.first_calls import first_calls
from ptdq.analysis.interference import interference
from ptdq.analysis.measures import MeasureComparer
from ptdq.analysis.predictions import Comparer, calibration_rows
from ptdq.analysis.question import Question
from ptdq.analysis.timing import Analysis, analyse_lengths
from ptdq.analysis.timing_table import cell_times
from ptdq.host.memory import trim
from ptdq.numbers import known
from ptdq.problem.task import OF_CLASSES
from ptdq.statistics.confounding import confounded
from ptdq.statistics.drift import MIN_DOCUMENTS
from ptdq.store.cell_rows import CellRows
from ptdq.store.layout import RunFiles
from ptdq.store.rows import BestRow, BucketRow, CalibrationRow, ComparisonRow, PairKey
from ptdq.store.schema import merge, names
from ptdq.store.tables import make_table, write_table
from ptdq.variant_names import registered

R = TypeVar("R")


def write_comparisons(files: RunFiles, question: Question) -> list[str]:
    """Write what compares variants: ``comparisons`` and the tables beside it.

    Every pair of variants is compared, the earlier one as the baseline of the later, and what was
    measured again of the baseline run with its successor; buckets and the best are those against the
    run's baseline variant.

    Args:
        files: of the run, with ``predictions`` and ``documents`` (and ``control``) written.
        question: what is asked.

    Returns:
        What was left out, in words.
    """
    timed, groups = CellRows(files.table("predictions"), "timing"), read_groups(files)
    timing = _timing(timed, groups, question)
    own = timing.get(question.baseline)
    # Before the answers are read: both at once are more than is needed.
    courses = {length: _courses(timed, length, question) for length in question.max_lengths}
    trim()  # here and below: what allocators keep of one step is as much as the next one takes
    comparer = (Comparer if question.task in OF_CLASSES else MeasureComparer)(files, question, groups)
    trim()
    comparisons = [
        row
        for length in question.max_lengths
        for row in _comparisons(files.run_id, length, timing, courses[length], comparer)
    ]
    calibration: list[CalibrationRow] = []
    if question.claim_quality and isinstance(comparer, Comparer):
        calibration = calibration_rows(files.run_id, comparer)
    tables: dict[str, list[Any]] = {
        "comparisons": comparisons,
        "buckets": _buckets(files.run_id, own),
        "best": _best(files.run_id, own),
        "first_calls": first_calls(files.run_id, timed),
        "calibration": calibration,
        "measures": comparer.rows(files.run_id) if isinstance(comparer, MeasureComparer) else [],
    }
    if files.table("control").is_file():
        control = CellRows(files.table("control"))
        tables["interference"] = interference(control, timed, files.run_id)
    for name, rows in tables.items():
        write_table(files.table(name), make_table(name, rows))
    return [] if own is None else list(own.notes)


def _pairs(question: Question) -> list[tuple[str, str]]:
    """Which variants are compared: the baseline and the variant."""
    again = [(name, registered(name)) for name in question.earlier]
    return [*combinations(question.variants, 2), *again]


def _timing(timed: CellRows, groups: Groups, question: Question) -> dict[str, Analysis]:
    """What the times say, with each variant that has times as the baseline.

    What was measured again is no rival of the run's own variants, and left out where these are compared.
    """
    found = {length: cell_times(timed, length, groups) for length in timed.lengths}
    by_length = {length: times for length, times in found.items() if times is not None}
    measured = timed.variants
    own = [name for name in measured if name not in question.earlier]
    present = [name for name in question.variants if name in measured]
    rivals = dict.fromkeys(present[:-1], own)
    rivals |= {name: measured for name in question.earlier if name in measured}
    return {
        name: analyse_lengths(by_length, names, name, min_effect=question.min_effect, seed=question.seed)
        for name, names in rivals.items()
    }


def _courses(timed: CellRows, length: int, question: Question) -> dict[tuple[str, str], ComparisonRow]:
    """How the times of each pair of variants went at a length, whose times alone are in memory."""
    times = {
        variant: found
        for variant in question.measured
        if (found := read_times(timed, variant, length)) is not None
    }
    return {
        (baseline, variant): _course(times[baseline], times[variant], question.seed)
        for baseline, variant in _pairs(question)
        if baseline in times and variant in times
    }


def _comparisons(
    run_id: str,
    length: int,
    timing: Mapping[str, Analysis],
    courses: Mapping[tuple[str, str], ComparisonRow],
    comparer: Comparer | MeasureComparer,
) -> list[ComparisonRow]:
    """Rows of ``comparisons`` at a length."""
    return [
        _comparison(run_id, pair, length, timing, course, comparer) for pair, course in courses.items()
    ]


def _comparison(
    run_id: str,
    pair: tuple[str, str],
    length: int,
    timing: Mapping[str, Analysis],
    course: ComparisonRow,
    comparer: Comparer | MeasureComparer,
) -> ComparisonRow:
    """A row of ``comparisons``."""
    baseline, variant = pair
    key: PairKey = {
        "run_id": run_id,
        "baseline": baseline,
        "variant": variant,
        "max_length": length,
    }
    frame = timing[baseline].comparisons
    same = (frame["variant"] == variant) & (frame["max_length"] == length)
    times = _rows(ComparisonRow, frame[same])[0]
    counts: ComparisonRow = {"timing_documents": times["documents"]}
    if (judged := comparer.arrays.get((variant, length))) is not None:
        counts["documents"] = len(judged.doc_ids)
    columns = comparer.columns(baseline, variant, length)
    return merge(ComparisonRow, key, times, course, counts, columns)


def _course(a: Times, b: Times, seed: int) -> ComparisonRow:
    """The ratio in each round, and whether steps or trends spoil it."""
    shared = [number for number in a.rounds if number in b.rounds]
    a, b = a.only(shared), b.only(shared)
    row: ComparisonRow = {"round_speedups": [], "confounded": None}
    if not shared:
        return row
    row["round_speedups"] = (np.median(a.in_order, axis=1) / np.median(b.in_order, axis=1)).tolist()
    if a.in_order.shape[1] >= MIN_DOCUMENTS:
        confounding = confounded(a.in_order, b.in_order, seed=seed)
        row["confounded"] = confounding.reason if confounding.confounded else None
    return row


def _buckets(run_id: str, own: Analysis | None) -> list[BucketRow]:
    if own is None or own.buckets.empty:
        return []
    frame = own.buckets.rename(columns={"verdict": "latency_verdict"}).assign(run_id=run_id)
    return _rows(BucketRow, frame)


def _best(run_id: str, own: Analysis | None) -> list[BestRow]:
    """Variants that can't be told from the best, and what the fastest is worth after being picked."""
    if own is None or own.best_set.empty:
        return []
    winners = own.winner.rename(columns={"low": "speedup_low", "high": "speedup_high"})
    frame = own.best_set.merge(winners, how="left", on=["measure", "max_length", "variant"])
    return _rows(BestRow, frame.assign(run_id=run_id, fastest=frame["speedup"].notna()))


def _rows(kind: type[R], frame: pd.DataFrame) -> list[R]:
    """The columns of a data frame that the rows of a table have; nan is None."""
    shared = [name for name in names(kind) if name in frame.columns]
    return [
        merge(kind, {str(name): _plain(value) for name, value in row.items()})
        for row in frame[shared].to_dict(orient="records")
    ]


def _plain(value: Any) -> Any:
    return known(value) if isinstance(value, float) else value
