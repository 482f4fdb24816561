"""What a run is asked for, checked before it takes the machine: within seconds, and without Prefect."""

from __future__ import annotations

from dataclasses import dataclass

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.host.software import measuring_versions
from ptdq.inputs.documents import RawDocuments
from ptdq.parameters import Parameters, Purpose, default_values, names
from ptdq.statistics.tail_bound import DOCUMENTS_NEEDED, too_few
from ptdq.store import baseline, published, record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import DesignPlan
from ptdq.variants.base import Settings
from ptdq.variants.choice import Chosen, choose
from ptdq.variants.engines import choose_engine


@dataclass(frozen=True)
class Request:
    """A run that can begin.

    Attributes:
        begun: design of a run whose directory is there already, with finished cells; else None.
        cores: those that it may use.
        chosen: the variants that it measures.
        settings: of their preparation.
    """

    begun: DesignPlan | None
    cores: tuple[int, ...]
    chosen: Chosen
    settings: Settings


def check_request(
    parameters: Parameters, files: RunFiles, flow_run_id: str | None = None, resume: bool = False
) -> Request:
    """Check all that can be checked without reading the model and the data.

    Args:
        parameters: of the run.
        files: where it will be.
        flow_run_id: of Prefect; a retry of the same flow run resumes its run.
        resume: whether a run that is there is to be resumed.

    Raises:
        UserError: something is wrong; nothing was written.
    """
    check_enough(parameters, parameters.limit)
    with machine.capped(parameters.isa):
        return _check(parameters, files, flow_run_id, resume)


def _check(parameters: Parameters, files: RunFiles, flow_run_id: str | None, resume: bool) -> Request:
    chosen = choose(parameters)
    settings = choose_settings(parameters)
    cores = machine.choose_cores(parameters.cores)
    resuming = record.check_target(files, flow_run_id, resume)
    if resuming:
        check_same(parameters, files)
    if parameters.publish_to is not None:
        published.check(parameters.publish_to, files.run_id, resuming)
    if parameters.baseline is not None:
        baseline.choose(files.directory.parent, parameters.baseline)
    begun = record.read(files).design if resuming else None
    return Request(begun, tuple(cores), chosen, settings)


def check_enough(parameters: Parameters, documents: int | None) -> None:
    """That the design can meet the gates that are set: one that no figures can meet fails for certain.

    Args:
        parameters: of the run.
        documents: how many there are; None where that is not known yet.

    Raises:
        UserError: there are too few documents or rounds; says how many it takes.
    """
    if parameters.max_p95_ms is None:
        return
    known = [count for count in (documents, parameters.timing_documents) if count is not None]
    calls = -(-min(known) // parameters.batch_size) if known else DOCUMENTS_NEEDED
    why = too_few(calls, parameters.repeats)
    if why is not None:
        raise UserError(
            f"max_p95_ms: {why}; take more (--limit, --timing-documents, --repeats), or leave it out"
        )


def check_documents(parameters: Parameters, raw: RawDocuments) -> None:
    """The same, once the documents are read: those that belong together, and copies, count as fewer.

    Raises:
        UserError: there are too few of them.
    """
    if parameters.max_p95_ms is not None:
        check_enough(parameters, int(raw.worth + 1e-9))


def check_same(parameters: Parameters, files: RunFiles) -> None:
    """That a run would continue as it began, but for more rounds.

    Raises:
        UserError: parameters, machine or versions are others; names them.
    """
    free = {*names(Purpose.UNMEASURED), *names(Purpose.EXTENDS)}
    asked = parameters.model_dump(exclude=free)
    here: dict[str, object] = {"cpu": machine.cpu_model(), "flags": machine.cpu_flags()}
    if parameters.cores is None:  # else the run's own are compared with its design
        here["cores_usable"] = machine.usable_cores()
    record.check_same(files, asked, default_values(), here, measuring_versions())


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
        loader=parameters.model_loader,
        trust_remote_code=parameters.trust_remote_code,
        tune_minutes=parameters.tune_minutes,
    )
