"""The report of a matrix: which machine is how fast with which variant. From its table alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import geometric_mean
from typing import Annotated, TypedDict

from ptdq import numbers as n
from ptdq.analysis.verdict import acceptable
from ptdq.report.markdown import bullets, code, paragraphs, prose, table
from ptdq.store.rows_beyond import MatrixRow

HOUR = 3600
SEVERAL = "several CPUs"


class MachineRow(TypedDict):
    """One machine over all its runs."""

    machine: Annotated[str, "deployment that the runs were given to; a kind of machine"]
    cpu: Annotated[str | None, "the CPU's name as its maker gives it; or several of them"]
    cores: Annotated[int | None, "cores that the runs used, one cell on each"]
    cores_usable: Annotated[int | None, "cores that they could have used"]
    flags: Annotated[list[str] | None, "the CPU's flags that matter for quantized inference"]
    runs: Annotated[int, "runs that the machine was given"]
    failed: Annotated[int, "those of them that failed"]
    compared: Annotated[int, "models and lengths that the rates are over"]
    variants: Annotated[
        list[str], "the fastest variants that are non-inferior, their timings not confounded"
    ]
    documents_per_second_core: Annotated[float | None, "documents per second of one core"]
    documents_per_second: Annotated[float | None, "the same of all cores that were busy at once"]
    price: Annotated[float | None, "of an hour of the machine"]
    documents_per_price: Annotated[float | None, "documents for one unit of the price"]


def machine_rows(rows: Sequence[MatrixRow], price: Mapping[str, float] | None = None) -> list[MachineRow]:
    """One row for each machine, the fastest first; those without figures last.

    A rate is the geometric mean over the models and lengths that every machine with figures has
    finished, each with its fastest variant that is non-inferior and not confounded, or the baseline: else
    a machine would gain by failing at the large models, or by what nobody knows to be good enough. A
    machine whose runs found several CPUs has no rates: they would be those of no CPU.

    Args:
        rows: of the table ``matrix``.
        price: of an hour of each machine, in any currency.
    """
    by_machine = _by_machine(rows)
    best = {name: _best(own) if len(_kinds(own)) == 1 else {} for name, own in by_machine.items()}
    finished = [set(places) for places in best.values() if places]
    shared = set.intersection(*finished) if finished else set()
    summary: list[MachineRow] = []
    for name, own in by_machine.items():
        chosen = [best[name][place] for place in sorted(shared) if place in best[name]]
        rates = [row["documents_per_second"] or 0.0 for row in chosen]
        rate = geometric_mean(rates) if rates else None
        facts = _facts(own)
        together = (facts.get("cores") or 1) if facts.get("isolation") == "parallel" else 1
        whole = rate * together if rate else None
        cost = (price or {}).get(name)
        summary.append(
            {
                "machine": name,
                "cpu": facts.get("cpu"),
                "cores": facts.get("cores"),
                "cores_usable": facts.get("cores_usable"),
                "flags": facts.get("flags"),
                "runs": len({row["run_id"] for row in own}),
                "failed": len({row["run_id"] for row in own if row["status"] != "ok"}),
                "compared": len(chosen),
                "variants": sorted({str(row["variant"]) for row in chosen}),
                "documents_per_second_core": rate,
                "documents_per_second": whole,
                "price": cost,
                "documents_per_price": whole * HOUR / cost if whole and cost else None,
            }
        )
    if price:
        return sorted(summary, key=lambda row: -(row["documents_per_price"] or 0.0))
    return sorted(summary, key=lambda row: -(row["documents_per_second"] or 0.0))


def _kinds(rows: Sequence[MatrixRow]) -> list[tuple[str, int]]:
    """Each CPU with its number of cores that the runs of a machine have found."""
    return sorted({(row["cpu"], row["cores_usable"] or 0) for row in rows if row["cpu"]})


def _facts(rows: Sequence[MatrixRow]) -> MatrixRow:
    """What the machine is; of several kinds, their names alone."""
    kinds = _kinds(rows)
    if len(kinds) > 1:
        return {"cpu": f"{SEVERAL}: " + "; ".join(f"{cpu}, {cores} cores" for cpu, cores in kinds)}
    return next((row for row in rows if row["cpu"]), MatrixRow())


def document(matrix_id: str, rows: Sequence[MatrixRow], price: Mapping[str, float] | None = None) -> str:
    """The whole report as Markdown."""
    machines = machine_rows(rows, price)
    return (
        paragraphs(
            f"# Matrix {code(matrix_id)}",
            _answer(machines),
            "## Machines",
            _machines(machines, bool(price)),
            _mixed(machines),
            _undecided(rows),
            "Rates are geometric means over the models and lengths that every machine has finished, each "
            "with its fastest variant that is non-inferior and whose timings can be compared; where "
            "there is none, that is the baseline. The machine's rate is that of a core "
            "times the cores that were measured on side by side. Within a machine, speed-ups have "
            "intervals; between machines there are none: each was measured in one run for each model and "
            "length.",
            "## Figures",
            _figures(rows),
            _failures(rows),
        )
        + "\n"
    )


def _answer(machines: Sequence[MachineRow]) -> str:
    known = [row for row in machines if row["documents_per_second"]]
    if not known:
        return "**No machine has figures.**"
    first, *others = known
    text = f"**{code(first['machine'])} ({prose(first['cpu'])})**: {_rate(first)}"
    if others:
        second = others[0]
        what = "documents per second"
        ratio = (first["documents_per_second"] or 0.0) / (second["documents_per_second"] or 1.0)
        if first["documents_per_price"] and second["documents_per_price"]:
            what = "documents for the money"
            ratio = first["documents_per_price"] / second["documents_per_price"]
        text += f", {ratio:.2f} times the {what} of {code(second['machine'])}"
    return text + "."


def _mixed(machines: Sequence[MachineRow]) -> str:
    names = [code(row["machine"]) for row in machines if str(row["cpu"]).startswith(SEVERAL)]
    if not names:
        return ""
    return (
        f"No rates for {', '.join(names)}: the runs found {SEVERAL}, so the workers of the pool are not "
        "of one kind. Give each kind a pool and a deployment of its own."
    )


def _undecided(rows: Sequence[MatrixRow]) -> str:
    """Variants that are faster than the one picked, if it were known that they may be: can't tell."""
    lines = []
    for machine, own in _by_machine(rows).items():
        best = _best(own)
        for row in own:
            place, rate = (row["model"], row["max_length"]), row["documents_per_second"]
            picked = best.get(place)
            slower = picked is not None and (rate or 0.0) <= (picked["documents_per_second"] or 0.0)
            if not rate or slower or acceptable(row) or row["non_inferiority"] == "inferior":
                continue
            lines.append(
                f"{code(row['variant'])} with {code(row['model'])} at {row['max_length']} tokens on "
                f"{code(machine)}, {n.rate(rate)} documents per second: {prose(_needed(row))}"
            )
    if not lines:
        return ""
    return paragraphs("**Can't tell** whether these may be used, so no rate counts them:", bullets(lines))


