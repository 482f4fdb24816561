"""What a study found, in sentences; the report and the terminal say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ptdq import numbers
from ptdq.inputs.shared import shared_words
from ptdq.problem.task import SINGLE, Task, main_measure, words_of
from ptdq.sensitivity.find import Found
from ptdq.statistics.duplicates import Shared


@dataclass(frozen=True)
class Subject:
    """What was studied.

    Attributes:
        model: as it was named.
        documents: file of the documents that the choice was made on.
        count: number of them.
        test: file that runs report on.
        apart: whether the documents of the choice are others than those that runs report on.
        max_length: tokens.
        margin: share of the float model's measures that must be kept.
        task: what the model answers.
        shared: what the documents of the choice and those of runs have in common, fields of
            :class:`ptdq.statistics.duplicates.Shared`; None where they are the same file.
    """

    model: str
    documents: str
    count: int
    test: str
    apart: bool
    max_length: int
    margin: float
    task: Task = SINGLE
    shared: dict[str, int] | None = None


def sentences(found: Found, subject: Subject) -> list[str]:
    """The choice, how sure it is, and what it gives up."""
    return [*_choice(found, subject), _sure(found, subject), _apart(subject), *_gain(found, subject)]


def _choice(found: Found, subject: Subject) -> list[str]:
    margin = numbers.percent(subject.margin)
    first = (
        f"With everything quantized, int8-dynamic {_kept(found.everything)}; the margin demands {margin} "
        f"of {_all(found.everything)} (float32's {words_of(subject.task, main_measure(subject.task))} is "
        f"{numbers.score(found.main)})."
    )
    if not found.enough:
        return [first, _too_few(found, subject)]
    if not found.kept:
        return [first, "Nothing has to stay in float: ship int8-dynamic if a run says so."]
    if found.nothing_left:
        return [
            first,
            "All of it would have to stay in float: dynamic int8 is not for this model at this margin. "
            "One weight scale per channel may do better (--granularity per-channel)."
            f"{_would_decide(found.everything)}",
        ]
    modules = sum(len(row["modules"]) for row in found.rows if row["kept"])
    of_all = sum(len(row["modules"]) for row in found.rows)
    return [
        first,
        f"With {modules} of {of_all} modules in float it {_kept(found.chosen)}: {', '.join(found.kept)}."
        f"{_would_decide(found.everything)}",
    ]


def _kept(outcome: dict[str, Any]) -> str:
    """Shares of the measures with their bounds."""
    shares = [
        f"{numbers.percent(ratio, 2)} of {whose} {words} (at least {numbers.percent(low, 2)})"
        for (words, ratio, low), whose in zip(outcome["shares"], ("float32's", "its"), strict=False)
    ]
    return f"keeps {' and '.join(shares)}"


def _all(outcome: dict[str, Any]) -> str:
    return "both, at least" if len(outcome["shares"]) == 2 else "it, at least"


def _too_few(found: Found, subject: Subject) -> str:
    what = "queries" if subject.task == "rerank" else "documents"
    least = min(low for *_, low in found.nothing_lost["shares"])
    needed = found.nothing_lost["documents_needed"]
    wanted = "more documents than there can be" if needed is None else f"about {numbers.count(needed)}"
    return (
        f"Nothing was chosen: {numbers.count(found.groups)} {what} are too few to decide. Even if no "
        f"prediction changed, they would show {numbers.percent(least, 2)} and no more; it takes {wanted} "
        "(--limit), or a wider --margin. The order of the modules stands."
    )


def _would_decide(outcome: dict[str, Any]) -> str:
    """What it would take to know of int8-dynamic, which was given up for want of documents alone."""
    needed = outcome["documents_needed"]
    if outcome["non_inferiority"] != "undecided" or needed is None:
        return ""
    return (
        f" It is not shown that int8-dynamic loses more than the margin allows: about "
        f"{numbers.count(needed)} documents would decide it."
    )


def _sure(found: Found, subject: Subject) -> str:
    documents = f"{numbers.count(subject.count)} documents"
    if found.groups < subject.count:
        documents += f" (those that belong together, and copies, count as {numbers.count(found.groups)})"
    return (
        f"The choice goes by the lower bound on {documents}, as a run's verdict does. It was picked from "
        f"{numbers.count(found.tried)} sets on these documents, which flatters it a little: a run on "
        "others decides."
    )


def _apart(subject: Subject) -> str:
    if subject.apart:
        near = ""
        if subject.shared is not None:
            near = f" Of those, {shared_words(Shared(**subject.shared), 'its')}."
        return (
            f"The choice was made on documents of {subject.documents}, none of which is in "
            f"{subject.test}: a run on {subject.test} puts it to the test.{near}"
        )
    return (
        f"The choice was made on documents of {subject.test} itself: a run on the same file reports on "
        "documents that the choice has seen, which flatters int8-dynamic-mixed. Give other labelled "
        "documents for the choice with --calibration-data."
    )


def _gain(found: Found, subject: Subject) -> list[str]:
    gains = [(row["gain_ms"], row["kept"]) for row in found.rows if row["gain_ms"] is not None]
    if not gains:
        return []
    total = sum(gain for gain, _ in gains)
    lost = sum(gain for gain, kept in gains if kept)
    given_up = f"; those kept in float give up {numbers.ms(lost)} ms of that" if found.kept else ""
    said = [
        f"In a forward pass of {subject.max_length} tokens the modules, each alone, gain "
        f"{numbers.ms(total)} ms in int8{given_up}. Alone, a module finds its weights in the cache, "
        "which in the whole model it may not: a run measures the whole."
    ]
    slower = [r["name"] for r in found.rows if (high := r["gain_high_ms"]) is not None and high < 0]
    if slower:
        said.append(f"Slower in int8, so that --keep-float costs no time: {', '.join(slower)}.")
    return said
