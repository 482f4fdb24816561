"""``make bench-variants``: every variant on two shapes, on documents of one length and of many.

The machine must be otherwise idle; some four hours on two cores, most of it bert-base of one length.
The cases are those of :mod:`tests.benchmarks.subjects`, each a run of its own; ``make bench-peers`` has
:mod:`tests.benchmarks.peers` in the same runs. With a model and documents of one's own there is one case:

    make bench-variants MODEL=path/to/model DATA=path/to/test.csv

Prints a table of each case, and writes ``tests/benchmarks/results/variants.json`` case by case; of a
model of one's own it writes what ``--out`` names.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from ptdq import numbers
from ptdq.analysis.spent import spent
from ptdq.analysis.tables import against_baseline, figures, limits, sizes
from ptdq.errors import RunFailed, UserError
from ptdq.host.software import git_commit
from ptdq.parameters import ALL
from ptdq.profile.operation import PARTS
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.rows import BestRow, CellRow
from ptdq.store.run import Run, load
from tests.benchmarks import peers, subjects

RESULTS = Path(__file__).parent / "results" / "variants.json"
BEST = "int8-best"
HEADLINE = [case for case in subjects.CASES if case.endswith("many lengths")]
"""Cases that the README shows: documents as people have them."""
LEAST_MS = 0.01
"""Of a class of operations, to be shown."""
MEASURES = {"speedup_total": "mean time end to end", "speedup": "median", "speedup_p95": "p95"}


def main() -> None:
    """Measure the cases, or those named, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=subjects.CASES, default=[], help="only these")
    parser.add_argument("--variant", action="append", default=[], help="only these, the baseline first")
    parser.add_argument("--peers", action="store_true", help="what one would pick otherwise as well")
    parser.add_argument("--model", help="a checkpoint or shape of one's own, instead of the cases")
    parser.add_argument("--data", help="its labelled documents")
    parser.add_argument("--calibration-data", help="documents to calibrate on")
    parser.add_argument("--max-length", action="append", type=int, default=[])
    parser.add_argument("--documents", type=int, default=100, help="timed; p95 is not decided by few")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--tune-minutes", type=float, default=15)
    parser.add_argument("--why", action="store_true", help="profile each variant once it is measured")
    parser.add_argument("--results-dir", default=None, help="keep the runs there")
    parser.add_argument(
        "--run", type=Path, default=None, help="a kept run of the case, not measured again"
    )
    parser.add_argument("--room", type=Path, default=None, help="keep models and documents there")
    parser.add_argument("--out", type=Path, default=None, help="where the figures are written")
    chosen = parser.parse_args()
    if bool(chosen.model) != bool(chosen.data):
        parser.error("--model and --data go together: without both, the cases are measured")
    with tempfile.TemporaryDirectory(prefix="ptdq-bench-") as scratch:
        room = chosen.room or Path(scratch)
        if chosen.model:
            cases = {"chosen": own(chosen)}
        else:
            cases = {c: subjects.parameters_of(c, room) for c in chosen.case or subjects.CASES}
        for case, parameters in cases.items():
            files = RunFiles(chosen.run) if chosen.run else measure(chosen, parameters, Path(scratch))
            if chosen.why:
                profile(files)
            found = collect(files) | {"profiled_commit": git_commit() if chosen.why else None}
            print(f"{case}\n\n{table(found)}\n\n{standing(found)}", flush=True)
            # The committed file is of the cases alone.
            if out := chosen.out or (None if chosen.model else RESULTS):
                write_json(out, {**(read_json(out) if out.is_file() else {}), case: found})
                print(json.dumps({"written": str(out)}))


def own(chosen: argparse.Namespace) -> dict[str, Any]:
    """Parameters of a run on a model that was named."""
    return {
        "model": chosen.model,
        "data": chosen.data,
        "calibration_data": chosen.calibration_data,
        "random_weights": not list(Path(chosen.model).glob("*.safetensors")),
        "max_length": [128, 256, 384],
    }


def measure(chosen: argparse.Namespace, parameters: dict[str, Any], scratch: Path) -> RunFiles:
    """One case's run."""
    from tests.benchmarks.running import measured  # what runs need, the docs need not load

    lengths = chosen.max_length or parameters["max_length"]
    return measured(
        **parameters | {"max_length": lengths},
        limit=chosen.documents if parameters["random_weights"] else None,  # no quality to take from more
        variant=chosen.variant or ["fp32", ALL, *(peers.NAMES if chosen.peers else [])],
        timing_documents=chosen.documents,
        repeats=chosen.repeats,
        tune_minutes=chosen.tune_minutes,
        control_documents=0,
        results_dir=chosen.results_dir or str(scratch / "results"),
        # Calls are long and vary little; the cells are what costs time.
        load_wait=0,
    )


