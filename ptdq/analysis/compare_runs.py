"""What changed from one run to a later one: time, quality and size of each variant at each length.

Times are compared in one of two ways, and it is said in which:

* *Measured again*: the new run had the old artifact beside its own (``ptdq run --baseline``), as a
  variant with a name of its own. Both ran in the same rounds on the same cores, as variants of one run.
* *Between runs*: the variant's speed-up over its own run's baseline variant is compared with that in the
  runs like the old one, and with how much runs of one content differ
  (:mod:`ptdq.statistics.between_runs`). Without such runs, nothing is said to be faster or slower. What
  the baseline variant itself costs is never judged: nothing in a run says how fast the machine was.

Predictions of the same documents do not depend on the machine, so quality is always compared: by an exact
paired test, or where documents have no class by the paired bootstrap of the task's main measure. All
tests of a comparison are one family (Holm): any false alarm comes at 5 % at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptdq.analysis import tables
from ptdq.analysis.arrays import Place
from ptdq.analysis.changes import AGAIN, BETWEEN, SAME, Change, Comparison
from ptdq.analysis.conditions import too_busy
from ptdq.analysis.likeness import differences, other_instructions, refusal
from ptdq.analysis.nights import Nights, row_of
from ptdq.analysis.run_predictions import Predictions
from ptdq.problem.task import main_measure, words_of
from ptdq.statistics.between_runs import LEAST_RUNS, change_between
from ptdq.statistics.multiplicity import ALPHA, holm
from ptdq.statistics.verdicts import MIN_EFFECT, equivalent
from ptdq.store.rows import ComparisonRow, VariantRow
from ptdq.store.run import Run
from ptdq.variant_names import earlier_name, is_earlier

TAIL = 0.025
"""Outside of an interval, on each side."""


def compare_runs(old: Run, new: Run, history: Sequence[Run] = (), seed: int = 0) -> Comparison:
    """Compare a run with an earlier one, on what both measured.

    Args:
        old: the earlier run.
        new: the later one.
        history: runs that tell how much runs differ; ``old`` and ``new`` may be among them, and those
            that say nothing of these two.
        seed: of the resamples for the intervals of quality.
    """
    refused = refusal(old, new)
    nights = Nights(old, new, history)
    judged = Predictions(old, new, seed, nights.is_since)
    compared = []
    for place in _shared(old, new):
        change = _figures(old, new, place)
        timed = _again(nights, change) or _between(nights, change, refused)
        compared.append((replace(change, **timed.fields, **judged.compare(place)), timed))
    changes = _decided(compared)
    return Comparison(
        old.files.run_id,
        new.files.run_id,
        refused,
        differences(old, new),
        changes,
        _notes(old, new, changes, nights),
    )


def _shared(old: Run, new: Run) -> list[Place]:
    """Variants and lengths with figures in both, but for what was measured again."""
    before = {(cell["variant"], cell["max_length"]) for cell in old.good}
    after = {(cell["variant"], cell["max_length"]) for cell in new.good}
    rows = ((row["variant"], row["max_length"]) for row in tables.figures(new))
    return [place for place in rows if place in before & after and not is_earlier(place[0])]


@dataclass(frozen=True)
class _Timed:
    """What times say of one variant at one length.

    Attributes:
        fields: of :class:`Change`.
        p_value: of "no difference", not corrected; None where it is not tested.
        same: whether a difference that matters is excluded.
    """

    fields: dict[str, Any]
    p_value: float | None = None
    same: bool = False


def _figures(old: Run, new: Run, place: Place) -> Change:
    """Figures of both runs, of which nothing is decided."""
    before, after = (row_of(tables.figures(run), place) for run in (old, new))
    own_old, own_new = (row_of(tables.against_baseline(run), place) for run in (old, new))
    size_old, size_new = (
        next((row["artifact_bytes"] for row in run.rows(VariantRow) if row["variant"] == place[0]), None)
        for run in (old, new)
    )
    return Change(
        *place,
        old_ms=before.get("total_mean_ms"),
        new_ms=after.get("total_mean_ms"),
        own_old=own_old.get("speedup_total"),
        own_new=own_new.get("speedup_total"),
        old_mb=None if size_old is None else size_old / 1e6,
        new_mb=None if size_new is None else size_new / 1e6,
        f1_old=before.get("f1_weighted"),
        f1_new=after.get("f1_weighted"),
        measure=words_of(new.task, main_measure(new.task)),
        main_old=before.get("main", before.get("f1_weighted")),
        main_new=after.get("main", after.get("f1_weighted")),
    )


def _again(nights: Nights, change: Change) -> _Timed | None:
    """The comparison within the new run; None where the old artifact has no figures in it.

    What the new run measured again may be of another run than the one that it is compared with here.
    """
    if not nights.is_since:
        return None
    new, earlier = nights.new, earlier_name(change.variant)
    for row in new.rows(ComparisonRow):
        if (row["baseline"], row["variant"], row["max_length"]) == (
            earlier, change.variant, change.max_length,
        ):  # fmt: skip
            figures = row_of(tables.figures(new), (earlier, change.max_length))
            doubt = too_busy(new.good) or row["confounded"]
            fields = {
                "how": AGAIN,
                "old_ms": figures.get("total_mean_ms"),
                "confounded": doubt,
                "speedup": row["speedup_total"],
                "speedup_low": row["speedup_total_low"],
                "speedup_high": row["speedup_total_high"],
                "speedup_refused": row["speedup_total_refused"],
            }
            known = None if doubt else row["speedup_total_p"]
            return _Timed(fields, known, row["total_verdict"] == "the same")
    return None


def _between(nights: Nights, change: Change, refused: str | None) -> _Timed:
    """The comparison of the speed-ups over the runs' own baseline variants."""
    not_again = nights.new.record.not_again.get(change.variant) if nights.is_since else None
    fields: dict[str, Any] = {"not_again": not_again}
    if refused is not None or change.variant == nights.new.baseline:
        return _Timed(fields)
    fields["how"] = BETWEEN
    if (doubt := nights.confounded(change.variant, change.max_length)) is not None:
        return _Timed(fields | {"confounded": doubt})
    history = nights.figures(change.variant, change.max_length)
    if history is None:
        return _Timed(fields | {"speedup_refused": "no speed-up with an interval in both runs"})
    fields |= {"runs": len(history.old), "speedup": float(np.exp(history.new - history.old.mean()))}
    estimate = change_between(history.old, history.new, history.others, history.error)
    if estimate is None:
        count = len(history.old) + sum(map(len, history.others))
        text = f"{count} {'run' if count == 1 else 'runs'} to tell how much runs differ, of {LEAST_RUNS}"
        return _Timed(fields | {"speedup_refused": text})
    fields["speedup_low"] = float(np.exp(estimate.low(TAIL)))
    fields["speedup_high"] = float(np.exp(estimate.high(TAIL)))
    effect = nights.new.record.parameters.get("min_effect", MIN_EFFECT)
    return _Timed(fields, estimate.p_value(), equivalent(estimate, effect))


