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
import pyarrow as pa

from ptdq.analysis.arrays import Measured, of_kind, read_measured
from ptdq.analysis.first_calls import first_calls
from ptdq.analysis.interference import interference
from ptdq.analysis.measures import MeasureComparer
from ptdq.analysis.predictions import Comparer, calibration_rows
from ptdq.analysis.question import Question
from ptdq.analysis.timing import Analysis, analyse
from ptdq.analysis.timing_table import TIMES
from ptdq.numbers import known
from ptdq.problem.task import OF_CLASSES
from ptdq.statistics.confounding import confounded
from ptdq.statistics.drift import MIN_DOCUMENTS
from ptdq.store.layout import RunFiles
from ptdq.store.rows import BestRow, BucketRow, CalibrationRow, ComparisonRow, PairKey
from ptdq.store.schema import merge, names
from ptdq.store.tables import make_table, read_table, write_table
from ptdq.variant_names import registered

R = TypeVar("R")
Key = tuple[str, int]  # variant, maximum length


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
    table = read_table(files.table("predictions"))
    timed = of_kind(table, "timing")
    timing = _timing(timed, question)
    own = timing.get(question.baseline)
    arrays = {
        (variant, length): measured
        for variant in question.measured
        for length in question.max_lengths
        if (measured := read_measured(timed, variant, length)) is not None
    }
    comparer = _comparer(files, table, question)
    comparisons = [
        _comparison(files.run_id, pair, length, timing, arrays, comparer)
        for length in question.max_lengths
        for pair in _pairs(question)
        if all((name, length) in arrays for name in pair)
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
        control = read_table(files.table("control"))
        tables["interference"] = interference(control, timed, files.run_id)
    for name, rows in tables.items():
        write_table(files.table(name), make_table(name, rows))
    return [] if own is None else list(own.notes)


def _comparer(files: RunFiles, table: pa.Table, question: Question) -> Comparer | MeasureComparer:
    """What compares answers, by the task."""
    kind = Comparer if question.task in OF_CLASSES else MeasureComparer
    return kind(files, table, question)


def _pairs(question: Question) -> list[tuple[str, str]]:
    """Which variants are compared: the baseline and the variant."""
    again = [(name, registered(name)) for name in question.earlier]
    return [*combinations(question.variants, 2), *again]


def _timing(timed: pa.Table, question: Question) -> dict[str, Analysis]:
    """What the times say, with each variant that has times as the baseline.

    What was measured again is no rival of the run's own variants, and left out where these are compared.
    """
    frame: pd.DataFrame = timed.select(TIMES).to_pandas()
    measured = frame.loc[~frame["warmup"].astype(bool), "variant"].unique()
    own = frame[~frame["variant"].isin(list(question.earlier))]
    present = [name for name in question.variants if name in measured]
    frames = dict.fromkeys(present[:-1], own)
    frames |= {name: frame for name in question.earlier if name in measured}
    return {
        name: analyse(rows, name, min_effect=question.min_effect, seed=question.seed)
        for name, rows in frames.items()
    }


def _comparison(
    run_id: str,
    pair: tuple[str, str],
    length: int,
    timing: Mapping[str, Analysis],
    arrays: Mapping[Key, Measured],
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
    course = _course(arrays[baseline, length], arrays[variant, length], comparer.question.seed)
    course["timing_documents"] = times["documents"]
    if (judged := comparer.arrays.get((variant, length))) is not None:
        course["documents"] = len(judged.doc_ids)
    return merge(ComparisonRow, key, times, course, comparer.columns(baseline, variant, length))


def _course(a: Measured, b: Measured, seed: int) -> ComparisonRow:
    """The ratio in each round, and whether steps or trends spoil it."""
    shared = [number for number in a.rounds if number in b.rounds]
    a, b = a.only(shared), b.only(shared)
    row: ComparisonRow = {"round_speedups": [], "confounded": None}
    if not shared:
        return row
    row["round_speedups"] = (np.median(a.times, axis=1) / np.median(b.times, axis=1)).tolist()
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
