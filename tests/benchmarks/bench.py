"""``make bench``: what the flow itself costs, and whether its comparisons can be believed, for real.

The machine must be otherwise idle. Everything is run through the flow, on the embedded default.

* cost: wall time of the evaluate stage against in-model seconds over cores, overhead outside it,
  start-up of a worker, how busy the cores were;
* A/A: the same code under two names, many short runs: how often is a difference declared;
* A/B: int8-dynamic against fp32, twice: do the two intervals agree, and how wide are they;
* planted: a variant made 5 % slower: is it found, and with the right size.

Writes ``tests/benchmarks/results/bench.json`` and prints a table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ptdq.host import machine
from ptdq.host.facts import machine_facts
from ptdq.host.software import git_commit
from ptdq.parameters import DEMO
from ptdq.statistics.multiplicity import exact_upper
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.record_file import now
from ptdq.store.tables import read_table
from tests.benchmarks.running import measured

RESULTS = Path(__file__).parent / "results" / "bench.json"
SAME, SLOWER = "tests.support.planted:Same", "tests.support.planted:Slower"


def main() -> None:
    """Run what was asked for, all of it by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aa-runs", type=int, default=20, help="short A/A runs")
    parser.add_argument("--documents", type=int, default=60, help="documents of a short run")
    chosen = parser.parse_args()
    found: dict[str, Any] = {
        "started_at": now(),
        "git_commit": git_commit(),
        "machine": machine_facts(machine.usable_cores()).model_dump(),
    }
    with tempfile.TemporaryDirectory(prefix="ptdq-bench-") as scratch:
        results = Path(scratch)
        first = run(results, ["fp32", "int8-dynamic"], documents=500, lengths=[128, 256])
        second = run(results, ["fp32", "int8-dynamic"], documents=500, lengths=[128, 256])
        found["cost"] = cost(first)
        found["ab"] = [comparisons(first), comparisons(second)]
        found["ab_agree"] = agree(*found["ab"])
        found["planted"] = comparisons(run(results, ["fp32", SLOWER], documents=500, lengths=[128]))
        short = {"documents": chosen.documents, "lengths": [128], "control_documents": 0}
        found["aa"] = [
            {"seed": seed, **comparisons(run(results, ["fp32", SAME], seed=seed, **short))[0]}
            for seed in range(chosen.aa_runs)
        ]
    declared = [row for row in found["aa"] if row["total_verdict"] in ("faster", "slower")]
    found["aa_declared"] = len(declared)
    found["ended_at"] = now()
    write_json(RESULTS, found)
    print(table(found))


def run(
    results: Path, variants: list[str], *, documents: int, lengths: list[int], **others: Any
) -> RunFiles:
    """One run of the flow on the embedded default."""
    return measured(
        model=DEMO,
        data=DEMO,
        variant=variants,
        max_length=lengths,
        limit=documents,
        results_dir=str(results),
        run_id=f"run-{len(list(results.iterdir()))}",
        **others,
    )


def comparisons(files: RunFiles) -> list[dict[str, Any]]:
    """What the run says of speed, a row for each length."""
    kept = (
        "variant", "max_length", "speedup", "speedup_low", "speedup_high", "latency_verdict",
        "speedup_total", "speedup_total_low", "speedup_total_high", "total_verdict", "round_speedups",
    )  # fmt: skip
    rows = read_table(files.table("comparisons")).to_pylist()
    return [{name: row[name] for name in kept} for row in rows]


