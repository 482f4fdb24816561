"""What changed from one run to a later one: latency and quality of each variant at each length.

Both runs timed the same documents, and round by round in the same order and on the same cores where
their designs agree, so rounds are paired as variants are within a run. The interval knows the rounds
and documents of these two runs. It does not know how much the machine differs from day to day, which
two runs cannot tell; ``ptdq history`` shows it, and a change that all variants share is pointed out.

Where model, code and package versions are the same, a slow-down that the run's own baseline variant
shows as well at that length is a change of the machine. The other variants are then compared with the
old run relative to the baseline variant too, and one is a regression only if it is slower in both
senses. The baseline variant's own slow-down is no regression if all other variants slowed alike. Where
model, code or versions differ, or where the baseline variant is alone, every slow-down is a regression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.analysis import tables
from ptdq.analysis.arrays import Measured, read_measured
from ptdq.analysis.changes import SAME, Change, Comparison, relative_text
from ptdq.analysis.tables import FigureRow
from ptdq.parameters import Purpose, names
from ptdq.statistics.multiplicity import holm
from ptdq.statistics.noise import NoiseFloor, judge, noise_floor
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.ratios import speed_up, speed_up_of_medians
from ptdq.statistics.resampling import Sampling
from ptdq.store.rows import CellRow
from ptdq.store.run import Run, cell_rows
from ptdq.store.tables import read_table

Floats = NDArray[np.float64]

ALPHA = 0.05
"""Of the exact McNemar tests, Holm-corrected over all variants and lengths."""


def compare_runs(old: Run, new: Run, seed: int = 0) -> Comparison:
    """Compare a run with an earlier one, on what both measured."""
    refused = refusal(old, new)
    before, after = _predictions(old), _predictions(new)
    shared = [
        (row["variant"], row["max_length"])
        for row in tables.figures(new)
        if _cells(old, row["variant"], row["max_length"])
        and _cells(new, row["variant"], row["max_length"])
    ]
    changes = []
    pairs = {key: _common(before, after, *key) for key in shared}
    for key, pair in pairs.items():
        change = _figures(old, new, *key)
        if refused is None:
            change = replace(change, **_latency(old, new, _timed(old, new, *key, pair), seed))
            change = _unless_confounded(old, new, change)
        changes.append(replace(change, **_quality(old, new, pair, seed)))
    changes = _blame_machine(old, new, _corrected(changes), pairs, seed)
    return Comparison(
        old.files.run_id,
        new.files.run_id,
        refused,
        differences(old, new),
        changes,
        _notes(old, new, changes),
    )


def refusal(old: Run, new: Run) -> str | None:
    """Why the timings of two runs must not be compared; None where they may be."""
    one, other = old.get("machine", default={}), new.get("machine", default={})
    for what, first, second in (
        ("CPU models", one.get("cpu"), other.get("cpu")),
        ("numbers of cores", _count(one, "cores_usable"), _count(other, "cores_usable")),
        ("numbers of cores in use", _count(one, "cores"), _count(other, "cores")),
        ("isolation", old.get("design", "isolation"), new.get("design", "isolation")),
        ("batch sizes", *(run.get("parameters", "batch_size") for run in (old, new))),
    ):
        if first != second:
            return f"different {what}: {_said(first)} and {_said(second)}"
    if old.get("parameters", "batch_size", default=1) > 1 and (
        old.get("parameters", "seed") != new.get("parameters", "seed")
        or old.get("data", "digest") != new.get("data", "digest")
    ):
        return "documents were put in different batches"
    return None


def _count(machine: Mapping[str, Any], name: str) -> int | None:
    cores = machine.get(name)
    return None if cores is None else len(cores)


def _said(value: object) -> str:
    return "unknown" if value is None else str(value)


def differences(old: Run, new: Run) -> list[str]:
    """What is not the same in two runs and may explain a change, in words."""
    paths = {
        "model": ("model", "digest"),
        "data": ("data", "digest"),
        "CPU flags": ("machine", "flags"),
        "system": ("machine", "system"),
        "governor": ("machine", "governor"),
    }
    paths |= {name: ("parameters", name) for name in names(Purpose.EXPLAINS)}
    packages = {*old.get("versions", default={}), *new.get("versions", default={})}
    paths |= {name: ("versions", name) for name in sorted(packages)}
    return _code_differences(old, new) + [
        f"{what}: {_short(old.get(*path))} before, {_short(new.get(*path))} now"
        for what, path in paths.items()
        if old.get(*path) != new.get(*path)
    ]


def _code_differences(old: Run, new: Run) -> list[str]:
    """What is known of ptdq's own code: a commit that was not recorded may be any other."""
    before, after = old.record.git_commit, new.record.git_commit
    if before is None and after is None:
        return ["code of ptdq: neither run knows its commit, so it may differ"]
    if before == after:
        return []
    texts = ("unknown" if commit is None else _short(commit) for commit in (before, after))
    return ["code of ptdq: {} before, {} now".format(*texts)]


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    text = "none" if value is None else str(value)
    commit, _, dirty = text.partition("-")
    if len(commit) >= 40 and commit.isalnum():
        return commit[:12] + (f"-{dirty}" if dirty else "")
    return text


