"""The study itself, in the child: every module quantized alone, timed alone, and the choice."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ptdq.analysis.document_groups import document_groups
from ptdq.errors import UserError
from ptdq.evaluation.tally import targets_of
from ptdq.inputs.pairs import texts_of
from ptdq.inputs.source import Source
from ptdq.measure.queries import query_batches
from ptdq.problem.task import MEASURES, OF_CLASSES
from ptdq.sensitivity.choice import Choice, choose
from ptdq.sensitivity.harm import Logits, Truth, harm
from ptdq.sensitivity.judge import Judge
from ptdq.sensitivity.request import WHOLE, StudyRequest
from ptdq.sensitivity.switchboard import Calls, Switchboard, groups
from ptdq.sensitivity.timing import time_pair
from ptdq.store.tables import make_table, read_table, write_table
from ptdq.variants.base import Inputs, Settings

EVERY = 0.5
"""Seconds between reports."""


def study(request: StudyRequest, report: Callable[[int], None]) -> None:
    """Evaluate and time; write the table with the choice in its metadata.

    Reports up to ``WHOLE`` for the table, and beyond that the sets of modules tried for the choice.

    Raises:
        UserError: nothing can be quantized, or the float model predicts nothing right.
    """
    settings = Settings.from_json(request.settings)
    source = Source.open(Path(request.source), settings)
    documents = read_table(Path(request.documents))
    if request.task == "rerank":
        documents = documents.sort_by("group")
    truth = _truth(documents, request)
    judge = Judge(truth, request.margin, request.variants)
    inputs = _tokenized(source, documents, request)
    board = Switchboard(source.module(), settings)
    members = groups(list(board.floats), request.by)
    # Each name alone, nothing, and everything.
    tick = _Ticker(len(inputs) * (len(members) + 2), report)

    expected = _logits(board, inputs, (), tick)
    if not np.isfinite(expected).all():
        raise UserError("model: its float32 logits are not all finite numbers; nothing can be compared")
    main = truth.main(expected)
    _check_worth_keeping(truth, expected)
    everything = _logits(board, inputs, board.floats, tick)
    alone = {
        name: harm(truth, expected, _logits(board, inputs, modules, tick))
        for name, modules in members.items()
    }
    by_harm = sorted(members, key=lambda name: alone[name].divergence, reverse=True)
    calls = board.calls(_filled(inputs, request.max_length))
    gains = {name: _gain(board, calls, modules) for name, modules in members.items()}

    seen: dict[frozenset[str], Logits] = {frozenset(): everything, frozenset(by_harm): expected}

    def mixed(kept: frozenset[str]) -> Logits:
        if kept not in seen:
            quantized = [module for name in by_harm if name not in kept for module in members[name]]
            seen[kept] = _logits(board, inputs, quantized, lambda: None)
            report(WHOLE + len(seen) - 2)
        return seen[kept]

    # Where not even equal predictions show the margin, every set would fail, and all would stay float.
    best = judge.outcome(expected, expected)
    enough = best.non_inferiority == "non-inferior"
    choice = choose(by_harm, lambda k: judge.shows(expected, mixed(k))) if enough else Choice((), 0)

    def outcome(kept: Sequence[str]) -> dict[str, Any]:
        return asdict(judge.outcome(expected, mixed(frozenset(kept))))

    rows = [
        {
            "sensitivity_id": request.sensitivity_id,
            "name": name,
            "modules": members[name],
            "parameters": sum(p.numel() for m in members[name] for p in board.floats[m].parameters()),
            "max_length": request.max_length,
            "documents": documents.num_rows,
            **asdict(alone[name]),
            **gains[name],
            "kept": name in choice.kept,
        }
        for name in by_harm
    ]
    facts = {
        "kept": list(choice.kept),
        "tried": choice.tried,
        "main": main,
        "groups": judge.count,
        "enough": enough,
        "nothing_lost": asdict(best),
        "everything": outcome(()),
        "chosen": outcome(choice.kept),
    }
    write_table(Path(request.result), make_table("sensitivity", rows, facts))


class _Ticker:
    """Counts documents, and reports no more than twice a second."""

    def __init__(self, total: int, report: Callable[[int], None]) -> None:
        self._total, self._report = total, report
        self._done, self._reported = 0, 0.0

    def __call__(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._reported > EVERY or self._done == self._total:
            self._reported = now
            self._report(WHOLE * self._done // self._total)


def _logits(
    board: Switchboard, inputs: Sequence[Inputs], quantized: Collection[str], tick: Callable[[], None]
) -> Logits:
    """Logits [N, K]; batch by batch as a run has them, since the ranges are taken over a batch."""
    board.quantize(quantized)
    logits = []
    for batch in inputs:
        logits.append(board.predict(batch))
        tick()
    return np.concatenate(logits)


def _gain(
    board: Switchboard, calls: Mapping[str, Calls], modules: Sequence[str]
) -> dict[str, float | int]:
    """Columns of the time of these modules alone; none where the model does not call them."""
    own_calls = {name: calls[name] for name in modules if name in calls}
    if not own_calls:
        return {}
    return asdict(time_pair(lambda: board.run(own_calls, False), lambda: board.run(own_calls, True)))


def _truth(documents: pa.Table, request: StudyRequest) -> Truth:
    """What is true of the documents, and which of them belong together."""
    if request.task in OF_CLASSES:
        labels, targets = documents["label"].to_numpy().astype(np.int64), np.empty((0, 0))
    else:
        labels, targets = np.empty(0, np.int64), targets_of(documents)
    if request.task == "rerank":
        groups = np.unique(documents["group"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    else:
        groups = document_groups(documents).numbers
    return Truth(labels, targets, groups, request.task, request.cut)


def _check_worth_keeping(truth: Truth, expected: Logits) -> None:
    """Raises UserError where one of the float model's measures is nothing that a share can be kept of."""
    kept = {name: each.words for name, each in MEASURES[truth.task].items() if each.kept}
    values = zip(kept.values(), truth.values(expected, list(kept)), strict=True)
    words, value = next(((words, value) for words, value in values if not value > 0), ("", 1.0))
    if value > 0:
        return
    if truth.task in OF_CLASSES:
        raise UserError(
            "data: the float32 model predicts no document right, so there is no F1 to keep a share of; "
            "are the labels those of the model (--label-map)?"
        )
    raise UserError(
        f"data: {words} of the float32 model is {value:.4g}, of which there is no share to keep; are the "
        "labels those of the model (--label-column)?"
    )