def agree(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> bool:
    """Whether the intervals of two runs of the same comparison overlap at every length."""
    return all(
        a["speedup_low"] <= b["speedup_high"] and b["speedup_low"] <= a["speedup_high"]
        for a, b in zip(first, second, strict=True)
    )


def cost(files: RunFiles) -> dict[str, float]:
    """The flow's own cost, from the tables of a run."""
    record = read_json(files.record)
    cells = read_table(files.table("cells")).to_pylist()
    predictions = read_table(files.table("predictions"), ["forward_ns", "tokenize_ns"])
    in_model = sum(sum(predictions[name].to_pylist()) for name in predictions.column_names) / 1e9
    starts: list[datetime] = [cell["started_at"] for cell in cells]
    ends: list[datetime] = [cell["ended_at"] for cell in cells]
    stage = (max(ends) - min(starts)).total_seconds()
    cores = record["design"]["cores"]
    busy = {c: sum(x["wall_seconds"] for x in cells if x["core"] == c) / stage for c in cores}
    seconds = record["seconds"]
    return {
        "evaluate_stage_seconds": stage,
        "in_model_seconds_over_cores": in_model / len(cores),
        "cores_busy_least": min(busy.values()),
        "worker_start_seconds_median": statistics.median(c["start_seconds"] for c in cells),
        "aggregate_and_report_seconds": seconds["aggregate"] + seconds["report"],
        "outside_evaluate_seconds": sum(v for k, v in seconds.items() if k not in ("demo", "evaluate")),
        "cells": len(cells),
    }


def by_chance(rounds: Sequence[Sequence[float]], level: float = 0.95) -> float:
    """How often Student's interval of a mean over rounds would exclude 1, had only chance signs.

    Every round's log ratio of identical code is turned round or not, in all ways: so the noise has the
    tails, and each run the scale, that they really had, and there is nothing to find.

    Args:
        rounds: of each A/A run, the speed-ups of its rounds.
        level: of the interval.
    """
    many = len(rounds[0])
    signs = np.array(list(product([1.0, -1.0], repeat=many)))
    logs = signs[None] * np.log(np.array(rounds, float))[:, None]
    t = np.abs(logs.mean(axis=-1)) / (logs.std(axis=-1, ddof=1) / many**0.5)
    return float((t > stats.t.ppf((1 + level) / 2, many - 1)).mean())


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown, for the README."""
    paid = found["cost"]
    lines = [
        f"{found['machine']['cpu']}, cores {found['machine']['cores']}, load before "
        f"{found['machine']['load_before']:.2f}, commit {found['git_commit']}",
        "",
        "| what | measured |",
        "| --- | --- |",
        f"| evaluate stage, {paid['cells']} cells | {paid['evaluate_stage_seconds']:.1f} s |",
        f"| in-model seconds / cores | {paid['in_model_seconds_over_cores']:.1f} s |",
        f"| least busy core | {paid['cores_busy_least']:.0%} |",
        f"| start of a worker, median | {paid['worker_start_seconds_median']:.1f} s |",
        f"| aggregate and report | {paid['aggregate_and_report_seconds']:.1f} s |",
        f"| everything outside evaluate | {paid['outside_evaluate_seconds']:.1f} s |",
    ]
    for number, rows in enumerate(found["ab"], 1):
        lines += [f"| A/B run {number}, {r['max_length']} tokens | {_ratio(r)} |" for r in rows]
    lines.append(f"| the two A/B runs agree | {found['ab_agree']} |")
    planted = found["planted"][0]
    lines.append(
        f"| planted 5 % slow-down (true 0.952x) | {_ratio(planted)}, {planted['latency_verdict']} |"
    )
    declared, runs = found["aa_declared"], len(found["aa"])
    most = exact_upper(declared, runs)
    lines.append(
        f"| A/A runs that declare a difference | {declared} of {runs}: so up to {most:.0%} of such runs "
        "may (95 %, exact) |"
    )
    chance = by_chance([row["round_speedups"] for row in found["aa"]])
    lines.append(
        f"| the noise of these runs, its signs drawn anew: intervals that exclude 1 | {chance:.1%} |"
    )
    return "\n".join(lines)


def _ratio(row: dict[str, Any]) -> str:
    return f"{row['speedup']:.3f}x [{row['speedup_low']:.3f}, {row['speedup_high']:.3f}]"


if __name__ == "__main__":
    main()
    print(json.dumps({"written": str(RESULTS)}))