def _notes(old: Run, new: Run, changes: Sequence[Change]) -> list[str]:
    notes = [
        f"{c.variant} at {c.max_length} tokens: no verdict on its timings, which are confounded {text}"
        for c in changes
        if (text := c.confounded) is not None
    ]
    for run in (old, new):
        flagged = sum(bool(cell["flags"]) for cell in run.good)
        if flagged:
            notes.append(f"{flagged} of {len(run.good)} cells of {run.files.run_id} were flagged")
    for length in sorted({change.max_length for change in changes}):
        verdicts = [c.latency_verdict for c in changes if c.max_length == length]
        for verdict in ("slower", "faster"):
            if len(verdicts) > 1 and set(verdicts) == {verdict}:
                notes.append(
                    f"at {length} tokens every variant is {verdict}: the machine, or what all "
                    "variants share, rather than one of them"
                )
        slowed = [c for c in changes if c.max_length == length and c.machine]
        if slowed:
            names = ", ".join(
                c.variant + (f" ({relative_text(c)})" if c.relative is not None else "") for c in slowed
            )
            notes.append(
                f"at {length} tokens the baseline variant {new.baseline} is slower as well, with the "
                f"same model, code and versions: a change of the machine, no regression of {names}"
            )
    missing = [
        f"{v} at {n} tokens"
        for v, n in dict.fromkeys((cell["variant"], cell["max_length"]) for cell in old.good)
        if not any((c.variant, c.max_length) == (v, n) for c in changes)
    ]
    if missing:
        notes.append(f"in {old.files.run_id} only: {', '.join(missing)}")
    return notes


def _cells(run: Run, variant: str, length: int) -> list[CellRow]:
    return cell_rows(run.good, variant, length)


def _predictions(run: Run) -> pa.Table | None:
    path = run.files.table("predictions")
    return read_table(path) if path.is_file() else None


def _figures(old: Run, new: Run, variant: str, length: int) -> Change:
    before, after = (_figures_of(run, variant, length) for run in (old, new))
    return Change(
        variant,
        length,
        old_ms=before.get("forward_p50_ms"),
        new_ms=after.get("forward_p50_ms"),
        f1_old=before.get("f1_weighted"),
        f1_new=after.get("f1_weighted"),
        own_old=_own_speedup(old, variant, length),
        own_new=_own_speedup(new, variant, length),
    )


def _figures_of(run: Run, variant: str, length: int) -> FigureRow:
    key = (variant, length)
    rows = (r for r in tables.figures(run) if (r["variant"], r["max_length"]) == key)
    return next(rows, FigureRow())


def _own_speedup(run: Run, variant: str, length: int) -> float | None:
    """Over the run's own baseline variant."""
    rows = tables.against_baseline(run)
    key = (variant, length)
    return next((r["speedup"] for r in rows if (r["variant"], r["max_length"]) == key), None)


Pair = tuple[Measured, Measured]


def _common(old: pa.Table | None, new: pa.Table | None, variant: str, length: int) -> Pair | None:
    """Both runs' rows of the documents that both have with the same label; None without any."""
    if old is None or new is None:
        return None
    tables_ = [_of(table, variant, length) for table in (old, new)]
    labels = [dict(zip(t["doc_id"].to_pylist(), t["label"].to_pylist(), strict=True)) for t in tables_]
    shared = [name for name, label in labels[0].items() if labels[1].get(name) == label]
    if not shared:
        return None
    wanted = pa.array(shared, pa.string())
    before, after = (
        read_measured(table.filter(pa.compute.is_in(table["doc_id"], wanted)), variant, length)
        for table in tables_
    )
    if before is None or after is None:
        return None
    return before, after


