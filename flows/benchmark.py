"""The flow ``quantization-benchmark``: load, quantize, evaluate, aggregate, report.

Run by ``ptdq run``, by a deployment, or as a function. Prefect's own temporary server serves where
none is set up.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow, get_run_logger
from prefect.context import get_run_context
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from ptdq.analysis.outcome import failed_gates
from ptdq.errors import GateFailed, RunFailed, UserError, disk_full
from ptdq.host import machine
from ptdq.host.lock import MachineLock
from ptdq.host.process import kill_children, own_children
from ptdq.host.quiet import wait_for_quiet
from ptdq.inputs.load import Loaded
from ptdq.measure.cell import measure_limits
from ptdq.measure.design import Cell, Design, cores_for, make_design
from ptdq.measure.progress import Board, TerminalProgress
from ptdq.orchestration.artifacts import PrefectProgress
from ptdq.orchestration.cancelling import heeded
from ptdq.parameters import DEMO, Parameters, command_line, default_values, with_demo
from ptdq.store import baseline as baseline_run
from ptdq.store import cache, published, record
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.tasks import steps
from ptdq.variants.base import Settings
from ptdq.variants.choice import choose, keep_long_enough
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import PreparedVariant

BROKEN_OFF = "broken off"

T = TypeVar("T")


@flow(
    name="quantization-benchmark",
    task_runner=ThreadPoolTaskRunner(max_workers=os.cpu_count()),  # type: ignore[arg-type]
    validate_parameters=True,
)
def quantization_benchmark(parameters: Parameters, resume: bool = False) -> Any:
    """Compare variants of a text classifier on this machine: latency, quality, size.

    Args:
        parameters: what to measure, and how.
        resume: go on with the run of this run_id, doing the missing cells only.
    """
    flow_run = get_run_context().flow_run  # type: ignore[union-attr]
    files = files_of(parameters, flow_run)
    try:
        # The lock is released last: when no child is alive, and none can start any more.
        with heeded(flow_run) as cancel, MachineLock() as lock, own_children():
            run_benchmark(parameters, resume, lock)
    except TerminationSignal:
        if not cancel.seen:
            raise
        return Cancelled(message=str(broken_off(RunFailed("cancelled"), files)))
    except UserError as error:
        return Failed(message=str(error), data=error)
    except (RunFailed, OSError) as error:
        problem = broken_off(error, files)
        if problem is None:
            raise
        return Failed(message=str(problem), data=problem)
    failed = problems(files)
    if failed is not None:
        return Failed(message=str(failed), data=failed)
    return Completed(message=f"report: {files.report}", data=str(files.directory))


def run_benchmark(parameters: Parameters, resume: bool, lock: MachineLock) -> RunFiles:
    """Everything from the parameters to the report; runs inside a Prefect flow.

    Reads and checks the input first, and normalizes the model where that is not in the cache yet:
    seconds, on any core, without waiting. All else is done with the machine's lock held: making the
    demo, preparing, measuring. The run's time limit counts from then.

    Raises:
        UserError: the input is wrong; nothing was written.
        RunFailed: the run exceeded its time limit; what was finished is reported where it compares.
    """
    flow_run = get_run_context().flow_run  # type: ignore[union-attr]
    flow_run_id = str(flow_run.id) if flow_run else None
    files = files_of(parameters, flow_run)
    run_id = files.run_id
    going_on = record.check_target(files, flow_run_id, resume)
    if parameters.publish_to is not None:
        published.check(parameters.publish_to, run_id, going_on)
    if parameters.baseline is not None:
        baseline_run.choose(files.directory.parent, parameters.baseline)  # there, or refused now
    cores = machine.choose_cores(parameters.cores)
    if going_on:
        record.check_same(files, parameters.model_dump(), default_values())
    chosen = choose(parameters)
    settings = choose_settings(parameters)
    seconds: dict[str, float] = {}
    clock = _Clock(seconds)

    limit = TimeLimit(parameters.run_timeout)

    def take_machine() -> None:
        lock.acquire(run_id, get_run_logger().warning, parameters.max_wait)
        limit.start()
        cache.sweep()

    if DEMO in (parameters.model, parameters.data):
        take_machine()  # making the demo trains a model
    asked = parameters
    parameters = with_demo(asked, lambda: steps.make_demo.submit().result())
    clock.lap("demo")
    raw = steps.load_data.submit(parameters).result()
    # Quoted: Prefect would look for futures in each of the documents.
    loaded = steps.load_model.submit(parameters, quote(raw)).result()
    del raw
    chosen = keep_long_enough(chosen, max(parameters.max_length), loaded.checkpoint.max_positions)
    names, skipped = chosen.names, chosen.skipped
    warn_skipped(skipped)
    clock.lap("load")
    take_machine()
    clock.lap("wait")
    timeout, use_cache = parameters.cell_timeout, not parameters.no_cache
    futures = {name: steps.quantize.submit(name, loaded, settings, timeout, use_cache) for name in names}
    prepared, impossible = collect_prepared(futures, chosen.optional, limit)
    warn_skipped(impossible)
    skipped |= impossible
    names = list(prepared)
    clock.lap("quantize")

    if parameters.cores is None:
        usable, cores = cores, cores_for(cores, len(names), parameters.repeats)
        if len(cores) < len(usable):
            get_run_logger().info(
                "%d of %d usable cores: with more, %d repeats would give no interval",
                len(cores), len(usable), parameters.repeats,
            )  # fmt: skip
    design = make_design(
        names,
        parameters.max_length,
        parameters.repeats,
        cores,
        parameters.seed,
        parameters.isolation,
        control=parameters.control_documents > 0,
        # A batch is the same in all rounds only if the order is.
        same_order=parameters.batch_size > 1,
    )
    for note in design.notes:
        get_run_logger().warning("%s", note)
    if going_on:
        record.go_on(files, loaded.checkpoint, loaded.documents, design)
    else:
        record.begin(
            files,
            parameters=asked.model_dump(),
            command=command_line(asked),
            flow_run_id=flow_run_id,
            checkpoint=loaded.checkpoint,
            documents=loaded.documents,
            synthetic=asked.data == DEMO,
            calibration=calibration_origin(asked, loaded),
            design=design,
            skipped=skipped,
        )
    broken: RunFailed | None = None
    with breaks_recorded(files):
        files.keep_documents(loaded.documents.path)
        load_wait = limit.cap(parameters.load_wait)
        load = wait_for_quiet(cores, parameters.max_load, load_wait, get_run_logger().warning)
        if load.note is not None:
            get_run_logger().warning("%s", load.note)
            update(files, notes=[*read_json(files.record)["notes"], load.note])
        core = cores[0] if machine.can_pin() else None
        update(files, limits=measure_limits(files, core, limit.cap(120)))
        clock.lap("prepare")
        try:
            evaluate_all(files, design, prepared, loaded, parameters, limit)
        except RunFailed as error:
            if not comparable(files, design):
                raise
            broken = error
        finally:
            clock.lap("evaluate")
            update(files, seconds=seconds, load_after=machine.load_average())
        steps.aggregate.submit(files, design, names, prepared, loaded, parameters).result()
        clock.lap("aggregate")
        status = "completed" if broken is None else BROKEN_OFF
        reason = None if broken is None else str(broken)
        update(files, seconds=seconds, status=status, broken_off=reason, ended_at=record.now())
        steps.report.submit(files).result()
        clock.lap("report")
        update(files, seconds=seconds, ended_at=record.now())
        if broken is not None:
            raise RunFailed(
                f"{broken}; report of what was finished: {files.report}", str(files.directory)
            )
        if parameters.publish_to is not None:
            steps.publish_run.submit(files, parameters.publish_to).result()
    return files


@contextmanager
def breaks_recorded(files: RunFiles) -> Iterator[None]:
    """A run that does not come to its end in the block is broken off in its record, with the reason.

    Not one whose process is killed: nobody is left to write, and it stays at ``running``.
    """
    try:
        yield
    except BaseException as error:
        # A disk that is full may have no room for this either.
        with suppress(OSError):
            if read_json(files.record)["status"] == "running":
                update(files, status=BROKEN_OFF, broken_off=reason_of(error), ended_at=record.now())
        raise


def reason_of(error: BaseException) -> str:
    """Why a run was broken off, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, TerminationSignal):
        return "cancelled, or ended by a signal"
    full = disk_full(error) if isinstance(error, OSError) else None
    if full is not None or isinstance(error, RunFailed):
        return str(full or error)
    return f"{type(error).__name__}: {error}".splitlines()[0]


