"""What two runs show of each variant, and the sentences that say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ptdq import numbers
from ptdq.store.schema import SCHEMA_VERSION

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
        said = []
        for change in self.changes:
            where = f"{change.variant} at {change.max_length} tokens"
            if change.latency_verdict == "slower" and not change.machine:
                said.append(f"{where} is slower: {latency_text(change)}")
            if change.quality_verdict == "worse":
                said.append(f"{where} predicts worse: {quality_text(change)}")
        return said

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and ``run.json``."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "regressions": self.regressions}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Comparison:
        """What :meth:`as_json` has made, perhaps with fewer fields by an older version."""
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
    floor = max(change.floor_old or 1, change.floor_new or 1)
    text = (
        f"{numbers.ms(change.old_ms)} to {numbers.ms(change.new_ms)} ms, "
        f"{numbers.ratio(change.speedup)} as fast "
        f"{numbers.interval(change.speedup_low, change.speedup_high)}, noise floor "
        f"{numbers.ratio(floor)}"
    )
    return text if change.relative is None else f"{text}; {relative_text(change)}"


def relative_text(change: Change) -> str:
    bounds = numbers.interval(change.relative_low, change.relative_high)
    return f"relative to the baseline variant {numbers.ratio(change.relative)} as fast {bounds}"


def quality_text(change: Change) -> str:
    return (
        f"of {change.documents} documents {change.worse} are no longer right and {change.better} "
        f"have become so (exact McNemar, corrected: p {numbers.probability(change.mcnemar_p)})"
    )
