"""What a study found, in sentences; the report and the terminal say the same."""

from __future__ import annotations

from dataclasses import dataclass

from ptdq import numbers
from ptdq.sensitivity.find import Found


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
        margin: share of the float model's weighted F1 that must be kept.
    """

    model: str
    documents: str
    count: int
    test: str
    apart: bool
    max_length: int
    margin: float


def sentences(found: Found, subject: Subject) -> list[str]:
    """The choice, how sure it is, and what it gives up."""
    return [*_choice(found, subject), _sure(found, subject), _apart(subject), *_gain(found, subject)]


def _choice(found: Found, subject: Subject) -> list[str]:
    keeps = numbers.percent(found.everything["f1_ratio"], 2)
    margin = numbers.percent(subject.margin)
    first = (
        f"With everything quantized, int8-dynamic keeps {keeps} of float32's weighted F1 "
        f"({numbers.score(found.f1_weighted)}); the margin demands {margin}."
    )
    if not found.kept:
        return [first, "Nothing has to stay in float: ship int8-dynamic if a run says so."]
    if found.nothing_left:
        return [
            first,
            "All of it would have to stay in float: dynamic int8 is not for this model at this margin. "
            "One weight scale per channel may do better (--granularity per-channel).",
        ]
    modules = sum(len(row["modules"]) for row in found.rows if row["kept"])
    of_all = sum(len(row["modules"]) for row in found.rows)
    return [
        first,
        f"With {modules} of {of_all} modules in float it keeps "
        f"{numbers.percent(found.chosen['f1_ratio'], 2)}: {', '.join(found.kept)}.",
    ]


def _sure(found: Found, subject: Subject) -> str:
    return (
        f"These are point estimates on {numbers.count(subject.count)} documents. The one-sided 95 % "
        f"lower bound of what is kept is {numbers.percent(found.chosen['f1_ratio_low'], 2)}: on other "
        "documents a run may decide otherwise."
    )


def _apart(subject: Subject) -> str:
    if subject.apart:
        return (
            f"The choice was made on documents of {subject.documents}, none of which is in "
            f"{subject.test}: a run on {subject.test} puts it to the test."
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
