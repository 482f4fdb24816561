"""A configuration for a model and a data set that can decide: what ``ptdq init`` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptdq import numbers
from ptdq.analysis.plan import plan_quality, quality_line
from ptdq.analysis.planning import plan_alone
from ptdq.demo.build import make_demo
from ptdq.errors import UserError
from ptdq.host.lock import MachineLock
from ptdq.inputs.columns import ROWS, guess_columns
from ptdq.inputs.documents import read_beginning
from ptdq.inputs.load import Loaded, read_data, read_model
from ptdq.inputs.stored import count_stored, stored_texts
from ptdq.inputs.tokenizing import open_tokenizer, token_counts
from ptdq.parameters import DEMO, Parameters, default_values, make_parameters, names, with_demo
from ptdq.statistics.reach import Reach, smallest_quality_loss
from ptdq.store.cache import private_cache
from ptdq.variants import registry

Say = Callable[[str], None]

MARGINS = (0.99, 0.985, 0.98, 0.97, 0.96, 0.95)
"""Shares of F1 to keep, the strictest first: the first that the documents can decide is taken."""

TIMED = 100
LONGEST_RUN = 2 * 3600.0
"""Seconds; where a run would take longer, quality is judged on a sample."""
LEAST_SAMPLE = 2000
_STEP = 32
_NO_BOUND = 4096
"""Tokens to which documents are cut where neither model nor tokenizer names a bound."""
_SAMPLE = 1000


@dataclass(frozen=True)
class Proposal:
    """A configuration with its reasons.

    Attributes:
        values: parameter to value, in the order of the parameters.
        reasons: parameter to why it has this value; none where it was given.
        found: what was seen of model and data, a sentence each.
        decides: what a run of it can decide on this machine, a sentence each.
    """

    values: dict[str, Any]
    reasons: dict[str, str]
    found: list[str]
    decides: list[str]


def propose(given: Mapping[str, Any], say: Say) -> Proposal:
    """Look at model and data, time a few documents, and choose what is not given.

    Args:
        given: parameters that are to be kept; model and data among them.
        say: told what goes on.

    Raises:
        UserError: the input is wrong, or the documents can decide nothing; says how many it takes.
        RunFailed: the baseline could not be prepared or timed.
    """
    asked = make_parameters({"max_length": [3], **given})
    # As they are validated: the command line gives text.
    values = {name: value for name, value in asked.model_dump().items() if name in given}
    reasons: dict[str, str] = {}
    say("reading model and data")
    sources = _with_demo(asked, say)
    _choose_columns(values, reasons, sources, given)
    read = sources.model_copy(update={n: values[n] for n in ("text_column", "label_column")})
    loaded = read_model(read, read_data(read))
    tokens = _tokens(loaded)
    _choose_lengths(values, reasons, loaded, tokens)
    _choose_variants(values, reasons)
    _choose_timing(values, reasons, loaded)
    say("timing a few documents")
    plan = plan_alone(make_parameters(values), say)
    accuracy = plan.accuracy if plan.accuracy is not None else 1.0
    if plan.seconds is not None and plan.seconds > LONGEST_RUN and "limit" not in given:
        size = _sample_size(accuracy, len(values["variant"]) - 1)
        if size < loaded.documents.count:
            values["limit"] = size
            reasons["limit"] = (
                f"all {numbers.count(loaded.documents.count)} documents would take "
                f"{plan.seconds / 3600:.1f} hours; these are several times what the margin needs"
            )
            read = read.model_copy(update={"limit": size})
            loaded = read_model(read, read_data(read))
            plan = plan_alone(make_parameters(values), say)
    decides = [line for line in (*plan.lines, *plan.warnings) if not line.startswith("quality:")]
    if not asked.random_weights:
        decides.append(_choose_margin(values, reasons, loaded, accuracy))
    _choose_limits(values, reasons, plan.seconds)
    ordered = {name: values[name] for name in names() if name in values}
    make_parameters(ordered)
    return Proposal(ordered, reasons, _found(loaded, tokens, values), decides)


def _with_demo(asked: Parameters, say: Say) -> Parameters:
    """The same with the files of the embedded default, if it is asked for: making it trains a model."""
    if DEMO not in (asked.model, asked.data):
        return asked
    with MachineLock() as lock:
        lock.acquire("init", say, asked.max_wait)
        return with_demo(asked, lambda: make_demo(private_cache() / "demo"))


def _choose_columns(
    values: dict[str, Any], reasons: dict[str, str], sources: Parameters, given: Mapping[str, Any]
) -> None:
    frame = read_beginning(sources.data, sources.encoding, ROWS, sources.split)
    text, label = guess_columns(frame, sources.data, given.get("text_column"), given.get("label_column"))
    for name, column, what in (("text_column", text, "documents"), ("label_column", label, "labels")):
        values[name] = column
        if name not in given:
            others = ", ".join(str(c) for c in frame.columns if c != column)
            reasons[name] = f"what looks like {what}; the other columns are {others or 'none'}"


def _tokens(loaded: Loaded) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Tokens of some documents, as far as the model can read them [documents]."""
    path, count = loaded.documents.path, count_stored(loaded.documents.path)
    some = stored_texts(path, range(0, count, max(1, count // _SAMPLE)))
    source = loaded.checkpoint.source
    tokenizer = open_tokenizer(source.directory, source)
    longest = loaded.checkpoint.max_positions or _NO_BOUND
    return token_counts(tokenizer, some.first, longest, some.second)


def _choose_lengths(
    values: dict[str, Any], reasons: dict[str, str], loaded: Loaded, tokens: np.ndarray[Any, Any]
) -> None:
    if "max_length" in values:
        return
    most = loaded.checkpoint.max_positions or _NO_BOUND
    length = int(min(most, -(-int(np.quantile(tokens, 0.95)) // _STEP) * _STEP))
    cut = float(np.mean(tokens > length))
    values["max_length"] = [length]
    reasons["max_length"] = (
        f"{numbers.percent(1 - cut)} of the documents fit; each further length is measured as well, and "
        "takes as long again"
    )


def _choose_variants(values: dict[str, Any], reasons: dict[str, str]) -> None:
    if "variant" in values:
        return
    values["variant"] = list(default_values()["variant"])
    others = [
        name
        for name in registry.names()
        if name not in values["variant"]
        and not registry.missing_packages(variant := registry.get(name))
        and not variant.calibrates
    ]
    reasons["variant"] = (
        "the first is what the others are compared with; installed as well and in need of nothing: "
        f"{', '.join(others)}. More variants take more time and more documents"
    )


def _choose_timing(values: dict[str, Any], reasons: dict[str, str], loaded: Loaded) -> None:
    if "timing_documents" not in values and loaded.documents.count > TIMED:
        values["timing_documents"] = TIMED
        reasons["timing_documents"] = "enough for times; quality is judged once, on all documents"
    if "repeats" not in values:
        values["repeats"] = default_values()["repeats"]
        reasons["repeats"] = "the fewest that give an interval; more make it narrower"


def _sample_size(accuracy: float, variants: int) -> int:
    """Documents that decide the strictest margin even where some predictions change."""
    needed = smallest_quality_loss(1, accuracy, MARGINS[0], variants=max(variants, 1)).documents_needed
    return max(LEAST_SAMPLE, 4 * (needed or 0))


def _choose_margin(
    values: dict[str, Any], reasons: dict[str, str], loaded: Loaded, accuracy: float
) -> str:
    """Choose margin and the gate that goes with it; what the documents decide, in words.

    Raises:
        UserError: they decide no margin that is worth anything.
    """
    variants = len(values["variant"]) - 1

    def found(margin: float) -> Reach | None:
        return plan_quality(loaded.documents.path, margin, variants, accuracy) if variants else None

    asked = found(values.get("margin", MARGINS[0]))
    if asked is None:
        return "quality: nothing is compared"
    if "margin" not in values:
        fitting = [margin for margin in MARGINS if margin <= asked.bound]
        if not fitting:
            raise UserError(_too_few(str(values["data"]), asked, found(MARGINS[-1])))
        values["margin"] = fitting[0]
        reasons["margin"] = "the strictest of the usual ones that these documents can decide"
        if fitting[0] < MARGINS[0] and asked.documents_needed:
            reasons["margin"] += (
                f"; {MARGINS[0]:g} takes about {numbers.count(asked.documents_needed)} documents"
            )
    if "max_f1_drop" not in values:
        values["max_f1_drop"] = round(max(0.02, 2 * (1 - values["margin"])), 3)
        reasons["max_f1_drop"] = "what fails the run; looser than the margin, which the verdict goes by"
    decided = found(values["margin"])
    return "" if decided is None else quality_line(decided)


def _too_few(data: str, asked: Reach, least: Reach | None) -> str:
    """Why nothing is proposed, and how many documents it takes."""

    def wanted(reach: Reach | None) -> str:
        needed = None if reach is None else reach.documents_needed
        return "more than any file has" if needed is None else f"about {numbers.count(needed)}"

    return (
        f"data {data}: {numbers.count(asked.documents)} documents cannot decide whether a variant keeps "
        f"{MARGINS[-1]:g} of F1; it takes {wanted(least)}, and for {asked.margin:g} {wanted(asked)}. "
        "Give more labelled documents, or say which margin will do (--margin)"
    )


def _choose_limits(values: dict[str, Any], reasons: dict[str, str], seconds: float | None) -> None:
    if "min_speedup" not in values and len(values["variant"]) > 1:
        values["min_speedup"] = 1.0
        reasons["min_speedup"] = "a variant that is not shown to be faster fails the run"
    if "run_timeout" not in values and seconds is not None:
        values["run_timeout"] = 3600 * max(1, round(4 * seconds / 3600))
        reasons["run_timeout"] = "several times what it should take"


def _found(
    loaded: Loaded, tokens: np.ndarray[Any, np.dtype[np.int64]], values: Mapping[str, Any]
) -> list[str]:
    model, data = loaded.checkpoint, loaded.documents
    longest = "any number of" if model.max_positions is None else f"up to {model.max_positions}"
    counts = sorted(data.classes.items(), key=lambda pair: pair[1])
    shown = ", ".join(f"{name} {numbers.count(count)}" for name, count in counts[::-1][:10])
    if len(counts) > 10:
        shown += (
            f", and {len(counts) - 10} more; the rarest: {counts[0][0]} {numbers.count(counts[0][1])}"
        )
    half, most = (int(q) for q in np.quantile(tokens, [0.5, 0.95], method="higher"))
    cut = " or more" if int(tokens.max()) == model.max_positions else ""
    return [
        f"model: {model.architecture}, {numbers.count(model.parameters)} parameters, "
        f"{len(model.class_names)} classes, {longest} tokens",
        f"task: each document gets one of {len(model.class_names)} classes",
        f"data: {numbers.count(data.sampled_from or data.count)} documents; classes: {shown}",
        f"lengths: half of the documents have up to {half} tokens, 95 % up to {most}, "
        f"the longest {int(tokens.max())}{cut}",
    ]
