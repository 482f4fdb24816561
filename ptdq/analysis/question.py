"""What is asked of a run's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from ptdq.inputs.checkpoint import Checkpoint
from ptdq.parameters import Parameters, Purpose, names
from ptdq.problem.task import RECALL_AT, SINGLE, Task, logit
from ptdq.statistics.non_inferiority import MARGIN
from ptdq.statistics.verdicts import MIN_EFFECT

Gates = Mapping[str, float]
"""Thresholds that were asked for, by the name of the parameter."""


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
        isa: instructions that runtimes were kept to; None where they had all that the CPU has.
        recall_at: places of a ranking in which recall@k looks.
    """

    variants: Sequence[str]
    max_lengths: Sequence[int]
    margin: float = MARGIN
    min_effect: float = MIN_EFFECT
    claim_quality: bool = True
    isolation: str = "parallel"
    gates: Gates = field(default_factory=dict)
    class_names: Sequence[str] = ()
    batch_size: int = 1
    seed: int = 0
    earlier: Sequence[str] = ()
    task: Task = SINGLE
    cut: float = 0.0
    isa: str | None = None
    recall_at: int = RECALL_AT

    @classmethod
    def asked(
        cls,
        parameters: Parameters,
        variants: Sequence[str],
        checkpoint: Checkpoint,
        earlier: Sequence[str] = (),
    ) -> Self:
        """The question that the parameters ask of a model and the variants of it that could be made."""
        thresholds = {name: getattr(parameters, name) for name in names(Purpose.GATE)}
        return cls(
            variants=tuple(variants),
            max_lengths=tuple(parameters.max_length),
            margin=parameters.margin,
            min_effect=parameters.min_effect,
            claim_quality=not checkpoint.random_weights,
            isolation=parameters.isolation,
            gates={name: value for name, value in thresholds.items() if value is not None},
            class_names=tuple(checkpoint.class_names),
            batch_size=parameters.batch_size,
            seed=parameters.seed,
            earlier=tuple(earlier),
            task=checkpoint.task or SINGLE,
            cut=logit(parameters.threshold),
            isa=parameters.isa,
            recall_at=parameters.recall_at,
        )

    @property
    def measured(self) -> Sequence[str]:
        """All that was measured."""
        return (*self.variants, *self.earlier)

    @property
    def baseline(self) -> str:
        """The first variant."""
        return self.variants[0]
