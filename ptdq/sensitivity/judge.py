"""Whether documents show that a model with quantized modules keeps the margin, as a run decides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ptdq.analysis.paired_measures import pair
from ptdq.problem.task import MEASURES
from ptdq.sensitivity.harm import Logits, Truth, harm
from ptdq.statistics.multiplicity import ALPHA
from ptdq.statistics.non_inferiority import METRICS, NonInferiority, combined, evidence


class _Evidence(Protocol):
    def decide(self, level: float) -> NonInferiority: ...
    def documents_needed(self, level: float) -> int | None: ...


class Share(NamedTuple):
    """What is kept of a measure."""

    measure: str
    """In words."""
    ratio: float
    """Share of the float model's."""
    low: float
    """Lower bound of it, at the level that a run decides the first variant at."""


@dataclass(frozen=True)
class Outcome:
    """A model with quantized modules against the float one, on the documents of the choice.

    Attributes:
        main: main measure of the task.
        shares: what is kept of each measure of which a run demands it.
        non_inferiority: of all, as in a run.
        documents_needed: estimate of the documents that would decide; None where it is decided, or out
            of reach.
        changed: as in :class:`ptdq.sensitivity.harm.Harm`.
        largest: absolute difference of logits.
    """

    main: float
    shares: list[Share]
    non_inferiority: str
    documents_needed: int | None
    changed: int | None
    largest: float


@dataclass(frozen=True)
class Judge:
    """Decides as a run does that measures the choice: by the bound, all measures, copies counted once.

    Attributes:
        truth: the documents.
        margin: share of each measure to keep.
        variants: those that the run decides, for which it corrects.
    """

    truth: Truth
    margin: float
    variants: int

    @property
    def count(self) -> int:
        """How many documents there are, if those that belong together count as one."""
        return len(np.unique(self.truth.groups))

    @property
    def level(self) -> float:
        """Of the bounds: the first variant is tested at 0.05 / variants (Holm)."""
        return 1 - ALPHA / self.variants

    def shows(self, expected: Logits, found: Logits) -> bool:
        """Whether the documents show that the margin is kept."""
        decided = (each.decide(self.level) for _, each in self._evidence(expected, found))
        return all(each.outcome == "non-inferior" for each in decided)

    def outcome(self, expected: Logits, found: Logits) -> Outcome:
        """All that is to be said of a model with quantized modules."""
        collected = self._evidence(expected, found)
        decided = [each.decide(self.level) for _, each in collected]
        outcome = combined([each.outcome for each in decided])
        needed = [each.documents_needed(self.level) for _, each in collected if outcome == "undecided"]
        far = harm(self.truth, expected, found)
        return Outcome(
            main=far.main,
            shares=[
                Share(words, each.ratio, each.low)
                for (words, _), each in zip(collected, decided, strict=True)
            ],
            non_inferiority=outcome,
            documents_needed=max((count for count in needed if count is not None), default=None),
            changed=far.changed,
            largest=float(np.finfo(np.float32).max) if np.isnan(far.largest) else far.largest,
        )

    def _evidence(self, expected: Logits, found: Logits) -> list[tuple[str, _Evidence]]:
        """Of each measure of which a share must be kept."""
        truth, task = self.truth, self.truth.task
        old, new = truth.classes(expected), truth.classes(found)
        if old is not None and new is not None:
            return [
                (
                    words,
                    evidence(truth.labels, old, new, truth.groups, margin=self.margin, metric=metric),
                )
                for metric, words in zip(METRICS, ("weighted F1", "macro F1"), strict=True)
            ]
        paired = pair(truth.asked, truth.answers(expected), truth.answers(found))
        changes = paired.changes()
        return [
            (each.words, paired.kept(changes[name], self.margin))
            for name, each in MEASURES[task].items()
            if each.kept
        ]
