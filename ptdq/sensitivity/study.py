"""The study itself, in the child: every module quantized alone, timed alone, and the choice."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptdq.analysis.document_groups import document_groups
from ptdq.errors import UserError
from ptdq.inputs.pairs import Texts, texts_of
from ptdq.inputs.source import Source
from ptdq.sensitivity.choice import Choice, choose
from ptdq.sensitivity.harm import Logits, harm, weighted_f1
from ptdq.sensitivity.request import WHOLE, StudyRequest
from ptdq.sensitivity.switchboard import Calls, Switchboard, groups
from ptdq.sensitivity.timing import time_pair
from ptdq.statistics.multiplicity import ALPHA
from ptdq.statistics.non_inferiority import METRICS, combined, evidence, holds_margin
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
    judge = _Judge(labels, document_groups(documents).numbers, request)
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
        "groups": judge.count,
        "enough": enough,
        "nothing_lost": asdict(best),
        "everything": outcome(()),
        "chosen": outcome(choice.kept),
    }
    write_table(Path(request.result), make_table("sensitivity", rows, facts))


@dataclass(frozen=True)
class _Outcome:
    """A model with quantized modules against the float one, on the documents of the choice.

    Attributes:
        f1_ratio: share of the float model's weighted F1 that is kept.
        f1_ratio_low: lower bound of it, at the level that a run decides the first variant at.
        f1_macro_ratio: the same of macro F1.
        non_inferiority: of both, as in a run.
        documents_needed: estimate of the documents that would decide; None where it is decided, or out
            of reach.
        changed: documents with another prediction.
        largest: absolute difference of logits.
    """

    f1_weighted: float
    f1_ratio: float
    f1_ratio_low: float
    f1_macro_ratio: float
    f1_macro_ratio_low: float
    non_inferiority: str
    documents_needed: int | None
    changed: int
    largest: float


@dataclass(frozen=True)
class _Judge:
    """Decides as a run does that measures the choice: by the bound, both metrics, copies counted once."""

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    request: StudyRequest

    @property
    def count(self) -> int:
        """How many documents there are, if those that belong together count as one."""
        return len(np.unique(self.groups))

    def shows(self, expected: Logits, found: Logits) -> bool:
        """Whether the documents show that the margin is kept."""
        old, new = _classes(expected), _classes(found)
        margin, variants = self.request.margin, self.request.variants
        return holds_margin(self.labels, old, new, self.groups, margin=margin, variants=variants)

    def outcome(self, expected: Logits, found: Logits) -> _Outcome:
        """All that is to be said of a model with quantized modules."""
        old, new, level = _classes(expected), _classes(found), 1 - ALPHA / self.request.variants
        pair = [
            evidence(self.labels, old, new, self.groups, margin=self.request.margin, metric=metric)
            for metric in METRICS
        ]
        weighted, macro = (each.decide(level) for each in pair)
        decided = combined([weighted.outcome, macro.outcome])
        needed = [] if decided != "undecided" else [each.documents_needed(level) for each in pair]
        far = harm(self.labels, expected, found)
        return _Outcome(
            f1_weighted=far.f1_weighted,
            f1_ratio=weighted.ratio,
            f1_ratio_low=weighted.low,
            f1_macro_ratio=macro.ratio,
            f1_macro_ratio_low=macro.low,
            non_inferiority=decided,
            documents_needed=max((count for count in needed if count is not None), default=None),
            changed=far.changed,
            largest=float(np.finfo(np.float32).max) if np.isnan(far.largest) else far.largest,
        )


def _classes(logits: Logits) -> NDArray[np.int64]:
    return np.asarray(logits.argmax(axis=1), np.int64)


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
