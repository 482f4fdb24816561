"""A plan made by itself, for ``ptdq plan``; and the first lines of a run, which are the same plan."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ptdq.analysis.plan import Plan, make_plan
from ptdq.demo.build import make_demo
from ptdq.host import machine
from ptdq.host.clock import TimeLimit
from ptdq.host.lock import MachineLock
from ptdq.host.process import own_children
from ptdq.inputs.load import read_data, read_model
from ptdq.measure.beginning import lay_out
from ptdq.measure.design import Design
from ptdq.measure.probe import probe
from ptdq.measure.run_request import choose_settings
from ptdq.measure.stage import Stage, make_stage
from ptdq.parameters import DEMO, Parameters, with_demo
from ptdq.store import record
from ptdq.store.cache import private_cache
from ptdq.store.layout import RunFiles
from ptdq.variants.choice import choose, keep_fitting
from ptdq.variants.preparation import Terms, preparation_log, prepare_variant

Say = Callable[[str], None]

SHORT = 1000
"""Documents, over all cells: a run of fewer takes hardly longer than probing, and is not probed."""


def plan_alone(parameters: Parameters, say: Say) -> Plan:
    """Read model and data, prepare the baseline, probe it; nothing is left but the cache.

    Args:
        parameters: of the run that is planned.
        say: told what goes on, and what the design cannot do.

    Raises:
        UserError: the input is wrong.
        RunFailed: the baseline could not be prepared, or none of its processes finished.
    """
    with machine.capped(parameters.isa):
        return _plan_alone(parameters, say)


def _plan_alone(parameters: Parameters, say: Say) -> Plan:
    chosen, settings = choose(parameters), choose_settings(parameters)
    usable = machine.choose_cores(parameters.cores)
    limit = TimeLimit(parameters.run_timeout)
    with MachineLock() as lock, own_children(), tempfile.TemporaryDirectory(prefix="ptdq-plan-") as place:
        if DEMO in (parameters.model, parameters.data):
            lock.acquire("plan", say, parameters.max_wait)  # making the demo trains a model
        sources = with_demo(parameters, lambda: make_demo(private_cache() / "demo"))
        loaded = read_model(sources, read_data(sources))
        if loaded.warning is not None:
            say(loaded.warning)
        kept = keep_fitting(chosen, max(parameters.max_length), loaded.checkpoint)
        lock.acquire("plan", say, parameters.max_wait)
        limit.start()
        baseline = kept.names[0]
        prepared = prepare_variant(
            baseline,
            loaded.checkpoint,
            settings,
            loaded.calibration,
            preparation_log(baseline),
            Terms.of(parameters),
        )
        design = lay_out(parameters, kept.names, usable, loaded, None, say)
        files = RunFiles(Path(place) / "plan")
        stage = make_stage(files, {baseline: prepared}, loaded.documents, parameters, len(design.cores))
        return _probed(parameters, kept.names, design, stage, limit)


def announce(
    parameters: Parameters,
    variants: Sequence[str],
    design: Design,
    stage: Stage,
    limit: TimeLimit,
    quiet: bool,
) -> Plan:
    """The plan of a run, as far as it is worth its time: a short run is not probed.

    Args:
        parameters: of the run.
        variants: that are measured, the baseline first.
        design: the cells.
        stage: what they have in common.
        limit: time that the run may take.
        quiet: whether others leave the cores alone, so that later runs may take what is found.
    """
    if sum(stage.documents_of_all([*design.cells, *design.judged]).values()) < SHORT:
        return make_plan(parameters, variants, design, stage, None)
    return _probed(parameters, variants, design, stage, limit, quiet)


def _probed(
    parameters: Parameters,
    variants: Sequence[str],
    design: Design,
    stage: Stage,
    limit: TimeLimit,
    quiet: bool = False,
) -> Plan:
    longest = max(parameters.max_length)
    probed = probe(stage, variants[0], longest, design.cores, design.isolation, limit, keep=quiet)
    return make_plan(parameters, variants, design, stage, probed)


def say_plan(files: RunFiles, plan: Plan, say: Say, warn: Say) -> None:
    """The first lines of a run; what it cannot decide is a warning, which its report has as well."""
    for line in plan.lines:
        say(f"plan: {line}")
    for warning in plan.warnings:
        warn(f"plan: {warning}")
        record.amend(files, note=f"Known before the first cell: {warning}")
