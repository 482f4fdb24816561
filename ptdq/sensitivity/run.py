"""A study of sensitivity from parameters to files; like a run it takes the machine for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.host.facts import machine_facts
from ptdq.host.lock import MachineLock
from ptdq.host.software import git_commit, package_versions
from ptdq.inputs import load as inputs
from ptdq.inputs.calibration import check_apart
from ptdq.inputs.documents import RawDocuments
from ptdq.inputs.shared import joined_texts
from ptdq.measure.queries import query_order
from ptdq.parameters import DEMO, Parameters, with_demo
from ptdq.problem.task import SINGLE, WITH_THRESHOLD, logit
from ptdq.sensitivity.find import TABLE, Found, find_sensitivity
from ptdq.sensitivity.report import variants_of_run, write_files
from ptdq.sensitivity.request import WHOLE, By, StudyRequest
from ptdq.sensitivity.words import Subject
from ptdq.statistics.duplicates import shared_texts
from ptdq.store import record
from ptdq.store.cache import private_cache
from ptdq.store.layout import RunFiles
from ptdq.store.record_file import now
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine

_WEEK = 7 * 24 * 3600.0


def run_sensitivity(
    parameters: Parameters, by: By, run: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[Found, Subject, Path]:
    """Study a model and write what was found.

    Args:
        parameters: of a run, with one maximum length.
        by: whether modules are looked at one by one, or by block.
        run: parameters of a run that is to measure the choice.
        say: told what goes on, a line at a time.

    Returns:
        What was found, of what, and the directory with the files.

    Raises:
        UserError: the input is wrong; nothing was written.
        RunFailed: the process died or exceeded its time limit.
    """
    if parameters.random_weights:
        raise UserError("random_weights: there is no quality to lose; sensitivity needs a trained model")
    core = machine.choose_cores(parameters.cores)[0]
    settings = Settings(
        engine=choose_engine(parameters.engine),
        modules=tuple(parameters.modules),
        keep_float=tuple(parameters.keep_float),
        granularity=parameters.granularity,
        loader=parameters.model_loader,
        trust_remote_code=parameters.trust_remote_code,
    )
    name = parameters.run_id or f"sensitivity-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    directory = Path(parameters.results_dir) / name
    record.check_target(RunFiles(directory), None, False)
    with MachineLock() as lock:
        if DEMO in (parameters.model, parameters.data):
            lock.acquire(name, say, parameters.max_wait)  # making the demo trains a model
        loaded, subject = _load(parameters)
        lock.acquire(name, say, parameters.max_wait)
        progress = _Progress()
        try:
            request = StudyRequest(
                sensitivity_id=name,
                source=str(loaded.checkpoint.directory),
                settings=asdict(settings),
                documents=str(loaded.documents.path),
                max_length=subject.max_length,
                by=by,
                margin=subject.margin,
                variants=len(variants_of_run(run)) - 1,
                core=core if machine.can_pin() else None,
                result=str(directory / TABLE),
                task=subject.task,
                cut=logit(parameters.threshold) if subject.task in WITH_THRESHOLD else None,
            )
            found = find_sensitivity(request, parameters.run_timeout or _WEEK, progress.show)
        finally:
            progress.close()
    facts = {
        "model_digest": loaded.checkpoint.digest,
        "documents_digest": loaded.documents.digest,
        "by": by,
        "settings": {"engine": settings.engine, "granularity": settings.granularity},
        "machine": machine_facts([core]).model_dump(),
        "versions": package_versions(),
        "git_commit": git_commit(),
        "ended_at": now(),
    }
    write_files(directory, found, subject, facts, run)
    return found, subject, directory


def _load(asked: Parameters) -> tuple[inputs.Loaded, Subject]:
    """The model with the documents to choose on: the data, or those that are given for it."""
    from ptdq.demo.build import make_demo

    parameters = with_demo(asked, lambda: make_demo(private_cache() / "demo"))
    apart = parameters.calibration_data is not None
    shared = None
    if apart:
        # Read whole: a run may report on other documents than a sample has.
        test = inputs.read_data(parameters.model_copy(update={"limit": None}))
        update = {"data": parameters.calibration_data, "calibration_data": None}
        parameters = parameters.model_copy(update=update)
        raw = _sample(parameters)
        check_apart(set(raw.contents), set(test.contents), raw.name)
        shared = shared_texts(joined_texts(raw.as_texts), joined_texts(test.as_texts))
    else:
        raw = _sample(parameters)
    if _reranks(parameters):
        parameters = parameters.model_copy(update={"limit": None})  # that many were taken
    loaded = inputs.read_model(parameters, raw)
    own = "the demo's training documents" if apart else asked.data
    return loaded, Subject(
        model=asked.model,
        documents=asked.calibration_data or own,
        count=loaded.documents.count,
        test="the demo's held-out documents" if asked.data == DEMO else asked.data,
        apart=apart,
        max_length=max(asked.max_length),
        margin=asked.margin,
        task=loaded.checkpoint.task or SINGLE,
        shared=None if shared is None else vars(shared),
    )


def _sample(parameters: Parameters) -> RawDocuments:
    """Documents to choose on; of a reranker's, whole queries."""
    if parameters.limit is None or not _reranks(parameters):
        return inputs.read_data(parameters)
    raw = inputs.read_data(parameters.model_copy(update={"limit": None}))
    if parameters.limit >= len(raw.ids):
        return raw
    chosen = np.sort(query_order(raw.texts, parameters.seed, parameters.limit)).tolist()
    ids, texts, labels = ([column[n] for n in chosen] for column in (raw.ids, raw.texts, raw.labels))
    pairs = None if raw.pairs is None else [raw.pairs[n] for n in chosen]
    return replace(raw, ids=ids, texts=texts, labels=labels, pairs=pairs, sampled_from=len(raw.ids))


def _reranks(parameters: Parameters) -> bool:
    """Whether the task is to rank: the model is asked only where documents are pairs."""
    if parameters.task is not None or parameters.pair_column is None:
        return parameters.task == "rerank"
    whole = parameters.model_copy(update={"limit": None})
    return inputs.open_model(whole, []).task == "rerank"


class _Progress:
    """Bars on standard error, where that is a terminal: of the table, then of the choice."""

    def __init__(self) -> None:
        self._table: tqdm[None] = tqdm(
            total=WHOLE, desc="each alone", disable=None, bar_format="{desc}: {percentage:3.0f}%|{bar}| "
            "{elapsed}<{remaining}",
        )  # fmt: skip
        self._choice: tqdm[None] | None = None

    def show(self, done: int) -> None:
        """Thousandths of the table; beyond, sets tried for the choice."""
        self._table.update(min(done, WHOLE) - self._table.n)
        if done > WHOLE:
            if self._choice is None:
                self._table.close()
                self._choice = tqdm(desc="choosing what stays float", unit=" sets", disable=None)
            self._choice.update(done - WHOLE - self._choice.n)

    def close(self) -> None:
        """Nothing more will come."""
        self._table.close()
        if self._choice is not None:
            self._choice.close()