def comparable(files: RunFiles, design: Design) -> bool:
    """Whether at least one cell of two variants is finished."""
    done = {cell.variant for cell in design.cells if files.cell(cell.cell_id).is_file()}
    return len(done) > 1


def choose_settings(parameters: Parameters) -> Settings:
    """Settings of the preparation, with an engine that is supported here.

    Raises:
        UserError: the engine asked for is not.
    """
    return Settings(
        engine=choose_engine(parameters.engine),
        modules=tuple(parameters.modules),
        keep_float=tuple(parameters.keep_float),
        keep_float_mixed=tuple(parameters.keep_float_mixed),
        granularity=parameters.granularity,
    )


def calibration_origin(asked: Parameters, loaded: Loaded) -> str:
    """What static variants calibrate on, in words; the demo's file has no name of the user's."""
    if asked.data == DEMO and asked.calibration_data is None:
        return "training documents of demo"
    return loaded.calibration.origin


def files_of(parameters: Parameters, flow_run: Any) -> RunFiles:
    """Where the run's files are, or will be."""
    return RunFiles(Path(parameters.results_dir) / (parameters.run_id or default_run_id(flow_run)))


def default_run_id(flow_run: Any) -> str:
    """A name that sorts by time and is the same when Prefect retries the flow run."""
    if flow_run is None:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    started = flow_run.expected_start_time or flow_run.created
    return f"{started:%Y%m%dT%H%M%SZ}-{flow_run.name}"