def _needed(row: MatrixRow) -> str:
    """Why a variant is not picked, and what would tell."""
    if row["confounded"]:
        return f"its timings cannot be compared ({row['confounded']}); run it again on a calm machine"
    if row["non_inferiority"] is None:
        return "its quality is not known; it takes a trained model and labelled documents"
    said = f"{n.count(row['documents'])} documents do not decide its quality"
    if row["documents_needed"] is None:
        return f"{said}, and no number in reach would"
    return f"{said}; about {n.count(row['documents_needed'])} would"


def _rate(row: MachineRow) -> str:
    variants = ", ".join(code(name) for name in row["variants"])
    return f"{n.rate(row['documents_per_second'])} documents per second with {variants}"


def _machines(machines: Sequence[MachineRow], priced: bool) -> str:
    headings = [
        "Machine",
        "CPU",
        "Flags",
        "Variant",
        "Cores",
        "Failed runs",
        "Documents/s, core",
        "machine",
    ]
    if priced:
        headings += ["Price of an hour", "Documents for 1"]
    lines = []
    for row in machines:
        line = [
            code(row["machine"]),
            prose(row["cpu"] or n.MISSING),
            " ".join(row["flags"] or []) or n.MISSING,
            ", ".join(code(name) for name in row["variants"]) or n.MISSING,
            f"{row['cores']} of {row['cores_usable']}" if row["cores"] else n.MISSING,
            f"{row['failed']} of {row['runs']}",
            n.rate(row["documents_per_second_core"]),
            n.rate(row["documents_per_second"]),
        ]
        if priced:
            line += [
                n.MISSING if row["price"] is None else f"{row['price']:g}",
                n.count(row["documents_per_price"]),
            ]
        lines.append(line)
    return table(headings, lines, left=(0, 1, 2, 3))


def _figures(rows: Sequence[MatrixRow]) -> str:
    headings = [
        "Model", "Machine", "Variant", "Length", "Rounds", "p50 ms", "p95 ms", "Documents/s, core",
        "Speed-up", "95 % interval", "F1", "Change of F1", "MB",
    ]  # fmt: skip
    ordered = sorted(
        (row for row in rows if row["variant"] is not None),
        key=lambda r: (r["model"], r["max_length"], -(r["documents_per_second"] or 0.0)),
    )
    lines = [
        [
            code(row["model"]),
            code(row["machine"]),
            code(row["variant"]),
            str(row["max_length"]),
            str(row["rounds"]),
            n.ms(row["forward_p50_ms"]),
            n.ms(row["forward_p95_ms"]),
            n.rate(row["documents_per_second"]),
            n.ratio(row["speedup"]),
            n.interval(row["speedup_low"], row["speedup_high"]),
            n.score(row["f1_weighted"]),
            n.change(row["f1_weighted_difference"]),
            n.megabytes(None if row["artifact_bytes"] is None else row["artifact_bytes"] / 1e6),
        ]
        for row in ordered
    ]
    if not lines:
        return "None."
    refused = sorted({str(row["speedup_refused"]) for row in ordered if row["speedup_refused"]})
    note = bullets(f"No interval: {prose(text)}." for text in refused)
    return paragraphs(table(headings, lines, left=(0, 1, 2)), note)


def _failures(rows: Sequence[MatrixRow]) -> str:
    failed = {row["run_id"]: row for row in rows if row["status"] != "ok"}
    if not failed:
        return ""
    lines = bullets(
        f"{code(row['machine'])}, {code(row['model'])}, {row['max_length']} tokens: {prose(row['error'])}"
        for row in failed.values()
    )
    return paragraphs("## Failed runs", lines)


def _by_machine(rows: Sequence[MatrixRow]) -> dict[str, list[MatrixRow]]:
    ordered = sorted(rows, key=lambda row: row["machine"])
    return {name: list(own) for name, own in groupby(ordered, key=lambda row: row["machine"])}


def _best(rows: Sequence[MatrixRow]) -> dict[tuple[str, int], MatrixRow]:
    """The fastest variant of each model and length that is decided to be good enough, or the baseline."""
    best: dict[tuple[str, int], MatrixRow] = {}
    for row in rows:
        place, rate = (row["model"], row["max_length"]), row["documents_per_second"]
        if not rate or not acceptable(row):
            continue
        if place not in best or rate > (best[place]["documents_per_second"] or 0.0):
            best[place] = row
    return best
