"""Is a variant faster, by how much, how sure is that: interval, neighbours, length."""

from __future__ import annotations

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.analysis.tables import NeighbourRow
from ptdq.problem.task import OF_CLASSES
from ptdq.report import columns
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import bullets, code, paragraphs, prose, table
from ptdq.report.sections.page import Page
from ptdq.store.rows import BucketRow, ComparisonRow
from ptdq.store.run import Run, parsed

_SIGNIFICANT = 0.05


def comparison(page: Page) -> str:
    """Speed-up with interval; quality with its tests."""
    rows = tables.against_baseline(page.run)
    if not rows:
        return ""
    others = len(tables.comparisons(page.run)) - len(rows)
    file = page.file(page.run.files.table("comparisons"))
    return paragraphs(
        f"## Comparison with {code(page.run.baseline)}",
        to_markdown(columns.speedups(), rows),
        "Speed-up: time of the baseline over time of the variant. Per document: the mean with "
        "tokenization, which decides; the median and p95 are of the forward pass. They come from one fit "
        "of all variants, with the rounds' and the cores' own speed taken out, so they differ a little "
        "from ratios of the table of figures. "
        "The 95 % interval takes rounds and documents as a sample of those that could have been. "
        "Faster or slower is corrected for the number of comparisons; the same: proven to be within "
        + numbers.percent(tables.min_effect(page.run), 1)
        + " of the baseline.",
        _narrower(page, rows),
        page.plot("ratios", "Speed-up of each round, with its 95 % interval"),
        _tail(rows),
        f"{others} comparisons between the other variants are in {file}." if others else "",
        _quality(page, rows),
    )


_TAIL: list[Column[ComparisonRow]] = [
    columns.VARIANT,
    columns.LENGTH,
    Column("p95 ms", lambda r: numbers.ms(r["p95_ms"])),
    Column("at most, with 95 %", lambda r: _bound(r)),
]


def _bound(row: ComparisonRow) -> str:
    if row["p95_ms_bound"] is None:
        return f"no bound: {row['p95_ms_refused'] or 'too few data'}"
    return numbers.ms(row["p95_ms_bound"])


def _tail(rows: list[ComparisonRow]) -> str:
    """The 95th percentile with its bound; runs of schema version 1 have none."""
    if all(row["p95_ms"] is None for row in rows):
        return ""
    return paragraphs(
        "### The tail",
        to_markdown(_TAIL, rows),
        "95th percentile of the forward pass, and an upper bound of it for documents and rounds that "
        "could have been; a gate on p95 is decided on the bound.",
    )


def _narrower(page: Page, rows: list[ComparisonRow]) -> str:
    """What more rounds can do where one can't tell, and what they can't."""
    unsure = [row for row in rows if row["total_verdict"] == "can't tell" and not row["confounded"]]
    if not unsure:
        return ""
    width = tables.min_effect(page.run)
    command = f"ptdq run --extend {page.run.files.run_id} --target-width {width:g}"
    return (
        f"Where one can't tell, {code(command)} adds rounds until the interval is that narrow. Nobody "
        "knows before what it will hold then."
    )


def _quality(page: Page, rows: list[ComparisonRow]) -> str:
    if not page.run.quality:
        return ""
    margin = page.run.get("parameters", "margin")
    if page.run.task not in OF_CLASSES:
        return paragraphs(
            "### Quality",
            to_markdown(columns.differences(page.run), rows),
            "Variant minus baseline on the same documents, with its 95 % interval; kept: the one over "
            "the other, with the one-sided bound that decides non-inferiority"
            + (f" at the margin {code(margin)}." if margin is not None else "."),
            bullets(line for row in rows for line in _classes(page.run, row)),
        )
    return paragraphs(
        "### Quality",
        to_markdown(columns.differences(page.run), rows),
        "F1: weighted, variant minus baseline, with its 95 % interval; F1 kept: the one over the "
        "other, with the one-sided 95 % lower bound that decides non-inferiority"
        + (f" at the margin {code(margin)}" if margin is not None else "")
        + ". McNemar: exact, two-sided. Agreement: documents with the same prediction.",
        table(
            [
                "variant",
                "max length",
                "right in the variant only",
                "right in the baseline only",
                "kappa",
                "largest logit difference",
                "accuracy difference, 95 % interval",
                "macro F1 difference, 95 % interval",
            ],
            [_quality_row(row) for row in rows],
        ),
        bullets(line for row in rows for line in _classes(page.run, row)),
    )


