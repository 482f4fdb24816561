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
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.analysis.comparisons import Measured, read_measured
from ptdq.parameters import Purpose, names
from ptdq.statistics.noise import NoiseFloor, judge, noise_floor
from ptdq.statistics.paired_quality import compare_predictions, holm
from ptdq.statistics.ratios import speed_up, speed_up_of_medians
from ptdq.store.run import Row, Run, cell_rows
from ptdq.store.schema import SCHEMA_VERSION
from ptdq.store.tables import read_table

Floats = NDArray[np.float64]

ALPHA = 0.05
"""Of the exact McNemar tests, Holm-corrected over all variants and lengths."""

SAME = "no detectable difference"


@dataclass(frozen=True)
class Change:
    """One variant at one maximum length in both runs. Ratios above 1 mean that the new run is faster.

    Attributes:
        old_ms: median forward latency, the median over the rounds.
        rounds: rounds that both runs have.
        speedup: old over new, paired by round; None where timings are not compared.
        speedup_refused: why there is no interval; None where there is one.
        floor_old: noise floor of the old run, from its rounds of this variant alone.
        latency_verdict: faster, slower, or no detectable difference: an interval that excludes 1,
            and an effect beyond the noise floors of both runs. None where not compared, or
            confounded.
        confounded: why the timings of either run decide nothing; None where they do.
        relative: the speed-up in units of the runs' own baseline variant: of the time over that of
            the baseline variant, document by document in each round. None but where both slowed.
        relative_verdict: as latency_verdict; None also where there is no interval.
        machine: whether the slow-down is put down to the machine, and is no regression.
        own_old: speed-up over the old run's own baseline variant, there and then.
        documents: documents that both runs evaluated.
        better: documents right in the new run only.
        worse: documents right in the old run only.
        mcnemar_p: exact McNemar, Holm-corrected over the comparison.
        f1_old: weighted F1.
        f1_difference: weighted F1 on the common documents, new minus old.
        quality_verdict: better, worse, or no detectable difference; None where not compared.
        quality_refused: why quality is not tested; None where it is.
    """

    variant: str
    max_length: int
    old_ms: float | None = None
    new_ms: float | None = None
    rounds: int = 0
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    speedup_refused: str | None = None
    floor_old: float | None = None
    floor_new: float | None = None
    latency_verdict: str | None = None
    confounded: str | None = None
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None
    relative_verdict: str | None = None
    machine: bool = False
    own_old: float | None = None
    own_new: float | None = None
    documents: int | None = None
    better: int | None = None
    worse: int | None = None
    mcnemar_p: float | None = None
    f1_old: float | None = None
    f1_new: float | None = None
    f1_difference: float | None = None
    f1_difference_low: float | None = None
    f1_difference_high: float | None = None
    quality_verdict: str | None = None
    quality_refused: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        old: id of the earlier run.
        new: id of the later run.
        timings_refused: why timings are not compared; None where they are.
        differences: what is not the same in the two runs, in words.
        changes: a row for each variant and length of both.
        notes: what to keep in mind, in words.
    """

    old: str
    new: str
    timings_refused: str | None
    differences: list[str]
    changes: list[Change]
    notes: list[str]

    @property
    def regressions(self) -> list[str]:
        """Sentences: what became slower beyond the noise floor, or was decided to predict worse.

        A slow-down that is put down to the machine is not among them.
        """
        found = []
        for change in self.changes:
            where = f"{change.variant} at {change.max_length} tokens"
            if change.latency_verdict == "slower" and not change.machine:
                found.append(f"{where} is slower: {_latency_text(change)}")
            if change.quality_verdict == "worse":
                found.append(f"{where} predicts worse: {_quality_text(change)}")
        return found

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and ``run.json``."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "regressions": self.regressions}


def _latency_text(change: Change) -> str:
    floor = max(change.floor_old or 1, change.floor_new or 1)
    text = (
        f"{numbers.ms(change.old_ms)} to {numbers.ms(change.new_ms)} ms, "
        f"{numbers.ratio(change.speedup)} as fast "
        f"{numbers.interval(change.speedup_low, change.speedup_high)}, noise floor "
        f"{numbers.ratio(floor)}"
    )
    return text if change.relative is None else f"{text}; {_relative_text(change)}"


def _relative_text(change: Change) -> str:
    bounds = numbers.interval(change.relative_low, change.relative_high)
    return f"relative to the baseline variant {numbers.ratio(change.relative)} as fast {bounds}"


def _quality_text(change: Change) -> str:
    return (
        f"of {change.documents} documents {change.worse} are no longer right and {change.better} "
        f"have become so (exact McNemar, corrected: p {numbers.probability(change.mcnemar_p)})"
    )


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
    found = machine.get(name)
    return None if found is None else len(found)


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
                c.variant + (f" ({_relative_text(c)})" if c.relative is not None else "") for c in slowed
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


def _cells(run: Run, variant: str, length: int) -> list[Row]:
    return cell_rows(run.good, variant, length)


def _predictions(run: Run) -> pa.Table | None:
    path = run.files.table("predictions")
    return read_table(path) if path.is_file() else None


def _figures(old: Run, new: Run, variant: str, length: int) -> Change:
    def of(rows: Sequence[Row], name: str) -> float | None:
        found = [r for r in rows if (r["variant"], r["max_length"]) == (variant, length)]
        return found[0].get(name) if found else None

    before, after = tables.figures(old), tables.figures(new)
    own_before, own_after = tables.against_baseline(old), tables.against_baseline(new)
    return Change(
        variant,
        length,
        old_ms=of(before, "forward_p50_ms"),
        new_ms=of(after, "forward_p50_ms"),
        f1_old=of(before, "f1_weighted"),
        f1_new=of(after, "f1_weighted"),
        own_old=of(own_before, "speedup"),
        own_new=of(own_after, "speedup"),
    )


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
    found = [
        read_measured(table.filter(pa.compute.is_in(table["doc_id"], wanted)), variant, length)
        for table in tables_
    ]
    if found[0] is None or found[1] is None:
        return None
    return found[0], found[1]


def _of(table: pa.Table, variant: str, length: int) -> pa.Table:
    equal = pa.compute.equal
    return table.filter(
        pa.compute.and_(equal(table["variant"], variant), equal(table["max_length"], length))
    )


@dataclass(frozen=True)
class _Timed:
    """Times of one variant at one length, in both runs.

    Attributes:
        rounds: of either run, by number: a median in ms, and the core.
        pair: of the documents that both runs have; None where the rows of documents are gone.
    """

    rounds: tuple[dict[int, Row], dict[int, Row]]
    pair: Pair | None

    def over(self, other: _Timed) -> _Timed:
        """The same in units of another variant: over its time of the same round (and document).

        The cores of both count as one place: another pair of cores is another place.
        """
        one, two = (
            {
                r: {
                    "forward_p50_ms": mine[r]["forward_p50_ms"] / theirs[r]["forward_p50_ms"],
                    "core": _place(mine[r]["core"], theirs[r]["core"]),
                }
                for r in mine.keys() & theirs.keys()
            }
            for mine, theirs in zip(self.rounds, other.rounds, strict=True)
        )
        if self.pair is None or other.pair is None:
            return _Timed((one, two), None)
        first, second = (
            replace(a, times=a.times / b.times, cores=_place(a.cores, b.cores))
            for a, b in (
                (mine.only(sorted(rounds)), theirs.only(sorted(rounds)))
                for mine, theirs, rounds in zip(self.pair, other.pair, (one, two), strict=True)
            )
        )
        return _Timed((one, two), (first, second))


def _place(core: Any, other: Any) -> Any:
    """One number for a pair of cores (-1 where a system cannot pin)."""
    return (core + 1) * 100_000 + other + 1


def _timed(old: Run, new: Run, variant: str, length: int, pair: Pair | None) -> _Timed:
    return _Timed((_by_round(old, variant, length), _by_round(new, variant, length)), pair)


def _latency(old: Run, new: Run, timed: _Timed, seed: int) -> dict[str, Any]:
    """Fields of :class:`Change` that are about time."""
    shared = sorted(timed.rounds[0].keys() & timed.rounds[1].keys())
    floors = [_floor(list(found.values())) for found in timed.rounds]
    fields: dict[str, Any] = {
        "rounds": len(shared),
        "floor_old": floors[0].floor if floors[0] else None,
        "floor_new": floors[1].floor if floors[1] else None,
    }
    if not shared:
        return fields | {"speedup_refused": "no round that both runs have"}
    if timed.pair is not None:
        a, b = (measured.only(shared) for measured in timed.pair)
        ratio = speed_up(a.times, b.times, a.cores, b.cores, seed=seed)
    elif old.get("data", "digest") == new.get("data", "digest") is not None:
        # The rows of the documents were pruned.
        a_rows, b_rows = ([found[r] for r in shared] for found in timed.rounds)
        ratio = speed_up_of_medians(_medians(a_rows), _medians(b_rows), _cores(a_rows), _cores(b_rows))
    else:
        text = "the runs have other documents, or the rows of their documents were pruned"
        return fields | {"speedup_refused": text}
    known = [floor for floor in floors if floor is not None]
    verdict = judge(ratio, max(known, key=lambda f: f.floor)) if known else SAME
    return fields | {
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
        found = _latency(old, new, timed(change).over(timed(own)), seed)
        decided = found.get("latency_verdict") if found.get("speedup_low") is not None else None
        return replace(
            change,
            relative=found.get("speedup"),
            relative_low=found.get("speedup_low"),
            relative_high=found.get("speedup_high"),
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


def _by_round(run: Run, variant: str, length: int) -> dict[int, Row]:
    return {
        cell["repeat"]: cell
        for cell in _cells(run, variant, length)
        if cell["forward_p50_ms"] is not None
    }


def _floor(cells: Sequence[Row]) -> NoiseFloor | None:
    """Noise floor of one variant's rounds, from their medians."""
    if len(cells) < 2:
        return None
    return noise_floor(_medians(cells)[None, :, None], _cores(cells)[None, :])


def _medians(cells: Sequence[Row]) -> Floats:
    return np.array([cell["forward_p50_ms"] for cell in cells], np.float64)


def _cores(cells: Sequence[Row]) -> NDArray[np.int64]:
    return np.array([cell["core"] for cell in cells], np.int64)


def _quality(old: Run, new: Run, pair: Pair | None, seed: int) -> dict[str, Any]:
    """Fields of :class:`Change` that are about predictions; the p-value is not yet corrected."""
    if not (old.quality and new.quality):
        return {"quality_refused": "quality is not claimed: the weights are random"}
    if pair is None:
        text = "no common documents: other data, or the rows of the documents were pruned"
        return {"quality_refused": text}
    a, b = pair
    found = compare_predictions(a.labels, a.predictions[0], b.predictions[0], seed=seed)
    return {
        "documents": found.documents,
        "better": found.gained,
        "worse": found.lost,
        "mcnemar_p": found.p_value,
        "f1_difference": found.weighted_f1.point,
        "f1_difference_low": found.weighted_f1.low,
        "f1_difference_high": found.weighted_f1.high,
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