def _of(table: pa.Table, variant: str, length: int) -> pa.Table:
    equal = pa.compute.equal
    return table.filter(
        pa.compute.and_(equal(table["variant"], variant), equal(table["max_length"], length))
    )


@dataclass(frozen=True)
class _Round:
    """The median of a round in ms (or in units of another variant's), and where it ran."""

    median: float
    core: int

    def over(self, other: _Round) -> _Round:
        return _Round(self.median / other.median, _place(self.core, other.core))


Rounds = dict[int, _Round]


@dataclass(frozen=True)
class _Timed:
    """Times of one variant at one length, in both runs.

    Attributes:
        old: rounds of the old run, by number.
        new: rounds of the new run.
        pair: of the documents that both runs have; None where the rows of documents are gone.
    """

    old: Rounds
    new: Rounds
    pair: Pair | None

    def over(self, other: _Timed) -> _Timed:
        """The same in units of another variant: over its time of the same round (and document).

        The cores of both count as one place: another pair of cores is another place.
        """
        old, new = _rounds_over(self.old, other.old), _rounds_over(self.new, other.new)
        if self.pair is None or other.pair is None:
            return _Timed(old, new, None)
        first = _measured_over(self.pair[0], other.pair[0], sorted(old))
        second = _measured_over(self.pair[1], other.pair[1], sorted(new))
        return _Timed(old, new, (first, second))


def _rounds_over(rounds: Rounds, others: Rounds) -> Rounds:
    return {number: rounds[number].over(others[number]) for number in rounds.keys() & others.keys()}


def _measured_over(measured: Measured, other: Measured, rounds: Sequence[int]) -> Measured:
    a, b = measured.only(rounds), other.only(rounds)
    return replace(a, times=a.times / b.times, cores=_place(a.cores, b.cores))


def _place(core: Any, other: Any) -> Any:
    """One number for a pair of cores (-1 where a system cannot pin)."""
    return (core + 1) * 100_000 + other + 1


def _timed(old: Run, new: Run, variant: str, length: int, pair: Pair | None) -> _Timed:
    return _Timed(_by_round(old, variant, length), _by_round(new, variant, length), pair)


def _latency(old: Run, new: Run, timed: _Timed, seed: int) -> dict[str, Any]:
    """Fields of :class:`Change` that are about time."""
    shared = sorted(timed.old.keys() & timed.new.keys())
    floors = [_floor(list(rounds.values())) for rounds in (timed.old, timed.new)]
    changed: dict[str, Any] = {
        "rounds": len(shared),
        "floor_old": floors[0].floor if floors[0] else None,
        "floor_new": floors[1].floor if floors[1] else None,
    }
    if not shared:
        return changed | {"speedup_refused": "no round that both runs have"}
    if timed.pair is not None:
        a, b = (measured.only(shared) for measured in timed.pair)
        ratio = speed_up(a.times, b.times, a.cores, b.cores, seed=seed)
    elif old.get("data", "digest") == new.get("data", "digest") is not None:
        # The rows of the documents were pruned.
        before, after = ([rounds[r] for r in shared] for rounds in (timed.old, timed.new))
        ratio = speed_up_of_medians(_medians(before), _medians(after), _cores(before), _cores(after))
    else:
        text = "the runs have other documents, or the rows of their documents were pruned"
        return changed | {"speedup_refused": text}
    known = [floor for floor in floors if floor is not None]
    verdict = judge(ratio, max(known, key=lambda f: f.floor)) if known else SAME
    return changed | {
        "speedup": ratio.point,
        "speedup_low": ratio.low,
        "speedup_high": ratio.high,
        "speedup_refused": ratio.refused,
        "latency_verdict": verdict,
    }


def _unless_confounded(old: Run, new: Run, change: Change) -> Change:
    """The change without a verdict on time where either run's own comparison was confounded.

    That of a baseline variant is where all comparisons with it were.
    """
    for run in (old, new):
        reasons = [
            row["confounded"]
            for row in tables.against_baseline(run)
            if row["max_length"] == change.max_length and change.variant in (run.baseline, row["variant"])
        ]
        if reasons and all(reasons):
            text = f"in {run.files.run_id}: {reasons[0]}"
            return replace(change, latency_verdict=None, confounded=text)
    return change