def _decided(changes: Sequence[tuple[Change, _Timed]]) -> list[Change]:
    """Verdicts, by p-values that are corrected for how many tests the comparison makes.

    Predictions that do not differ at all are no test: none of them could have come out significant (R. E.
    Tarone, Biometrics 46, 1990).
    """
    times = {i: timed.p_value for i, (_, timed) in enumerate(changes) if timed.p_value is not None}
    quality = {
        i: p_value
        for i, (change, _) in enumerate(changes)
        if (p_value := change.mcnemar_p if change.better or change.worse else change.main_p) is not None
    }
    tests = [
        *((i, "time", p) for i, p in times.items()),
        *((i, "quality", p) for i, p in quality.items()),
    ]
    adjusted = holm(np.array([p for *_, p in tests], np.float64)) if tests else np.empty(0)
    by_test = {(i, what): float(p) for (i, what, _), p in zip(tests, adjusted, strict=True)}
    return [
        _verdicts(change, timed, by_test.get((i, "time")), by_test.get((i, "quality")))
        for i, (change, timed) in enumerate(changes)
    ]


def _verdicts(change: Change, timed: _Timed, time_p: float | None, quality_p: float | None) -> Change:
    latency: str | None = None
    if change.how is not None and change.confounded is None:
        latency = "can't tell"
        if timed.same:
            latency = "the same"
        elif time_p is not None and time_p <= ALPHA:
            latency = "faster" if (change.speedup or 0) > 1 else "slower"
    changed: dict[str, Any] = {"speedup_p": time_p}
    quality = None
    if change.documents is not None:
        quality = SAME
        if quality_p is not None and quality_p <= ALPHA:
            down = (change.worse or 0) > (change.better or 0)
            if change.main_p is not None:
                down = (change.main_difference or 0) < 0
            quality = "worse" if down else "better"
        of_classes = change.mcnemar_p is not None
        changed |= {"mcnemar_p": quality_p or change.mcnemar_p} if of_classes else {"main_p": quality_p}
    return replace(change, latency_verdict=latency, quality_verdict=quality, **changed)


