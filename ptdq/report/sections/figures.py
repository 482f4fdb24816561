"""The figures themselves: latency, throughput, quality, size, the reference experiment's table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from statistics import fmean

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.analysis.tables import ReferenceRow, SideBySideRow, SizeRow
from ptdq.problem.task import OF_CLASSES
from ptdq.report import columns
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import bullets, code, paragraphs, prose, table
from ptdq.report.sections.page import Page
from ptdq.store.rows import VariantRow
from ptdq.store.run import parsed

_ABREAST = 3  # variants in one table of the reference's kind


def figures(page: Page) -> str:
    """One row a variant and length, and how the latencies spread."""
    run = page.run
    rows = tables.figures(run)
    if not rows:
        return ""
    batch = run.get("parameters", "batch_size", default=1)
    unit = "document" if batch == 1 else f"batch of {prose(batch)}"
    note = (
        f"Latency of one {unit}. Total: forward pass and tokenization, the mean; median and p95: forward "
        "pass, the median over the rounds. Warm-up is left out. MB of 1e6 bytes."
    )
    return paragraphs(
        "## Figures",
        to_markdown(columns.figures(run), rows),
        note,
        page.plot("latency", "Forward latency by variant and maximum length"),
        page.plot("tokens", "Forward latency against token count"),
    )


def reference(page: Page) -> str:
    """The reference experiment's table, with its means, for whatever variants there are."""
    run = page.run
    rows = tables.reference(run)
    if not rows:
        return ""
    others = [v for v in run.measured_variants if v != run.baseline]
    first = [run.baseline] if run.baseline in run.measured_variants else []
    groups = [others[i : i + _ABREAST - 1] for i in range(0, len(others), _ABREAST - 1)] or [[]]
    kept = "and weighted F1 " if run.quality else ""
    return paragraphs(
        "## The reference experiment's table",
        f"Mean latency of a call in ms, tokenization included, {kept}of each repeat. These are "
        "its measures: no interval, and disturbed by everything that the comparison above "
        "guards against.",
        *(_reference_table(page, rows, [*first, *group]) for group in groups),
        _mean_speedups(rows, first, others),
    )


def _reference_table(page: Page, rows: list[ReferenceRow], variants: list[str]) -> str:
    shown: list[tuple[str, Callable[[ReferenceRow, str], float | None], Callable[..., str]]] = [
        ("mean ms", lambda row, variant: row.mean_ms.get(variant), numbers.ms)
    ]
    if page.run.quality:
        shown.append(("weighted F1", lambda row, variant: row.f1.get(variant), numbers.score))
    headings = [f"{code(v)} {name}" for v in variants for name, _, _ in shown]
    lines = [
        [str(row.max_length), str(row.repeat)]
        + [text(value(row, v)) for v in variants for _, value, text in shown]
        for row in rows
    ]
    for length in dict.fromkeys(row.max_length for row in rows):
        at_length = [row for row in rows if row.max_length == length]
        lines.append(
            [str(length), "mean"]
            + [
                text(_mean(value(row, v) for row in at_length))
                for v in variants
                for _, value, text in shown
            ]
        )
    return table(["length", "repeat", *headings], lines, left=())


def _mean_speedups(rows: list[ReferenceRow], first: list[str], others: list[str]) -> str:
    """The mean of the rows' ratios, as the reference experiment concludes."""
    said = []
    for variant in others if first else []:
        pairs = [(row.mean_ms.get(first[0]), row.mean_ms.get(variant)) for row in rows]
        ratios = [base / compared for base, compared in pairs if base and compared]
        if ratios:
            said.append(f"{code(variant)} {numbers.ratio(fmean(ratios))}")
    return f"Mean speed-up over all rows: {', '.join(said)}." if said else ""


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


