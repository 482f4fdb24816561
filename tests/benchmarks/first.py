"""``make bench-first``: from a clean machine to the first verdict, and to the second.

A clone of what is committed, with an environment, a cache and a home of Prefect of its own: ``make
install``, then ``make demo`` twice, as a new user would. Packages come from where pip has them from, so
the first figure is also one of the network, or of pip's cache. The machine must be otherwise idle.

Asked for are under five minutes to the first verdict, and under a minute to the second, of which under
fifteen seconds are ptdq and Prefect without the cells. Writes ``first.json`` of
``tests/benchmarks/results``, and ends with status 1 where one of these is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ptdq.host import machine
from ptdq.host.facts import machine_facts
from ptdq.host.software import git_commit
from ptdq.store.disk import read_json, write_json
from ptdq.store.record_file import now
from tests.support.running import ROOT

RESULTS = Path(__file__).parent / "results" / "first.json"

LIMITS = {"to_first_verdict": 300.0, "to_second_verdict": 60.0, "second_without_cells": 15.0}
"""Seconds."""

WORDS = {
    "to_first_verdict": "install, corpus, training and first run",
    "to_second_verdict": "second run",
    "second_without_cells": "of it without the cells",
}


def main() -> None:
    """Measure, keep and print."""
    begun = now()
    with tempfile.TemporaryDirectory(prefix="ptdq-first-") as scratch:
        seconds = measure(Path(scratch))
    found = {
        "started_at": begun,
        "ended_at": now(),
        "git_commit": git_commit(),
        "machine": machine_facts(machine.usable_cores()).model_dump(),
        "seconds": seconds,
    }
    write_json(RESULTS, found)
    print(table(found))
    sys.exit(int(bool(missed(seconds))))


def measure(scratch: Path) -> dict[str, float]:
    """Seconds of each step, and of what is asked for."""
    checkout = scratch / "checkout"
    subprocess.run(["git", "clone", "--quiet", ROOT, checkout], check=True)
    own = {"PTDQ_CACHE": "cache", "PREFECT_HOME": "prefect", "XDG_CACHE_HOME": "home"}
    unwanted = {"PYTHONPATH", "VIRTUAL_ENV", "PREFECT_API_URL"}
    given = {name: value for name, value in os.environ.items() if name not in unwanted}
    # Pip's cache is that of the machine, as on one on which other things were installed.
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False
    )
    environment = given | {name: str(scratch / place) for name, place in own.items()}
    environment["PIP_CACHE_DIR"] = pip.stdout.strip()
    steps = {
        name: _timed(["make", target], checkout, environment)
        for name, target in (("install", "install"), ("first_demo", "demo"), ("second_demo", "demo"))
    }
    records = [read_json(path) for path in checkout.glob("results/*/run.json")]
    last = max((record for record in records if "ended_at" in record), key=lambda r: r["started_at"])
    return steps | {
        "to_first_verdict": steps["install"] + steps["first_demo"],
        "to_second_verdict": steps["second_demo"],
        "second_without_cells": steps["second_demo"] - last["seconds"]["evaluate"],
    }


def _timed(command: list[str], place: Path, environment: dict[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(command, cwd=place, env=environment, check=True, stdout=sys.stderr)
    return time.monotonic() - started


def missed(seconds: dict[str, float]) -> list[str]:
    """What takes longer than was asked for."""
    return [name for name, limit in LIMITS.items() if seconds[name] >= limit]


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown."""
    lines = ["| | s | asked for |", "| --- | ---: | ---: |"]
    lines += [
        f"| {WORDS[name]} | {found['seconds'][name]:.0f} | under {limit:.0f} |"
        for name, limit in LIMITS.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
