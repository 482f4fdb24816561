"""How long a run takes and what it will be able to say, before it measures.

From a few probing calls of the baseline, and from the documents. What they cannot tell is left out and
said to be: how long other variants take, and how much a speed-up differs from document to document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ptdq.analysis.document_groups import stored_groups
from ptdq.inputs.stored import count_stored, stored_texts
from ptdq.inputs.tokenizing import token_counts
from ptdq.measure.design import Cell, Design, block
from ptdq.measure.probe import Probe
from ptdq.measure.stage import Stage
from ptdq.numbers import count, percent
from ptdq.parameters import Parameters
from ptdq.statistics.multiplicity import ALPHA
from ptdq.statistics.reach import Reach, reach
from ptdq.statistics.rounds import MIN_ROUNDS
from ptdq.statistics.uncertain import Estimate
from ptdq.statistics.width import half_width, rounds_needed
from ptdq.store.tables import read_table

POWER = 0.8
_SAMPLE = 1000


@dataclass(frozen=True)
class TimePlan:
    """What the times will be able to say.

    Attributes:
        half_width: of the interval of a speed-up, as a share.
        smallest: difference in time that is found with a probability of ``POWER``, as a share.
        rounds: estimate of the rounds for the width that is asked for; None where none is, or where it
            is out of reach.
    """

    half_width: float
    smallest: float
    rounds: int | None


@dataclass(frozen=True)
class Plan:
    """What a design can do.

    Attributes:
        lines: what to say of it, one sentence or two each.
        warnings: what it cannot decide that was asked for, and what it would take.
        seconds: that it takes, if all variants are as slow as the baseline; None without probing.
        accuracy: of the baseline, from the documents that were probed; None as above.
    """

    lines: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float | None = None
    accuracy: float | None = None


def make_plan(
    parameters: Parameters, variants: Sequence[str], design: Design, stage: Stage, probed: Probe | None
) -> Plan:
    """What a design can do, and how long it takes.

    Args:
        parameters: of the run.
        variants: that are measured, the baseline first.
        design: the cells.
        stage: what they have in common.
        probed: calls of the baseline; without any, nothing is said of time, and the baseline is taken
            to be always right.
    """
    lines: list[str] = []
    warnings: list[str] = []
    seconds = None if probed is None else duration(parameters, design, stage, probed)
    accuracy = None if probed is None else probed.accuracy
    if probed is not None:
        lines.append(_duration(parameters, variants, design, stage, probed))
    if len(variants) < 2:
        return Plan(tuple(lines), (), seconds, accuracy)
    if design.rounds < MIN_ROUNDS and parameters.target_width is None:
        warnings.append(
            f"time: an interval of a speed-up takes {MIN_ROUNDS} rounds, and there are {design.rounds} "
            "(--repeats)"
        )
    elif probed is not None:
        step = block(len(design.cores), design.isolation)
        timed = plan_time(parameters, len(variants), design.rounds, probed, step)
        lines.append(_time_line(parameters, max(design.rounds, MIN_ROUNDS), timed, probed))
    if not parameters.random_weights:
        reaches = plan_quality(
            stage.documents, parameters.margin, len(variants) - 1, probed.accuracy if probed else 1.0
        )
        if reaches is not None:
            (lines if reaches.decides else warnings).append(quality_line(reaches))
    return Plan(tuple(lines), tuple(warnings), seconds, accuracy)


def plan_time(
    parameters: Parameters, variants: int, rounds: int, probed: Probe, step: int
) -> TimePlan | None:
    """What to expect of the intervals; None where the probing calls do not tell how much times vary.

    The variance between rounds alone: two cells a round, each as far from the mean as the probing
    processes are. Their spread is taken for the truth.
    """
    if not np.isfinite(probed.cell_sd) or probed.cell_sd <= 0:
        return None
    rounds = max(rounds, MIN_ROUNDS)
    df = (variants - 1) * (rounds - 1)
    seen = Estimate(0.0, 2 * probed.cell_sd**2 / rounds, 0.0, df, np.inf)
    comparisons = (variants - 1) * len(parameters.max_length)
    needed = seen.critical(ALPHA / 2 / comparisons) + float(stats.t.ppf(POWER, df))
    target = parameters.target_width
    return TimePlan(
        half_width(seen),
        float(np.expm1(needed * seen.standard_error)),
        None if target is None else rounds_needed(seen, rounds, target, step),
    )


def plan_quality(documents: Path, margin: float, variants: int, accuracy: float) -> Reach | None:
    """The smallest loss that the documents can exclude; None where the baseline is hardly ever right."""
    table = read_table(documents, ["label"])
    # Tasks without classes are not planned: how much their answers vary is not known before.
    if not accuracy > 0 or margin >= 1 or table["label"].null_count:
        return None
    labels = table["label"].to_numpy().astype(np.int64)
    groups = stored_groups(documents).numbers
    return reach(labels, accuracy, groups, margin=margin, variants=variants)


def _duration(
    parameters: Parameters, variants: Sequence[str], design: Design, stage: Stage, probed: Probe
) -> str:
    seconds = duration(parameters, design, stage, probed)
    lengths = len(parameters.max_length)
    quality = f", and quality once on all {count(stage.count)}" if design.quality else ""
    minutes = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
    longest = max(parameters.max_length)
    typical = 1e3 * float(np.mean(probed.seconds_of(_tokens(stage, longest, timed=False))))
    then = "" if probed.measured_at is None else f"; measured at {probed.measured_at:%H:%M} UTC"
    return (
        f"about {minutes}, if all variants are as slow as the baseline: {design.rounds} rounds of "
        f"{len(variants)} variants × {lengths} {'lengths' if lengths > 1 else 'length'} × "
        f"{count(stage.timing_count)} documents{quality} (it takes {typical:.3g} ms a document at "
        f"{longest} tokens, and {probed.start_seconds:.1f} s to start{then})"
    )


def duration(parameters: Parameters, design: Design, stage: Stage, probed: Probe) -> float:
    """Seconds that the cells of a design take, if all are as slow as the baseline's."""
    documents: dict[int, float] = {}
    shapes: dict[int, float] = {}
    for length in parameters.max_length:
        everything = _tokens(stage, length, timed=False)
        documents[length] = float(np.mean(probed.seconds_of(everything)))
        timed = np.unique(_tokens(stage, length, timed=True))
        shapes[length] = float(np.sum(probed.seconds_of(timed)))

    def seconds(cell: Cell) -> float:
        alone = stage.documents_of(cell) * documents[cell.max_length]
        first = 0.0 if cell.kind == "quality" else min(alone, shapes[cell.max_length])
        return probed.start_seconds + alone + first

    side_by_side = [
        max((sum(map(seconds, queue)) for queue in queues), default=0.0)
        for queues in ([design.control], design.quality, design.queues)
    ]
    return sum(side_by_side)