def _quality_row(row: ComparisonRow) -> list[str]:
    largest = row["largest_logit_difference"]
    cells = [
        code(row["variant"]),
        str(row["max_length"]),
        numbers.count(row["discordant_better"]),
        numbers.count(row["discordant_worse"]),
        numbers.score(row["kappa"]),
        numbers.MISSING if largest is None else f"{largest:.3g}",
    ]
    for change, low, high in (
        (
            row["accuracy_difference"],
            row["accuracy_difference_low"],
            row["accuracy_difference_high"],
        ),
        (
            row["f1_macro_difference"],
            row["f1_macro_difference_low"],
            row["f1_macro_difference_high"],
        ),
    ):
        bounds = numbers.interval(low, high, digits=4, sign=True)
        cells.append(f"{numbers.change(change)} {bounds}")
    return cells


def _classes(run: Run, row: ComparisonRow) -> list[str]:
    """Classes whose recall changed beyond chance, after correction for how many were looked at."""
    return [
        f"{code(row['variant'])}, length {row['max_length']}: recall of "
        f"{code(run.class_name(change['label']))} changed by "
        f"{numbers.change(change['variant'] - change['baseline'])} "
        f"(Holm-corrected p {numbers.probability(change['p_holm'])})"
        for change in parsed(row["class_changes"]) or []
        if change["p_holm"] < _SIGNIFICANT
    ]


_INTERFERENCE: list[Column[NeighbourRow]] = [
    columns.VARIANT,
    columns.LENGTH,
    Column("documents", lambda r: numbers.count(r["documents"])),
    Column("neighbour idle ms", lambda r: numbers.ms(r["solo_p50_ms"])),
    Column("neighbour busy ms", lambda r: numbers.ms(r["parallel_p50_ms"])),
    Column("slow-down", lambda r: numbers.ratio(r["slowdown"])),
    Column("speed-up, idle", lambda r: numbers.ratio(r["speedup_solo"])),
    Column("speed-up, busy", lambda r: numbers.ratio(r["speedup_parallel"])),
]


def interference(page: Page) -> str:
    """What the other cores' work does to the timings."""
    rows = tables.interference(page.run)
    if not rows:
        return ""
    isolation = page.run.get("design", "isolation") or page.run.get("parameters", "isolation")
    which = f" This run's isolation: {prose(isolation)}." if isolation else ""
    return paragraphs(
        "## Interference",
        to_markdown(_INTERFERENCE, rows),
        "Median forward latency of the same documents on the same core, with the other cores idle "
        "(one round) and busy (every round on that core), and the ratios of these medians: one round, "
        f"{numbers.count(rows[0]['documents'])} documents, an indication and not an estimate. A "
        "slow-down above 1 is the price of sharing caches and memory; where it differs between "
        f"variants, so does the speed-up that a user will see.{which}",
    )


_BUCKETS: list[Column[BucketRow]] = [
    columns.VARIANT,
    Column("against", lambda r: r["baseline"], data=True),
    columns.LENGTH,
    Column("tokens", lambda r: f"{r['tokens_from']} to {r['tokens_to']}"),
    Column("documents", lambda r: numbers.count(r["documents"])),
    Column("speed-up of median", lambda r: numbers.ratio(r["speedup"])),
    Column("95 % interval", lambda r: _bucket_interval(r)),
    Column("verdict", lambda r: r["latency_verdict"] or numbers.MISSING, words=True),
]


def _bucket_interval(row: BucketRow) -> str:
    ends = row["speedup_low"], row["speedup_high"]
    return columns.ratio_interval(row["speedup"], ends, row["speedup_refused"])


def buckets(page: Page) -> str:
    """Speed-up by length of the documents: a mean hides that the gain depends on it."""
    order = {name: place for place, name in enumerate(page.run.variants)}
    rows = sorted(
        page.run.rows(BucketRow),
        key=lambda r: (order.get(r["variant"], 0), r["max_length"], r["tokens_from"]),
    )
    if not rows:
        return ""
    return paragraphs("## By token count", to_markdown(_BUCKETS, rows))
