"""What two runs show of each variant, and the sentences that say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ptdq import numbers
from ptdq.store.schema import SCHEMA_VERSION

SAME = "no detectable difference"
"""Of quality."""

AGAIN = "measured again"
BETWEEN = "between runs"


@dataclass(frozen=True)
class Change:
    """One variant at one maximum length in both runs. Ratios above 1 mean that the new run is faster.

    Attributes:
        how: ``measured again``: the old artifact was a variant of the new run, and both were compared
            within it; ``between runs``: the speed-ups over the runs' own baseline variants were compared.
            None where times are not compared.
        not_again: why the old artifact was not measured again; None where it was, or was not to be.
        old_ms: mean time per document, tokenization included; of the old artifact in the new run where
            it was measured again.
        speedup: old over new time, or new over old speed-up over the own baseline variant.
        speedup_low: lower end of its 95 % interval.
        speedup_refused: why there is no interval; None where there is one.
        runs: runs like the old one that it was compared with, itself included; None within a run.
        speedup_p: two-sided p-value of "no difference", by Holm over all tests of the comparison.
        latency_verdict: faster, slower, the same or can't tell, of the time per document; None where
            times are not compared, or confounded.
        confounded: why the timings of either run decide nothing; None where they do.
        own_old: speed-up of the time per document over the old run's own baseline variant.
        old_mb: size of the artifact.
        documents: documents that both evaluated.
        better: documents right in the new one only.
        worse: documents right in the old one only.
        mcnemar_p: exact McNemar (copies of a text count once), by Holm over all tests of the comparison.
        f1_old: weighted F1.
        f1_difference: weighted F1 on the common documents, new minus old.
        measure: the main measure of the task, in words, of which more is better.
        main_old: its value in each run.
        main_difference: new minus old, on the common documents.
        main_p: where documents have no class, two-sided p-value of "no difference" of it, by the paired
            bootstrap, by Holm over all tests of the comparison.
        quality_verdict: better, worse, or no detectable difference; None where not compared.
        quality_refused: why quality is not tested; None where it is.
    """

    variant: str
    max_length: int
    how: str | None = None
    not_again: str | None = None
    old_ms: float | None = None
    new_ms: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    speedup_refused: str | None = None
    runs: int | None = None
    speedup_p: float | None = None
    latency_verdict: str | None = None
    confounded: str | None = None
    own_old: float | None = None
    own_new: float | None = None
    old_mb: float | None = None
    new_mb: float | None = None
    documents: int | None = None
    better: int | None = None
    worse: int | None = None
    mcnemar_p: float | None = None
    f1_old: float | None = None
    f1_new: float | None = None
    f1_difference: float | None = None
    f1_difference_low: float | None = None
    f1_difference_high: float | None = None
    measure: str = "weighted F1"
    main_old: float | None = None
    main_new: float | None = None
    main_difference: float | None = None
    main_difference_low: float | None = None
    main_difference_high: float | None = None
    main_p: float | None = None
    quality_verdict: str | None = None
    quality_refused: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        old: id of the earlier run.
        new: id of the later run.
        timings_refused: why timings are not compared from run to run; None where they may be.
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
        """Sentences: what was decided to be slower, or to predict worse."""
        said = []
        for change in self.changes:
            where = f"{change.variant} at {change.max_length} tokens"
            if change.latency_verdict == "slower":
                said.append(f"{where} is slower: {latency_text(change)}")
            if change.quality_verdict == "worse":
                said.append(f"{where} predicts worse: {quality_text(change)}")
        return said

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and ``run.json``."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "regressions": self.regressions}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Comparison:
        """What :meth:`as_json` has made, perhaps with other fields by an older version."""
        known = {field.name for field in fields(Change)}
        return cls(
            old=str(values.get("old", "unknown")),
            new=str(values.get("new", "unknown")),
            timings_refused=values.get("timings_refused"),
            differences=list(values.get("differences") or []),
            changes=[
                Change(**{name: value for name, value in row.items() if name in known})
                for row in values.get("changes") or []
            ],
            notes=list(values.get("notes") or []),
        )


def latency_text(change: Change) -> str:
    interval = numbers.interval(change.speedup_low, change.speedup_high)
    if change.how == AGAIN:
        return (
            f"{numbers.ms(change.old_ms)} to {numbers.ms(change.new_ms)} ms per document, "
            f"{numbers.ratio(change.speedup)} as fast {interval}, both measured in this run"
        )
    return (
        f"{numbers.ratio(change.own_old)} to {numbers.ratio(change.own_new)} as fast as the run's own "
        f"baseline variant, a change by {numbers.ratio(change.speedup)} {interval}, beyond what "
        f"{change.runs} runs like the old one differ by"
    )


def quality_text(change: Change) -> str:
    if change.main_p is not None:
        ends = numbers.interval(change.main_difference_low, change.main_difference_high, 4, sign=True)
        return (
            f"{change.measure} {numbers.score(change.main_old)} to {numbers.score(change.main_new)}, "
            f"{numbers.change(change.main_difference)} {ends} on {change.documents} documents of both "
            f"(paired bootstrap, corrected: p {numbers.probability(change.main_p)})"
        )
    return (
        f"of {change.documents} documents {change.worse} are no longer right and {change.better} "
        f"have become so (exact McNemar, corrected: p {numbers.probability(change.mcnemar_p)})"
    )