def collect_prepared(
    futures: dict[str, PrefectFuture[Any]], optional: Collection[str], limit: TimeLimit
) -> tuple[dict[str, PreparedVariant], dict[str, str]]:
    """Artifacts by variant, once all are done, and optional variants that cannot be made, with reasons.

    Raises:
        UserError, RunFailed: an artifact cannot be made that is not optional, or is the baseline; or not
            within the run's time limit.
    """
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()
    for future in futures.values():
        future.add_done_callback(lambda _: ended.put(None))
    for _ in futures:
        limit.next_of(ended)
    prepared: dict[str, PreparedVariant] = {}
    skipped: dict[str, str] = {}
    for name, future in futures.items():
        try:
            prepared[name] = future.result()
        except (UserError, RunFailed) as error:
            if name not in optional or name == next(iter(futures)):
                raise
            skipped[name] = str(error)
    return prepared, skipped


def warn_skipped(skipped: Mapping[str, str]) -> None:
    """Log what is left out, and why."""
    for name, reason in skipped.items():
        get_run_logger().warning("skipped %s: %s", name, reason)


def evaluate_all(
    files: RunFiles,
    design: Design,
    prepared: dict[str, PreparedVariant],
    loaded: Loaded,
    parameters: Parameters,
    limit: TimeLimit,
) -> None:
    """Run the control, one cell at a time, then the queues of the design side by side.

    Raises:
        RunFailed: the run's time limit is exceeded; finished cells are kept.
    """
    documents = files.table("documents")
    count = loaded.documents.count
    short = min(parameters.control_documents, count)
    total = len(design.cells) * count + len(design.control) * short
    board = Board(total, [TerminalProgress(), PrefectProgress()])

    def start(cell: Cell, documents_of_it: int | None) -> PrefectFuture[Any]:
        return steps.evaluate.submit(
            cell, files, prepared[cell.variant], documents, parameters, board, documents_of_it
        )

    try:
        # The control goes first: its cells run while nothing else does.
        run_queues([design.control], lambda cell: start(cell, short), limit)
        run_queues(design.queues, lambda cell: start(cell, None), limit)
    finally:
        board.finish()