def _tokens(stage: Stage, max_length: int, timed: bool) -> NDArray[np.int64]:
    """Tokens of the documents, or of a thousand of them."""
    path = stage.timing_documents if timed else stage.documents
    count = count_stored(path)
    some = stored_texts(path, range(0, count, max(1, count // _SAMPLE)))
    tokenizer = next(iter(stage.artifacts.values())).tokenizer()  # all variants have the same
    return token_counts(tokenizer, some.first, max_length, some.second)


def _time_line(parameters: Parameters, rounds: int, timed: TimePlan | None, probed: Probe) -> str:
    if timed is None:
        return "time: the probing calls do not tell how much times vary here"
    text = (
        f"time: after {rounds} rounds an interval is about ±{percent(timed.half_width)}, and a "
        f"difference of {percent(timed.smallest)} is found in 4 runs of 5"
    )
    target = parameters.target_width
    if target is not None:
        text += f"; ±{percent(target)} takes " + (
            "more rounds than a run can have" if timed.rounds is None else f"about {timed.rounds} rounds"
        )
    return (
        f"{text} (roughly: from {probed.processes} short processes, and without what the choice of "
        "documents adds)"
    )


def quality_line(reach: Reach) -> str:
    """What documents can decide about quality, or what it takes, in words."""
    metric = reach.metric.replace("_", " ").replace("f1", "F1")
    documents = f"{count(reach.documents)} documents"
    if reach.groups < reach.documents:
        documents += f" ({count(reach.groups)}, if copies and those of a group count as one)"
    if reach.decides:
        return (
            f"quality: {documents} exclude a loss of {percent(reach.smallest_loss)} of {metric} if no "
            f"prediction changes, so they can decide the margin {reach.margin:g}"
        )
    wanted = "more than any file has"
    if reach.documents_needed is not None:
        wanted = f"about {count(reach.documents_needed)}"
    return (
        f"quality: {documents} cannot show that {reach.margin:g} of {metric} is kept, even if no "
        f"prediction changes (the bound is then {reach.bound:.3f}); it takes {wanted}, or a wider "
        "--margin"
    )
