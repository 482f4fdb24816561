"""The report's opening: the verdict, what was asked, the gates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ptdq import numbers
from ptdq.inputs.shared import any_shared, shared_words
from ptdq.numbers import MISSING
from ptdq.problem.task import OF_CLASSES, WORDS
from ptdq.report.markdown import bullets, code, facts, paragraphs, prose, table, with_code
from ptdq.report.sections.page import Page, cell_name
from ptdq.statistics.duplicates import Shared

SYNTHETIC = (
    "**The corpus is synthetic**: its text was generated for this project. It shows that the "
    "measurement works; it does not tell how a variant does on real documents."
)
RANDOM = (
    "**Quality is not claimed**: the weights of the model are random, so what it predicts means "
    "nothing. Latency and size depend on the shape alone and are reported."
)


CAPPED = (
    "**Times are of a capped CPU**: runtimes were kept to {isa} at most (`--isa`). They stand for a CPU "
    "without newer instructions as far as answers and sizes go; how fast such a CPU is they do not tell."
)


def verdict(page: Page) -> str:
    """Title and verdict: what a reader in a hurry needs."""
    run = page.run
    decided = run.get("verdict", default={})
    variant = decided.get("variant")
    which = f" {code(variant)}" if variant else ""
    headline = decided.get("headline")
    return paragraphs(
        f"# Quantization benchmark {code(run.files.run_id)}",
        f"## Verdict: {prose(run.decision)}{which}",
        f"**{prose(headline)}**" if headline else "",
        bullets(prose(reason) for reason in decided.get("reasons") or []),
        CAPPED.format(isa=code(isa)) if (isa := run.get("parameters", "isa")) else "",
        SYNTHETIC if run.get("data", "synthetic") else "",
        RANDOM if run.random_weights else "",
        _failures(page),
    )


def _failures(page: Page) -> str:
    """Failed cells: what they would have said is missing from every figure below."""
    run = page.run
    lines = []
    for cell in run.failed:
        cell_id = run.cell_id(cell)
        log = run.files.logs / f"{cell_id}.log"
        where = f"; log: {page.file(log)}" if cell_id and log.is_file() else ""
        lines.append(f"{cell_name(cell)}: {prose(cell['error'], 300) or 'no reason given'}{where}")
    if not lines:
        return ""
    return paragraphs("**Failed**, and missing from every figure below:", bullets(lines))


def question(page: Page) -> str:
    """What was asked: model, data, variants, design."""
    get = page.run.get
    rows = [
        ("model", _model(page)),
        ("task", _task(page)),
        ("data", _data(page)),
        ("counted as", _counted_as(page)),
        ("timed on", _timed_on(page)),
        ("variants", _list(get("parameters", "variant"))),
        ("maximum lengths", _list(get("parameters", "max_length"))),
        ("truncated", _truncated(page)),
        ("rounds (repeats)", _value(page.run.record.design.rounds or get("parameters", "repeats"))),
        ("width of the intervals", prose(get("width", default=""))),
        ("batch size", _value(get("parameters", "batch_size"))),
        ("isolation", _value(get("design", "isolation") or get("parameters", "isolation"))),
        ("seed", _value(get("parameters", "seed"))),
        (_margin_of(page), _value(get("parameters", "margin")) if page.run.quality else ""),
        ("calibration", _calibration(page)),
    ]
    rows += [("not run", text) for text in _not_run(page)]
    rows += [("design", prose(note)) for note in get("design", "notes", default=[])]
    return paragraphs("## What was asked", facts(rows))


def _model(page: Page) -> str:
    model = page.run.get("model", default={})
    count = model.get("parameters")
    parts = [
        code(model.get("name") or page.run.get("parameters", "model", default="unknown"), 120),
        f"revision {code(model['revision'])}" if model.get("revision") else "",
        code(model.get("architecture") or ""),
        f"{numbers.count(count)} parameters" if isinstance(count, int) else "",
        "random weights" if page.run.random_weights else "",
        f"hash {code(model['digest'][:16])}" if model.get("digest") else "",
    ]
    return ", ".join(part for part in parts if part)


def _margin_of(page: Page) -> str:
    return "margin of F1" if page.run.task in OF_CLASSES else "margin of quality"


def _task(page: Page) -> str:
    """What the model answers, and how that is known."""
    model, run = page.run.record.model, page.run
    if model.task is None:
        return ""
    why = f" ({prose(model.task_why)})" if model.task_why else ""
    threshold = run.get("parameters", "threshold")
    cut = f", threshold {code(threshold)}" if run.task in ("binary", "multi-label") else ""
    return f"{prose(WORDS[run.task])}{why}{cut}"


def _data(page: Page) -> str:
    data = page.run.get("data", default={})
    documents, whole = data.get("documents"), data.get("sampled_from")
    kind = "pairs of texts" if data.get("pairs") else "documents"
    size = f"{numbers.count(documents)} {kind}" if documents is not None else ""
    if queries := data.get("queries"):
        size += f", candidates of {numbers.count(queries)} queries"
    if whole:
        size += f", a stratified sample of {numbers.count(whole)}"
    if data.get("lines"):
        size += f", from a file of {numbers.count(data['lines'])} lines"
    classes = ", ".join(f"{code(name)} {n}" for name, n in (data.get("classes") or {}).items())
    parts = [
        code(data.get("path") or page.run.get("parameters", "data", default="unknown"), 120),
        size,
        *map(prose, data.get("notes") or []),
        "synthetic" if data.get("synthetic") else "",
        f"hash {code(data['digest'][:16])}" if data.get("digest") else "",
        f"classes: {classes}" if classes else "",
    ]
    return ", ".join(part for part in parts if part)


def _counted_as(page: Page) -> str:
    """Of how many documents the intervals are, where some belong together."""
    data, column = page.run.record.data, page.run.get("parameters", "group_column")
    texts, groups = data.texts, data.groups
    parts = []
    if groups is not None:
        parts.append(
            f"{numbers.count(groups)} groups of documents that belong together ({code(column)}): each "
            "counts as one in every interval and test"
        )
    if texts is not None and texts < (data.documents or 0):
        alone = "" if groups is not None else ": copies count as one in every interval and test"
        parts.append(f"{numbers.count(texts)} different texts{alone}")
    return "; ".join(parts)


def _calibration(page: Page) -> str:
    """What static variants calibrate on, and what of it is in the test set."""
    origin, facts = prose(page.run.get("calibration", default="")), page.run.record.data.shared
    if facts is None:
        return origin
    shared = Shared(**facts.model_dump())
    words = prose(shared_words(shared))
    return f"{origin}; **{words}**" if any_shared(shared) else f"{origin}; {words}"


def _timed_on(page: Page) -> str:
    """On how many documents, where those are not all."""
    few, all_of_them = page.run.get("parameters", "timing_documents"), page.run.record.data.documents
    if few is None or all_of_them is None or few >= all_of_them:
        return ""
    quality = f"; quality on all {numbers.count(all_of_them)}" if page.run.record.design.quality else ""
    return (
        f"{numbers.count(few)} of {numbers.count(all_of_them)} documents, chosen over their lengths in "
        f"tokens{quality}"
    )


def _truncated(page: Page) -> str:
    """How many documents were cut at each length: above all of them, length says little."""
    rows = page.run.answered
    shares: dict[int, float] = {}
    if rows is None:
        return ""
    for cell in rows.cells:
        if cell.max_length not in shares:  # all cells of a length have the same documents
            cut = rows.read(cell, ["truncated"])["truncated"].to_numpy()
            shares[cell.max_length] = float(cut.mean())
    return ", ".join(
        f"{numbers.percent(shares[length])} of documents at {length}"
        for length in page.run.lengths
        if length in shares
    )


def _not_run(page: Page) -> list[str]:
    """Variants asked for that left nothing, with the reason where there is one."""
    asked = page.run.get("parameters", "variant", default=[])
    skipped = page.run.get("skipped", default={})
    missing = [name for name in asked if name not in page.run.variants and name != "all"]
    return [
        f"{code(name)}: {with_code(skipped[name])}" if name in skipped else code(name)
        for name in dict.fromkeys([*missing, *skipped])
    ]


def gates(page: Page) -> str:
    """The gates, decided on the interval's bound; nothing where none was set."""
    decided = page.run.get("gates", default=[])
    if not decided:
        return ""
    results = {True: "passed", False: "**failed**", None: "not decided"}
    rows = [
        [
            code(gate.get("name", "")),
            code(gate.get("variant", "")),
            _number(gate.get("threshold")),
            _number(gate.get("value")),
            _number(gate.get("bound")),
            results.get(gate.get("passed"), "not decided"),
            prose(gate.get("text") or ""),
        ]
        for gate in decided
    ]
    headings = ["gate", "variant", "threshold", "measured", "bound that decides", "result", "in words"]
    return paragraphs(
        "## Gates",
        table(headings, rows, left=(0, 1, 5, 6)),
        "The run fails only where no variant passes all of its gates.",
    )


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return MISSING if value is None else prose(value)
    return f"{value:.4g}" if abs(value) < 1000 else numbers.count(value)


def _value(value: Any) -> str:
    return "" if value is None else code(value)


def _list(values: Iterable[Any] | None) -> str:
    return ", ".join(code(value) for value in values or [])
