"""``make bench-nights``: whether comparisons from night to night can be believed, for real.

A night is a run of the flow in a process of its own, compared with the night before. It has two variants
besides fp32: ``int8-dynamic``, whose artifact is the same every night, so that it is compared between
runs; and a float model whose artifact is another one every night and does the same, so that the old
one is measured again beside it.

* A/A: nights of the same code; on every third other programs use the cores now and then. How often is
  anything called faster or slower?
* planted: nights on which the float model is 2, 5 or 10 % slower. How often is that found?
* power: runs with ``--target-width``. How long do they take, and how often do they find 5 %?

Writes ``tests/benchmarks/results/nights.json``, which is kept as it grows, and prints a table. The
machine must be otherwise idle. ``--help`` says how to make it smaller.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scipy import stats

from ptdq.analysis.changes import AGAIN, Comparison
from ptdq.analysis.compare_runs import compare_runs
from ptdq.host import machine
from ptdq.host.facts import machine_facts
from ptdq.host.software import git_commit
from ptdq.parameters import DEMO
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.record_file import now
from ptdq.store.results import all_runs
from ptdq.store.run import load
from ptdq.store.tables import read_table
from tests.benchmarks.running import measured

RESULTS = Path(__file__).parent / "results" / "nights.json"
NIGHT = "tests.support.planted:Night"
SHARES = (0.02, 0.05, 0.10)
WIDTHS = (0.10, 0.05, 0.03, 0.02)
POWER_SHARE = 0.05
# Busy for a tenth of the time, in bursts of half a second on average.
LOAD = (
    "import random, time\n"
    "while True:\n"
    "    time.sleep(random.expovariate(1 / 4.5))\n"
    "    end = time.monotonic() + random.expovariate(2)\n"
    "    while time.monotonic() < end: pass\n"
)


def main() -> None:
    """Run all three parts, as large as asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=29, help="nights of the same code")
    parser.add_argument("--planted", type=int, default=6, help="nights of each planted slow-down")
    parser.add_argument("--power", type=int, default=5, help="runs of each width")
    parser.add_argument("--documents", type=int, default=60, help="documents of a night")
    parser.add_argument("--width", type=float, action="append", help="of --target-width; may be repeated")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is not None:
        one(chosen.one)
        return
    found: dict[str, Any] = {
        "started_at": now(),
        "git_commit": git_commit(),
        "machine": machine_facts(machine.usable_cores()).model_dump(),
        "documents": chosen.documents,
        "nights": [],
        "planted": [],
        "power": [],
    }
    with tempfile.TemporaryDirectory(prefix="ptdq-nights-") as scratch:
        runs = Runs(Path(scratch), chosen.documents)
        steps: list[tuple[str, dict[str, Any]]] = [
            *(("nights", {"loaded": number % 3 == 2}) for number in range(chosen.nights)),
            *(("planted", {"share": share}) for share in SHARES for _ in range(chosen.planted)),
            *(
                ("power", {"share": POWER_SHARE, "width": width})
                for width in chosen.width or WIDTHS
                for _ in range(chosen.power)
            ),
        ]
        for part, asked in steps:
            found[part].append(asked | runs.run(part, **asked))
            write_json(chosen.out, found | {"ended_at": now()})
    print(table(read_json(chosen.out)))


class Runs:
    """Runs of the flow, one after the other."""

    def __init__(self, scratch: Path, documents: int) -> None:
        self.scratch, self.documents = scratch, documents
        self.number = 0
        self.last: str | None = None  # the last night of the same code
        self.first: str | None = None

    def run(
        self, part: str, loaded: bool = False, share: float = 0.0, width: float | None = None
    ) -> dict[str, Any]:
        """One run in a process of its own, and what it says."""
        self.number += 1
        run_id = f"{part}-{self.number}"
        results = self.scratch / "results"
        asked = {
            "model": DEMO, "data": DEMO, "max_length": [128], "limit": self.documents,
            "control_documents": 0, "load_wait": 0, "results_dir": str(results), "run_id": run_id,
            "variant": ["fp32", NIGHT] if width else ["fp32", "int8-dynamic", NIGHT],
            "baseline": "none" if width else self.last or "none", "target_width": width,
        }  # fmt: skip
        request = self.scratch / f"{run_id}.json"
        write_json(request, asked)
        planted = {"PLANTED_NIGHT": str(self.number), "PLANTED_SHARE": str(share)}
        with others(loaded):
            subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.nights", "--one", str(request)],
                check=True,
                stdout=sys.stderr,
                env=os.environ | planted,
            )
        files = RunFiles(results / run_id)
        said = {"run_id": run_id, "seconds": sum(read_json(files.record)["seconds"].values())}
        if width:
            return said | power(files)
        said["changes"] = changes(read_json(files.record)["baseline"])
        if part == "planted":
            # The same run against the first night, whose artifact it has not measured again.
            old = RunFiles(results / str(self.first))
            compared = compare_runs(load(old), load(files), all_runs(results)[0])
            said["changes"] += changes(compared.as_json())
        else:
            self.first, self.last = self.first or run_id, run_id
        return said