def _tokenized(source: Source, documents: pa.Table, request: StudyRequest) -> list[Inputs]:
    """Batches: a document each, or the candidates of a query."""
    texts = texts_of(documents)
    batches = [range(place, place + 1) for place in range(documents.num_rows)]
    if request.task == "rerank" and source.pads():
        batches = query_batches(documents["group"].to_pylist())
    tokenizer = source.tokenizer()
    found: list[Inputs] = []
    for batch in batches:
        some = texts.between(batch.start, batch.stop)
        columns = [some.first] if some.second is None else [some.first, some.second]
        given = {"padding": True} if len(batch) > 1 else {}
        found.append(
            dict(
                tokenizer(
                    *columns, max_length=request.max_length, truncation=True, return_tensors="np", **given
                )
            )
        )
    return found


def _filled(inputs: Sequence[Inputs], tokens: int) -> Inputs:
    """The longest document, repeated until it has so many tokens: times depend on the length alone."""
    longest = max(inputs, key=lambda batch: batch["input_ids"].shape[1])
    # In a batch the longest is the one that is not padded.
    mask = longest.get("attention_mask", longest["input_ids"])
    row = int(mask.astype(bool).sum(axis=1).argmax())
    return {name: np.resize(ids[row], (1, tokens)) for name, ids in longest.items()}
