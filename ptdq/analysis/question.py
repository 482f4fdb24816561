"""What is asked of a run's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ptdq.inputs.checkpoint import Checkpoint
from ptdq.parameters import Parameters
from ptdq.problem.task import SINGLE, Task, logit
from ptdq.statistics.non_inferiority import MARGIN
from ptdq.statistics.verdicts import MIN_EFFECT


@dataclass(frozen=True)
class Gates:
    """Thresholds; None where there is none.

    Attributes:
        min_speedup: smallest speed-up of the time per document, end to end.
        max_f1_drop: largest drop in weighted F1.
        max_quality_drop: largest drop in the main measure of the task.
        max_recall_drop: largest drop in recall of any class.
        max_size_ratio: largest size as a share of the baseline's.
        max_p95_ms: largest 95th percentile of forward latency, in ms.
    """

    min_speedup: float | None = None
    max_f1_drop: float | None = None
    max_quality_drop: float | None = None
    max_recall_drop: float | None = None
    max_size_ratio: float | None = None
    max_p95_ms: float | None = None


@dataclass(frozen=True)
class Question:
    """What was asked of a run.

    Attributes:
        variants: the first is the baseline.
        max_lengths: those of the run, measured or not.
        margin: share of the baseline's F1 to keep.
        min_effect: smallest difference in time that matters, as a share.
        claim_quality: whether labels mean anything (not with random weights).
        isolation: ``parallel``, ``same`` or ``solo``.
        gates: thresholds.
        class_names: by class id; empty where classes have none.
        batch_size: documents in a batch.
        seed: of resampling and permutations.
        earlier: artifacts of the baseline run that were measured again; no verdict is about them.
        task: what the model answers.
        cut: output over which the answer of a task with a threshold is yes.
    """

    variants: Sequence[str]
    max_lengths: Sequence[int]
    margin: float = MARGIN
    min_effect: float = MIN_EFFECT
    claim_quality: bool = True
    isolation: str = "parallel"
    gates: Gates = Gates()
    class_names: Sequence[str] = ()
    batch_size: int = 1
    seed: int = 0
    earlier: Sequence[str] = ()
    task: Task = SINGLE
    cut: float = 0.0

    @classmethod
    def asked(
        cls,
        parameters: Parameters,
        variants: Sequence[str],
        checkpoint: Checkpoint,
        earlier: Sequence[str] = (),
    ) -> Self:
        """The question that the parameters ask of a model and the variants of it that could be made."""
        return cls(
            variants=tuple(variants),
            max_lengths=tuple(parameters.max_length),
            margin=parameters.margin,
            min_effect=parameters.min_effect,
            claim_quality=not checkpoint.random_weights,
            isolation=parameters.isolation,
            gates=Gates(**{name: getattr(parameters, name) for name in vars(Gates())}),
            class_names=tuple(checkpoint.class_names),
            batch_size=parameters.batch_size,
            seed=parameters.seed,
            earlier=tuple(earlier),
            task=checkpoint.task or SINGLE,
            cut=logit(parameters.threshold),
        )

    @property
    def measured(self) -> Sequence[str]:
        """All that was measured."""
        return (*self.variants, *self.earlier)

    @property
    def baseline(self) -> str:
        """The first variant."""
        return self.variants[0]