def run_queues(queues: Sequence[Sequence[Cell]], start: Any, limit: TimeLimit) -> None:
    """Keep one cell of each queue running until all queues are empty, whatever becomes of each cell.

    Sleeps meanwhile: the cores belong to the cells.

    Raises:
        RunFailed: the time limit is exceeded; by then all that was started has ended.
    """
    left = [list(cells) for cells in queues]
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    running: dict[int, PrefectFuture[Any]] = {}

    def next_cell(lane: int) -> None:
        if left[lane]:
            future = start(left[lane].pop(0))
            running[lane] = future
            future.add_done_callback(lambda _: ended.put(lane))

    for lane in range(len(left)):
        next_cell(lane)
    while running:
        try:
            lane = limit.next_of(ended)
        except RunFailed:
            for _ in running:
                ended.get()  # its child was killed: it ends now
            raise
        del running[lane]
        next_cell(lane)


def problems(files: RunFiles) -> RunFailed | GateFailed | None:
    """Why a finished run counts as failed, once its report is written."""
    found = read_json(files.record)
    if found["failures"]:
        first = found["failures"][0]
        cell = f"{first['variant']}, {first['max_length']} tokens, repeat {first['repeat']}"
        return RunFailed(
            f"{len(found['failures'])} cells failed, first {cell}: {first['error']}; "
            f"the others are in {files.report}",
            str(files.directory),
        )
    failed = failed_gates(found["gates"])
    if failed:
        return GateFailed(f"{'; '.join(failed)}; report: {files.report}", str(files.directory))
    return None


def broken_off(error: RunFailed | OSError, files: RunFiles) -> RunFailed | None:
    """What to say of a run that did not come to its report: why, and how it goes on; None for a bug."""
    problem = disk_full(error) if isinstance(error, OSError) else error
    if problem is None or not files.record.is_file():
        return problem
    line = f"{problem}; finished cells are kept: ptdq run --resume {files.directory}"
    return RunFailed(line, problem.directory)


def update(files: RunFiles, load_after: float | None = None, **values: Any) -> None:
    """Change fields of the record."""
    found = read_json(files.record)
    found.update(values)
    if load_after is not None:
        found["machine"]["load_after"] = load_after
    write_json(files.record, found)


class TimeLimit:
    """What is left of the seconds that a run may take, once it has begun."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def start(self) -> None:
        """Begin to count; nothing where that is begun."""
        if self._seconds is not None and self._end is None:
            self._end = time.monotonic() + self._seconds

    @property
    def left(self) -> float | None:
        """Seconds; None without a limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def cap(self, seconds: float) -> float:
        """So many seconds, or what is left."""
        return seconds if self.left is None else min(seconds, self.left)

    def next_of(self, ended: queue.SimpleQueue[T]) -> T:
        """Sleep until there is an entry.

        Raises:
            RunFailed: nothing is left; every child of the run is then dead.
        """
        try:
            return ended.get(timeout=self.left)
        except queue.Empty as error:
            kill_children()
            raise RunFailed(f"the run exceeded its time limit ({self._seconds:g} s)") from error


class _Clock:
    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap."""
        current = time.monotonic()
        self._seconds[name] = round(self._seconds.get(name, 0.0) + current - self._last, 3)
        self._last = current


__all__ = ["quantization_benchmark", "run_benchmark"]