def _blame_machine(
    old: Run,
    new: Run,
    changes: list[Change],
    pairs: Mapping[tuple[str, int], Pair | None],
    seed: int,
) -> list[Change]:
    """Changes with the slow-downs marked that are the machine's, by the rule of this module."""
    paths = [("model", "digest"), ("git_commit",), ("versions",)]
    same = all(old.get(*path) == new.get(*path) for path in paths)
    # A commit that is not known may be any other.
    if not same or new.record.git_commit is None or old.baseline != new.baseline:
        return changes

    def timed(change: Change) -> _Timed:
        key = (change.variant, change.max_length)
        return _timed(old, new, *key, pairs[key])

    def relative(change: Change, own: Change) -> Change:
        if change.latency_verdict != "slower":
            return change
        ratio = _latency(old, new, timed(change).over(timed(own)), seed)
        decided = ratio.get("latency_verdict") if ratio.get("speedup_low") is not None else None
        return replace(
            change,
            relative=ratio.get("speedup"),
            relative_low=ratio.get("speedup_low"),
            relative_high=ratio.get("speedup_high"),
            relative_verdict=decided,
            machine=decided in (SAME, "faster"),
        )

    decided = {}
    for own in changes:
        if own.variant != new.baseline or own.latency_verdict != "slower":
            continue
        here = [c for c in changes if c.max_length == own.max_length and c is not own]
        others = [relative(change, own) for change in here]
        alike = bool(others) and all(change.relative_verdict == SAME for change in others)
        for change in (*others, replace(own, machine=alike)):
            decided[change.variant, change.max_length] = change
    return [decided.get((change.variant, change.max_length), change) for change in changes]


def _by_round(run: Run, variant: str, length: int) -> Rounds:
    return {
        cell["repeat"]: _Round(median, cell["core"])
        for cell in _cells(run, variant, length)
        if (median := cell["forward_p50_ms"]) is not None
    }


def _floor(rounds: Sequence[_Round]) -> NoiseFloor | None:
    """Noise floor of one variant's rounds, from their medians."""
    if len(rounds) < 2:
        return None
    return noise_floor(_medians(rounds)[None, :, None], _cores(rounds)[None, :])


def _medians(rounds: Sequence[_Round]) -> Floats:
    return np.array([entry.median for entry in rounds], np.float64)


def _cores(rounds: Sequence[_Round]) -> NDArray[np.int64]:
    return np.array([entry.core for entry in rounds], np.int64)


def _quality(old: Run, new: Run, pair: Pair | None, seed: int) -> dict[str, Any]:
    """Fields of :class:`Change` that are about predictions; the p-value is not yet corrected."""
    if not (old.quality and new.quality):
        return {"quality_refused": "quality is not claimed: the weights are random"}
    if pair is None:
        text = "no common documents: other data, or the rows of the documents were pruned"
        return {"quality_refused": text}
    a, b = pair
    compared = compare_predictions(
        a.labels, a.predictions[0], b.predictions[0], sampling=Sampling(seed=seed)
    )
    return {
        "documents": compared.documents,
        "better": compared.gained,
        "worse": compared.lost,
        "mcnemar_p": compared.p_value,
        "f1_difference": compared.weighted_f1.point,
        "f1_difference_low": compared.weighted_f1.low,
        "f1_difference_high": compared.weighted_f1.high,
    }


def _corrected(changes: list[Change]) -> list[Change]:
    """P-values corrected for how many there are, and what they decide."""
    tested = [change for change in changes if change.mcnemar_p is not None]
    if not tested:
        return changes
    corrected = holm(np.array([change.mcnemar_p for change in tested], np.float64))
    decided = {
        id(change): replace(change, mcnemar_p=float(p), quality_verdict=_decide(change, float(p)))
        for change, p in zip(tested, corrected, strict=True)
    }
    return [decided.get(id(change), change) for change in changes]


def _decide(change: Change, p_value: float) -> str:
    if p_value >= ALPHA:
        return SAME
    return "worse" if (change.worse or 0) > (change.better or 0) else "better"