def profile(files: RunFiles) -> None:
    """Profile every variant of a run, each on its own: one that can't be is said, and the others are."""
    from ptdq.why.find import Asked
    from ptdq.why.run import explain

    for name in load(files).variants:
        try:
            explain(files, [name], Asked(), lambda text: print(text, file=sys.stderr))
        except (UserError, RunFailed) as error:
            print(f"{name}: {error}", file=sys.stderr)


def collect(files: RunFiles) -> dict[str, Any]:
    """Every figure of the tables, with the machine."""
    run = load(files)
    record = read_json(files.record)
    kept = ("git_commit", "ended_at", "machine", "limits", "skipped", "versions", "calibration")
    return {
        **{name: record[name] for name in kept},
        "baseline": run.baseline,
        "model": record["model"] | {"name": Path(record["model"]["name"]).name},
        "data": record["data"] | {"path": Path(record["data"]["path"]).name},
        "repeats": record["parameters"]["repeats"],
        "rows": rows(run),
        "sizes": sizes(run),
        "best": [
            {name: row[name] for name in ("measure", "max_length", "variant", "fastest")}
            for row in run.rows(BestRow)
        ],
        "explained": [
            {
                "variant": one.profile["variant"],
                "instruction_set": one.profile["instruction_set"],
                **{name: one.profile[name] for name in ("timed_ms", "profiled_ms")},
                **{name: getattr(one, name) for name in ("explained", "named", "ms_by_part")},
            }
            for one in spent(run, run.variants)
        ],
    }


def rows(run: Run) -> list[dict[str, Any]]:
    """Times, speed-ups as they are judged, and shares of the limits, by variant and length."""
    pairs = {(row["variant"], row["max_length"]): row for row in against_baseline(run)}
    shares = {(row["variant"], row["max_length"]): row for row in limits(run)}
    of_pairs = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    tails = tails_of(run)
    found = []
    for row in figures(run):
        key = row["variant"], row["max_length"]
        cells = [c for c in run.rows(CellRow) if (c["variant"], c["max_length"]) == key]
        pair: Mapping[str, Any] = pairs.get(key, {})
        share: Mapping[str, Any] = shares.get(key, {})
        of_figures = ("forward_p50_ms", "forward_p95_ms", "total_mean_ms")
        found.append(
            {
                "variant": row["variant"],
                "max_length": row["max_length"],
                **{name: row.get(name) for name in of_figures},
                "peak_mb": _middle([c["peak_rss_bytes"] for c in cells], 1e-6),
                "load_s": _middle([c["load_seconds"] for c in cells]),
                **{name: pair.get(name) for name in (*of_pairs, "total_verdict", "agreement")},
                **{name: share.get(name) for name in ("numbers", "share", "int8_share")},
                **tails.get(key, {}),
            }
        )
    return found


def tails_of(run: Run) -> dict[tuple[str, int], dict[str, float]]:
    """By variant and length, how far the time of a token is above its median for the worst twentieth.

    ``token_tail`` is p95 over median of a cell's documents, the median over the cells, with the least and
    the most of them. ``token_tail_by_document`` takes the median over the cells of each document first,
    which leaves most of the machine's own noise out.
    """
    timed = run.timed
    assert timed is not None  # these runs keep their rows
    found = {}
    for variant in timed.variants:
        for length in timed.lengths:
            cells = [
                timed.read(cell, ["doc_id", "tokens", "forward_ns"]).to_pandas()
                for cell in timed.of(variant, length)
            ]
            cells = [cell.assign(token_ns=cell.forward_ns / cell.tokens) for cell in cells]
            of_cells = [_tail(cell.token_ns) for cell in cells]
            of_documents = pd.concat(cells).groupby("doc_id").token_ns.median()
            found[variant, length] = {
                "token_tail": median(of_cells),
                "token_tail_least": min(of_cells),
                "token_tail_most": max(of_cells),
                "token_tail_by_document": _tail(of_documents),
            }
    return found


def _tail(times: Any) -> float:
    return float(times.quantile(0.95) / times.median())