_SIZES: list[Column[SizeRow]] = [
    columns.VARIANT,
    Column("artifact MB", lambda r: numbers.megabytes(r["artifact_mb"])),
    Column("of baseline", lambda r: numbers.score(r["artifact_share"])),
    Column("state dict MB", lambda r: numbers.megabytes(r["state_dict_mb"])),
    Column("of baseline", lambda r: numbers.score(r["state_dict_share"])),
    Column("preparation s", lambda r: numbers.seconds(r["prepare_seconds"])),
    Column("engine", lambda r: r["engine"] or numbers.MISSING, words=True),
]
_INSTRUCTIONS: Column[SizeRow] = Column(
    "products use", lambda r: r["instruction_set"] or numbers.MISSING, words=True
)


_TOLD = (
    " Products use: the instruction sets of the matrix products, as the runtime says in a call; by the "
    "CPU: where it says nothing, what it chooses by the CPU."
)


def sizes(page: Page) -> str:
    """Sizes by both measures, and what was converted."""
    rows = tables.sizes(page.run)
    if not rows:
        return ""
    told = any(row["instruction_set"] for row in rows)  # earlier versions did not ask
    return paragraphs(
        "## Sizes",
        to_markdown([*_SIZES, _INSTRUCTIONS] if told else _SIZES, rows),
        "Artifact: the files that a variant is loaded from, proven to give the same logits after "
        "a reload. State dict: `torch.save(state_dict())`, the reference experiment's measure. "
        "MB of 1e6 bytes." + (_TOLD if told else ""),
        bullets(_converted(row) for row in page.run.rows(VariantRow)),
    )


def _converted(row: VariantRow) -> str:
    converted = row["converted"]
    parts = [f"{_kinds(converted)} converted" if converted else "no module converted"]
    if row["kept_float"]:
        parts.append(f"{_kinds(row['kept_float'])} float")
    details = parsed(row["details"])
    notes = details.get("notes") if isinstance(details, dict) else None
    said = [notes] if isinstance(notes, str) else list(notes or [])
    return f"{code(row['variant'])}: " + "; ".join([*parts, *(prose(note, 300) for note in said)])


def _kinds(names: list[str]) -> str:
    """Modules by kind: numbers in their names become a star, and equals are counted."""
    counts = Counter(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names)
    shown = [f"{code(kind)} ×{n}" if n > 1 else code(kind) for kind, n in counts.most_common(12)]
    rest = len(counts) - len(shown)
    more = f" and {rest} more kinds" if rest > 0 else ""
    return f"{len(names)} modules ({', '.join(shown)}{more})"


def pareto(page: Page) -> str:
    """Which variants no other beats: with three or more."""
    run = page.run
    if len(run.measured_variants) < 3:
        return ""
    quality: list[Column[SideBySideRow]] = [
        Column(columns.main_words(run), lambda r: numbers.score(tables.score(r)))
    ]
    shown: list[Column[SideBySideRow]] = [
        columns.VARIANT,
        columns.LENGTH,
        Column("mean total ms", lambda r: numbers.ms(r["total_mean_ms"])),
        Column("speed-up", lambda r: numbers.ratio(r["times_baseline"])),
        Column("of the fastest", lambda r: numbers.ratio(r["times_fastest"])),
        *(quality if run.quality else []),
        Column("artifact MB", lambda r: numbers.megabytes(r["artifact_mb"])),
        Column("unbeaten", lambda r: "yes" if r["unbeaten"] else "no", words=True),
    ]
    documents = max((cell["documents"] or 0 for cell in run.judged), default=0)
    what = f"latency and {columns.main_words(run)}" if run.quality else "latency and size"
    note = (
        f"Unbeaten, and on the dashed line: no other variant is better in both {what}. Ratios "
        "of the times above, tokenization included, without an interval: the comparison has those."
    )
    if run.quality and documents and run.task in OF_CLASSES:
        note += f" One of the {documents} documents is worth about {1 / documents:.4f} of F1."
    return paragraphs(
        "## The variants side by side",
        to_markdown(shown, tables.side_by_side(run)),
        note,
        page.plot("pareto", f"Time per document against {what.removeprefix('latency and ')}"),
    )