def _notes(old: Run, new: Run, changes: Sequence[Change], nights: Nights) -> list[str]:
    return [*_said(changes, nights), *_conditions(old, new, changes)]


def _said(changes: Sequence[Change], nights: Nights) -> Iterator[str]:
    """What the comparison of times rests on, and what it cannot say."""
    again = dict.fromkeys(c.variant for c in changes if c.how == AGAIN)
    if again:
        yield f"measured again within {nights.new.files.run_id}: {', '.join(again)}"
    for variant, reason in dict.fromkeys((c.variant, c.not_again) for c in changes if c.not_again):
        yield f"{variant} was not measured again: {reason}"
    for c in changes:
        if c.confounded is not None:
            where = f"{c.variant} at {c.max_length} tokens"
            yield f"{where}: no verdict on its timings, which are confounded {c.confounded}"
    short = {c.speedup_refused for c in changes if c.how == BETWEEN and c.speedup_refused and c.runs}
    if short:
        yield (
            "whether times changed can't be told from how much runs differ without any change: "
            f"{'; '.join(sorted(short))}; `ptdq run --baseline {nights.old.files.run_id}` measures the "
            "old artifacts again"
        )


def _conditions(old: Run, new: Run, changes: Sequence[Change]) -> Iterator[str]:
    if other_instructions(old, new):
        for c in changes:
            if c.better or c.worse:
                yield (
                    f"predictions of {c.variant} at {c.max_length} tokens change with the CPU's "
                    f"instructions: of {c.documents} documents {c.worse} are right in {old.files.run_id} "
                    f"alone and {c.better} in {new.files.run_id} alone, and nothing else differs"
                )
    for run in (old, new):
        flagged = sum(bool(cell["flags"]) for cell in run.good)
        if flagged:
            yield f"{flagged} of {len(run.good)} cells of {run.files.run_id} were flagged"
    for length in sorted({change.max_length for change in changes}):
        verdicts = [c.latency_verdict for c in changes if c.max_length == length and c.how == BETWEEN]
        for verdict in ("slower", "faster"):
            if len(verdicts) > 1 and set(verdicts) == {verdict}:
                yield (
                    f"at {length} tokens every variant is {verdict} relative to {new.baseline}: what all "
                    f"share, or {new.baseline} itself, rather than one of them"
                )
    missing = [
        f"{v} at {n} tokens"
        for v, n in dict.fromkeys((cell["variant"], cell["max_length"]) for cell in old.good)
        if not is_earlier(v) and not any((c.variant, c.max_length) == (v, n) for c in changes)
    ]
    if missing:
        yield f"in {old.files.run_id} only: {', '.join(missing)}"
