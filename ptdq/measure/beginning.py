"""From what a run starts with to the beginning of its record, and to its design."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ptdq.host.facts import machine_facts
from ptdq.host.software import git_commit, package_versions
from ptdq.inputs.arithmetic import arithmetic
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.inputs.load import Loaded
from ptdq.measure.design import Design, cores_for, make_design
from ptdq.measure.earlier import NOTHING, Earlier
from ptdq.parameters import DEMO, Parameters, command_line
from ptdq.store.record import Beginning
from ptdq.store.record_model import DataFacts, DesignPlan, ModelFacts, SharedFacts


def lay_out(
    parameters: Parameters,
    variants: Sequence[str],
    usable: Sequence[int],
    loaded: Loaded,
    begun: DesignPlan | None,
    say: Callable[[str], None],
) -> Design:
    """The cells that answer the parameters.

    Args:
        parameters: of the run.
        variants: those that are measured; the first is the baseline.
        usable: cores to use; where none were asked for, as many of them as the rounds need.
        loaded: model and documents.
        begun: design of a run that continues: it keeps its cores, and its rounds.
        say: told what the design cannot do.
    """
    cores, rounds = usable, parameters.repeats
    if begun is not None:
        rounds = max(rounds, begun.rounds)
    if parameters.cores is None:
        cores = begun.cores if begun is not None else cores_for(usable, rounds)
        if len(cores) < len(usable):
            say(f"{len(cores)} of {len(usable)} usable cores: {rounds} rounds need no more")
    design = _design(parameters, variants, cores, rounds)
    if parameters.control_documents > 0:
        design = design.with_control(variants, parameters.max_length)
    timed = parameters.timing_documents or loaded.documents.count
    if timed < loaded.documents.count and not loaded.checkpoint.random_weights:
        design = design.with_quality(variants, parameters.max_length)
    for note in design.notes:
        say(note)
    return design


def with_rounds(design: Design, parameters: Parameters, variants: Sequence[str], rounds: int) -> Design:
    """The same cells, and those of more rounds."""
    more = _design(parameters, variants, design.cores, rounds)
    return replace(more, control=design.control, quality=design.quality)


def _design(parameters: Parameters, variants: Sequence[str], cores: Sequence[int], rounds: int) -> Design:
    return make_design(
        variants,
        parameters.max_length,
        rounds,
        cores,
        parameters.seed,
        parameters.isolation,
        # A batch is the same in all rounds only if the order is.
        same_order=parameters.batch_size > 1,
    )


def describe_run(
    asked: Parameters,
    loaded: Loaded,
    design: Design,
    skipped: Mapping[str, str],
    flow_run_id: str | None,
    earlier: Earlier = NOTHING,
) -> Beginning:
    """What is known before the first cell, for the run's record.

    Args:
        asked: parameters, with ``demo`` not replaced by its files.
        loaded: model and documents.
        design: the cells.
        skipped: variants that were left out, with reasons.
        flow_run_id: of Prefect.
        earlier: the run that it is compared with.
    """
    documents = loaded.documents
    return Beginning(
        parameters=asked.model_dump(),
        command=command_line(asked),
        flow_run_id=flow_run_id,
        model=_model_facts(asked.model, loaded.checkpoint, sorted(asked.max_length)),
        data=DataFacts(
            path=asked.data,
            digest=documents.digest,
            documents=documents.count,
            classes=documents.classes,
            synthetic=asked.data == DEMO,
            sampled_from=documents.sampled_from,
            lines=documents.lines,
            notes=list(documents.notes),
            texts=documents.counts.texts,
            groups=documents.counts.groups,
            group_digest=documents.counts.digest,
            shared=None if loaded.shared is None else SharedFacts(**vars(loaded.shared)),
            pairs=documents.pairs,
            queries=documents.queries,
        ),
        calibration=_calibration(asked, loaded),
        machine=machine_facts(list(design.cores)),
        versions=package_versions(),
        git_commit=git_commit(),
        design=DesignPlan.model_validate(design.as_json()),
        skipped=dict(skipped),
        since=earlier.since,
        not_again=dict(earlier.not_again),
    )


def _model_facts(name: str, checkpoint: Checkpoint, lengths: Sequence[int]) -> ModelFacts:
    counts = arithmetic(checkpoint, lengths).multiply_adds
    return ModelFacts(
        name=name,
        revision=checkpoint.revision,
        digest=checkpoint.digest,
        architecture=checkpoint.architecture,
        labels=checkpoint.class_names,
        parameters=checkpoint.parameters,
        max_positions=checkpoint.max_positions,
        random_weights=checkpoint.random_weights,
        task=checkpoint.task,
        task_why=checkpoint.task_why,
        multiply_adds_per_length={
            str(length): count for length in lengths if (count := counts[length]) is not None
        },
    )


def _calibration(asked: Parameters, loaded: Loaded) -> str:
    """What static variants calibrate on, in words; the demo's file has no name of the user's."""
    if asked.data == DEMO and asked.calibration_data is None:
        return "training documents of demo"
    return loaded.calibration.origin
