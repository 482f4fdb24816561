"""Try every fault and every attack, and keep the tables: ``python -m tests.safety``.

Half an hour on an idle machine. Nothing is kept where a test fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from ptdq.host.software import git_commit
from ptdq.store.disk import read_json, write_json
from tests.safety.table import RESULTS, TELL, told
from tests.support.running import ROOT

AT_ONCE = 3
"""Tests: each waits for children most of its time, and looks at its own processes alone."""


@click.command()
@click.option("--only", metavar="EXPRESSION", help="Tests to run, as pytest's -k; other rows stay.")
@click.option(
    "--rows",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"Run nothing: take the rows that tests told with {TELL}.",
)
def main(only: str | None, rows: Path | None) -> None:
    """Run the tests; keep what they told."""
    if rows is not None:
        keep(rows, None)
        return
    with tempfile.TemporaryDirectory() as scratch:
        told_now = Path(scratch) / "rows.jsonl"
        told_now.touch()
        chosen = [] if only is None else ["-k", only]
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "tests/safety", "-q", "-n", str(AT_ONCE), *chosen],
            cwd=ROOT,
            env=os.environ | {TELL: str(told_now)},
            check=False,
        )
        if ended.returncode == 0:
            keep(told_now, git_commit())
    sys.exit(ended.returncode)


def keep(rows: Path, commit: str | None) -> None:
    """Put rows in the place of those of the same fault or attack.

    Args:
        rows: as :func:`tests.safety.table.tell` wrote them.
        commit: at which they were told; None if not known.
    """
    kept = read_json(RESULTS) if RESULTS.is_file() else {}
    for table, found in told(rows).items():
        name = table.removesuffix("s")
        now = {row[name]: row | {"git_commit": commit} for row in found}
        before = {row[name]: row for row in kept.get(table, [])}
        kept[table] = list((before | now).values())
    write_json(RESULTS, kept)


if __name__ == "__main__":
    main()
