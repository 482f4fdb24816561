"""Run tests and say which lines of the package they ran: ``python -m tests.checks.coverage``.

Takes the arguments of pytest and ends with its status. Workers and other children are counted as well.
SlipCover counts by changing the bytecode of our own modules only (Altmayer Pizzorno and Berger,
*SlipCover: Near Zero-Overhead Code Coverage for Python*, ISSTA 2023): a tracer would slow all that torch,
transformers and Prefect do as well, by half.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import slipcover

from tests.checks.counted.sitecustomize import ROOT, SOURCES

COUNTED = Path(__file__).with_name("counted")
LOW = 0.85
"""Files with a smaller share of lines run are named."""


def main() -> None:
    """Run pytest below the counter and print what it counted."""
    with tempfile.TemporaryDirectory(prefix="ptdq-counted-") as scratch:
        path = [str(COUNTED), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {"PTDQ_COUNTED": scratch, "PYTHONPATH": os.pathsep.join(path)}
        status = subprocess.run(
            [sys.executable, "-m", "pytest", *sys.argv[1:]],
            cwd=ROOT,
            env=os.environ | environment,
            check=False,
        ).returncode
        print(told(seen_lines(Path(scratch))))
    sys.exit(status)


def seen_lines(directory: Path) -> dict[str, set[int]]:
    """Lines that any process ran, by file."""
    seen: dict[str, set[int]] = defaultdict(set)
    for path in directory.glob("*.json"):
        for name, lines in json.loads(path.read_text(encoding="utf-8")).items():
            seen[str(Path(name).resolve())].update(lines)
    return seen


def told(seen: dict[str, set[int]]) -> str:
    """The share of all lines that were run, and of which files it is low."""
    shares: dict[str, tuple[int, int]] = {}
    for name, file in slipcover.Slipcover(source=SOURCES).get_coverage()["files"].items():
        path = (ROOT / name).resolve()
        lines = {*file["executed_lines"], *file["missing_lines"]}
        if lines:
            shares[str(path.relative_to(ROOT))] = len(lines & seen[str(path)]), len(lines)
    ran, of = (sum(counts) for counts in zip(*shares.values(), strict=True))
    low = sorted((ran / of, name) for name, (ran, of) in shares.items() if ran < LOW * of)
    return "\n".join(
        [
            f"lines of ptdq, flows and tasks that these tests ran: {ran / of:.1%} ({ran} of {of})",
            *(f"  {share:4.0%} {name}" for share, name in low),
        ]
    )


if __name__ == "__main__":
    main()
