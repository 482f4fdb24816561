"""The study itself, in the child: every module quantized alone, timed alone, and the choice."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptdq.errors import UserError
from ptdq.inputs.pairs import Texts, texts_of
from ptdq.inputs.source import Source
from ptdq.sensitivity.choice import choose
from ptdq.sensitivity.harm import Logits, harm, weighted_f1
from ptdq.sensitivity.request import WHOLE, StudyRequest
from ptdq.sensitivity.switchboard import Calls, Switchboard, groups
from ptdq.sensitivity.timing import time_pair
from ptdq.statistics.non_inferiority import evidence
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
    labels = documents["label"].to_numpy().astype(np.int64)
    inputs = _tokenized(source, texts_of(documents), request.max_length)
    board = Switchboard(source.module(), settings)
    members = groups(list(board.floats), request.by)
    # Each name alone, nothing, and everything.
    tick = _Ticker(len(inputs) * (len(members) + 2), report)

    expected = _logits(board, inputs, (), tick)
    if not np.isfinite(expected).all():
        raise UserError("model: its float32 logits are not all finite numbers; nothing can be compared")
    f1 = weighted_f1(labels, expected)
    if f1 == 0:
        raise UserError(
            "data: the float32 model predicts no document right, so there is no F1 to keep a share of; "
            "are the labels those of the model (--label-map)?"
        )
    everything = _logits(board, inputs, board.floats, tick)
    alone = {
        name: harm(labels, expected, _logits(board, inputs, modules, tick))
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

    choice = choose(by_harm, lambda kept: weighted_f1(labels, mixed(kept)) / f1, request.margin)

    def outcome(kept: Sequence[str]) -> dict[str, Any]:
        return asdict(_outcome(labels, expected, mixed(frozenset(kept)), request.margin))

    rows = [
        {
            "sensitivity_id": request.sensitivity_id,
            "name": name,
            "modules": members[name],
            "parameters": sum(p.numel() for m in members[name] for p in board.floats[m].parameters()),
            "max_length": request.max_length,
            "documents": len(inputs),
            **asdict(alone[name]),
            **gains[name],
            "kept": name in choice.kept,
        }
        for name in by_harm
    ]
    facts = {
        "kept": list(choice.kept),
        "tried": choice.tried,
        "f1_weighted": f1,
        "everything": outcome(()),
        "chosen": outcome(choice.kept),
    }
    write_table(Path(request.result), make_table("sensitivity", rows, facts))


@dataclass(frozen=True)
class _Outcome:
    """A model with quantized modules against the float one, on the documents of the choice."""

    f1_weighted: float
    f1_ratio: float
    f1_ratio_low: float
    non_inferiority: str
    changed: int
    largest: float


def _outcome(labels: NDArray[np.int64], expected: Logits, actual: Logits, margin: float) -> _Outcome:
    old, new = (logits.argmax(axis=1).astype(np.int64) for logits in (expected, actual))
    kept = evidence(labels, old, new, margin=margin).decide()
    harmed = harm(labels, expected, actual)
    return _Outcome(
        f1_weighted=harmed.f1_weighted,
        f1_ratio=kept.ratio,
        f1_ratio_low=kept.low,
        non_inferiority=kept.outcome,
        changed=harmed.changed,
        largest=float(np.finfo(np.float32).max) if np.isnan(harmed.largest) else harmed.largest,
    )


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
    """Logits [N, K]; one document at a time, since the ranges are taken over a batch."""
    board.quantize(quantized)
    logits = []
    for document in inputs:
        logits.append(board.predict(document)[0])
        tick()
    return np.stack(logits)


def _gain(
    board: Switchboard, calls: Mapping[str, Calls], modules: Sequence[str]
) -> dict[str, float | int]:
    """Columns of the time of these modules alone; none where the model does not call them."""
    own_calls = {name: calls[name] for name in modules if name in calls}
    if not own_calls:
        return {}
    return asdict(time_pair(lambda: board.run(own_calls, False), lambda: board.run(own_calls, True)))


def _tokenized(source: Source, texts: Texts, max_length: int) -> list[Inputs]:
    tokenizer = source.tokenizer()
    columns = [texts.first] if texts.second is None else [texts.first, texts.second]
    return [
        dict(
            tokenizer(
                *([text] for text in row), max_length=max_length, truncation=True, return_tensors="np"
            )
        )
        for row in zip(*columns, strict=True)
    ]


def _filled(inputs: Sequence[Inputs], tokens: int) -> Inputs:
    """The longest document, repeated until it has so many tokens: times depend on the length alone."""
    longest = max(inputs, key=lambda document: document["input_ids"].shape[1])
    return {name: np.resize(ids, (1, tokens)) for name, ids in longest.items()}