def _middle(values: list[float | None], scale: float = 1) -> float | None:
    """The median of the cells that have it."""
    known = [value for value in values if value is not None]
    return scale * median(known) if known else None


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown, fastest first at the shortest length."""
    lengths = sorted({row["max_length"] for row in found["rows"]})
    by_key = {(row["variant"], row["max_length"]): row for row in found["rows"]}
    sized = [row for row in found["sizes"] if (row["variant"], lengths[0]) in by_key]
    sized.sort(key=lambda row: by_key[row["variant"], lengths[0]]["total_mean_ms"] or float("inf"))
    heads = [f"mean and p95 ms, speed-up, up to {n} tokens" for n in lengths]
    lines = [
        f"| variant | of {found['baseline']}'s size | {' | '.join(heads)} | of int8 limit "
        "| p95 over median, a token | peak MB | load s |",
        "| --- | ---: |" + " --- |" * len(lengths) + " ---: |" * 4,
    ]
    for size in sized:
        cells = [f"`{plain(size['variant'])}`", f"{size['artifact_share']:.2f}"]
        for length in lengths:
            row = by_key[size["variant"], length]
            both = f"{numbers.ms(row['total_mean_ms'])}, {numbers.ms(row['forward_p95_ms'])}"
            cells.append(f"{both}, {_ratio(row)}")
        first = by_key[size["variant"], lengths[0]]
        names = ("int8_share", "token_tail", "peak_mb", "load_s")
        share, tail, peak, load_s = (first.get(name) for name in names)
        cells.append("" if share is None else f"{share:.0%}")
        cells.append("" if tail is None else f"{tail:.2f}")
        cells += ["" if peak is None else f"{peak:.0f}", "" if load_s is None else f"{load_s:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def headline(found: dict[str, dict[str, Any]]) -> str:
    """The README's table: what all cases of :data:`HEADLINE` have, fastest first of the first one."""
    known = [{row["variant"]: row for row in found[case]["rows"]} for case in HEADLINE]
    sizes_of = {row["variant"]: row["artifact_share"] for row in found[HEADLINE[0]]["sizes"]}
    in_all = [name for name in known[0] if all(name in rows for rows in known)]
    lines = [f"| variant | size | {' | '.join(HEADLINE)} |", f"| --- | --- |{' --- |' * len(HEADLINE)}"]
    for name in sorted(in_all, key=lambda name: known[0][name]["total_mean_ms"]):
        times = [f"{numbers.ms(rows[name]['total_mean_ms'])} ms, {_ratio(rows[name])}" for rows in known]
        lines.append(f"| `{plain(name)}` | {sizes_of[name]:.2f} | {' | '.join(times)} |")
    return "\n".join(lines)


def _ratio(row: dict[str, Any]) -> str:
    if row["speedup_total"] is None:
        return "1x"
    within = numbers.interval(row["speedup_total_low"], row["speedup_total_high"])
    return f"{numbers.ratio(row['speedup_total'])} {within}"


def standing(found: dict[str, Any]) -> str:
    """Whether ``int8-best`` can be told from the fastest, by each measure and length, in a sentence."""
    among: list[str] = []
    behind: list[str] = []
    for length in sorted({row["max_length"] for row in found["best"]}):
        for measure, words in MEASURES.items():
            known = [r for r in found["best"] if (r["measure"], r["max_length"]) == (measure, length)]
            if not known:
                continue
            first = next(plain(row["variant"]) for row in known if row["fastest"])
            told = f"{words} at {length} tokens (fastest: `{first}`)"
            (among if BEST in [row["variant"] for row in known] else behind).append(told)
    sentences = []
    if among:
        sentences.append(f"`{BEST}` is the fastest, or can't be told from it, by {'; by '.join(among)}.")
    if behind:
        sentences.append(f"It is behind by {'; by '.join(behind)}.")
    return " ".join(sentences) or "No set of the fastest is known."


def explained(found: dict[str, Any]) -> str:
    """Where the time of a document goes, of each variant that was profiled, as Markdown."""
    if not found["explained"]:
        return ""
    parts = [p for p in PARTS if any(one["ms_by_part"].get(p) for one in found["explained"])]
    lines = [
        f"| variant, ms | explained | {' | '.join(parts)} | instructions |",
        "| --- |" + " ---: |" * (len(parts) + 1) + " --- |",
    ]
    for one in sorted(found["explained"], key=lambda one: one["timed_ms"]):
        spent_in = [one["ms_by_part"].get(part, 0.0) for part in parts]
        cells = [numbers.ms(ms) if ms >= LEAST_MS else "" for ms in spent_in]
        share = numbers.percent(one["explained"])
        told = one["instruction_set"] or ""
        lines.append(f"| `{plain(one['variant'])}` | {share} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines)


def plain(variant: str) -> str:
    """The name of a peer without where its class is."""
    return variant.rpartition(":")[2]


if __name__ == "__main__":
    main()
