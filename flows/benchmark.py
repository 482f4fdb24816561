"""The flow ``quantization-benchmark``: load, quantize, evaluate, aggregate, report.

Run by ``ptdq run``, by a deployment, or as a function. Prefect's own temporary server serves where
none is set up.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from prefect import flow, get_run_logger
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from ptdq.analysis.growth import Rounds
from ptdq.analysis.planning import announce, say_plan
from ptdq.analysis.question import Question
from ptdq.errors import RunFailed
from ptdq.host import machine
from ptdq.host.clock import Laps, TimeLimit
from ptdq.host.lock import MachineLock
from ptdq.host.process import own_children
from ptdq.inputs.documents import RawDocuments
from ptdq.measure.beginning import describe_run, lay_out
from ptdq.measure.conditions import note_conditions, take_machine
from ptdq.measure.earlier import find_earlier
from ptdq.measure.finished import drop_damaged
from ptdq.measure.progress import TerminalProgress
from ptdq.measure.run_request import Request, check_documents, check_request
from ptdq.measure.stage import make_stage
from ptdq.orchestration import variables
from ptdq.orchestration.artifacts import PrefectProgress
from ptdq.orchestration.cancelling import heeded
from ptdq.orchestration.ending import breaks_recorded, ended, finished
from ptdq.orchestration.flow_run import current_flow_run, directory_for
from ptdq.orchestration.handed import Handed
from ptdq.orchestration.machine_limit import ServerLock
from ptdq.orchestration.permission import check_code
from ptdq.orchestration.signature import flat
from ptdq.parameters import DEMO, Parameters, with_demo
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.tasks.aggregate import aggregate
from ptdq.tasks.evaluate import evaluate
from ptdq.tasks.load_data import load_data
from ptdq.tasks.load_model import load_model
from ptdq.tasks.make_demo import make_demo
from ptdq.tasks.publish import publish
from ptdq.tasks.quantize import quantize
from ptdq.tasks.report import report
from ptdq.tasks.track import track
from ptdq.tracking import check as check_tracker
from ptdq.variants.choice import keep_fitting, say_skipped
from ptdq.variants.preparation import SIDE_BY_SIDE, Terms, collect_prepared, start_in_turns


@flow(
    name="quantization-benchmark",
    task_runner=ThreadPoolTaskRunner(max_workers=SIDE_BY_SIDE),  # type: ignore[arg-type]
    validate_parameters=True,
)
@flat(Parameters)
def quantization_benchmark(parameters: Parameters, resume: bool = False) -> Any:
    """Compare variants of a text classifier on this machine: latency, quality, size.

    Args:
        parameters: what to measure, and how.
        resume: go on with the run of this run_id, doing the missing cells only, and those of more
            rounds where the parameters ask for more.
    """
    flow_run = current_flow_run()
    files = RunFiles(directory_for(parameters, flow_run))
    kept = f"finished cells are kept: ptdq run --resume {files.directory}"
    # The lock is released last: when no child is alive, and none can start any more.
    with (
        ended(files, kept) as ending,
        heeded(flow_run),
        ServerLock() as lock,
        own_children(),
        machine.capped(parameters.isa),
    ):
        check_code(parameters, flow_run)
        check_tracker(parameters.track)
        variables.offer()
        flow_run_id = None if flow_run is None else str(flow_run.id)
        request = check_request(parameters, files, flow_run_id, resume)
        run_benchmark(parameters, request, files, lock, flow_run_id)
    return ending.state or finished(files)


def run_benchmark(
    parameters: Parameters, request: Request, files: RunFiles, lock: MachineLock, flow_run_id: str | None
) -> None:
    """The story of a run, from the parameters to the report.

    Data and model are read before the machine is taken: that takes seconds, on any core. Making the
    demo, preparing and measuring are done while no other run uses the machine.
    """
    log, laps, limit = get_run_logger(), Laps(), TimeLimit(parameters.run_timeout)
    take = partial(take_machine, lock, files.run_id, parameters.max_wait, limit, log.warning)

    if DEMO in (parameters.model, parameters.data):
        take()  # making the demo trains a model
    sources = with_demo(parameters, lambda: make_demo.submit().result())
    laps.lap("demo")
    raw = load_data.submit(sources).result()
    check_documents(parameters, raw.value)
    # Quoted: Prefect would look for futures in each of the documents.
    loaded = load_model.submit(sources, cast("Handed[RawDocuments]", quote(raw))).result()
    raw.let_go()
    chosen = keep_fitting(request.chosen, max(parameters.max_length), loaded.checkpoint)
    say_skipped(chosen.skipped, log.warning)
    laps.lap("load")
    take()
    laps.lap("wait")

    start = partial(quantize.submit, loaded, request.settings)
    artifacts = start_in_turns(chosen.names, Terms.of(parameters), start, limit)
    prepared, impossible = collect_prepared(artifacts, chosen.optional, limit)
    say_skipped(impossible, log.warning)
    laps.lap("quantize")

    resuming, model = request.begun is not None, loaded.checkpoint
    earlier = find_earlier(parameters, files, resuming, prepared, model, log.warning)
    measured = prepared | earlier.artifacts
    design = lay_out(parameters, list(measured), request.cores, loaded, request.begun, log.warning)
    skipped = chosen.skipped | impossible
    beginning = describe_run(parameters, loaded, design, skipped, flow_run_id, earlier)
    if resuming:
        record.resume(files, beginning)
    else:
        record.begin(files, beginning)
    with breaks_recorded(files):
        stage = make_stage(files, measured, loaded.documents, parameters, len(design.cores))
        drop_damaged(files, log.warning)
        quiet = note_conditions(files, design.cores, parameters, model, limit, log.warning)
        if request.begun is None:
            plan = announce(parameters, list(prepared), design, stage, limit, quiet)
            say_plan(files, plan, log.info, log.warning)
        laps.lap("prepare")
        try:
            with stage.progress(design, TerminalProgress(), PrefectProgress()) as board:
                rounds = Rounds(
                    files,
                    design,
                    parameters,
                    list(measured),
                    lambda cells: board.expect(stage.documents_of_all(cells)),
                    log.info,
                )
                broken = stage.run(rounds, lambda cell: evaluate.submit(cell, stage, board), limit)
        finally:
            laps.lap("evaluate")
            record.amend(files, seconds=laps.seconds, load_after=machine.load_average())

        question = Question.asked(parameters, list(prepared), model, list(earlier.artifacts))
        aggregate.submit(files, rounds.design, measured, question).result()
        laps.lap("aggregate")
        # Before the report, which says how the run ended; and after it, for the time that it took.
        record.end(files, laps.seconds, broken)
        report.submit(files).result()
        laps.lap("report")
        record.end(files, laps.seconds, broken)
        if broken is not None:
            text = f"{broken}; report of what was finished: {files.report}"
            raise RunFailed(text, str(files.directory))
        if parameters.publish_to is not None:
            publish.submit(files, parameters.publish_to).result()
        if parameters.track is not None:
            track.submit(files, parameters.track).result()