def one(request: Path) -> None:
    """Run the flow here."""
    measured(**read_json(request))


@contextmanager
def others(there: bool) -> Iterator[None]:
    """In the block, perhaps, another program uses each core now and then."""
    count = len(machine.usable_cores()) if there else 0
    started = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def changes(noted: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What a comparison with an earlier run says of times, of what it could tell of."""
    kept = ("variant", "how", "speedup", "speedup_low", "speedup_high", "latency_verdict", "runs")
    rows = Comparison.from_json(noted or {}).changes
    return [
        {name: getattr(row, name) for name in kept}
        for row in rows
        if row.how is not None and row.speedup_low is not None
    ]


def power(files: RunFiles) -> dict[str, Any]:
    """How many rounds and minutes a run took, and whether it found what was planted."""
    record = read_json(files.record)
    (row,) = read_table(files.table("comparisons")).to_pylist()
    return {
        "rounds": row["rounds"],
        "minutes": record["seconds"]["evaluate"] / 60,
        "speedup": row["speedup_total"],
        "speedup_low": row["speedup_total_low"],
        "speedup_high": row["speedup_total_high"],
        "verdict": row["total_verdict"],
    }


def share_text(count: int, of: int) -> str:
    """How many of how many, with the exact 95 % interval (Clopper and Pearson 1934)."""
    if not of:
        return "none"
    ends = stats.binomtest(count, of).proportion_ci()
    return f"{count} of {of}: {ends.low:.0%} to {ends.high:.0%}"


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown."""
    lines = ["| what | runs that say so, 95 % interval |", "| --- | --- |"]
    for how in (AGAIN, "between runs"):
        for loaded in (False, True):
            rows = [_of(night, how) for night in found["nights"] if night["loaded"] == loaded]
            told = [any(r["latency_verdict"] in ("faster", "slower") for r in row) for row in rows if row]
            where = "others use the cores" if loaded else "quiet"
            lines.append(f"| A/A, {how}, {where}: a false alarm | {share_text(sum(told), len(told))} |")
    for share in sorted({night["share"] for night in found["planted"]}):
        for how in (AGAIN, "between runs"):
            mine = [night for night in found["planted"] if night["share"] == share]
            rows = [[r for r in _of(night, how) if r["variant"] == NIGHT] for night in mine]
            told = [any(r["latency_verdict"] == "slower" for r in row) for row in rows if row]
            lines.append(f"| {share:.0%} slower, {how}: found | {share_text(sum(told), len(told))} |")
    for width in sorted({run["width"] for run in found["power"]}, reverse=True):
        runs = [run for run in found["power"] if run["width"] == width]
        told = [run["verdict"] == "slower" for run in runs]
        took = f"{_mean(runs, 'rounds'):.0f} rounds, {_mean(runs, 'minutes'):.1f} minutes"
        lines.append(
            f"| {POWER_SHARE:.0%} slower, --target-width {width:.0%}, {took}: found "
            f"| {share_text(sum(told), len(told))} |"
        )
    return "\n".join(lines)


def _of(night: dict[str, Any], how: str) -> list[dict[str, Any]]:
    """Rows of a night that were decided in that way; none where its times decide nothing."""
    return [row for row in night["changes"] if row["how"] == how and row["latency_verdict"] is not None]


def _mean(runs: Sequence[dict[str, Any]], name: str) -> float:
    return float(sum(run[name] for run in runs) / len(runs))


if __name__ == "__main__":
    main()
    print(json.dumps({"written": str(RESULTS)}), file=sys.stderr)
