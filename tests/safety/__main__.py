"""Try every fault and every attack, and keep the tables: ``python -m tests.safety``.

Half an hour on an idle machine. Nothing is kept where a test fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ptdq.host.software import git_commit
from ptdq.store.disk import write_json
from tests.safety.table import RESULTS, TELL, told
from tests.support.running import ROOT


def main() -> int:
    """Run the tests; write what they told."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows.jsonl"
        rows.touch()
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "tests/safety", "-q", *sys.argv[1:]],
            cwd=ROOT,
            env=os.environ | {TELL: str(rows)},
            check=False,
        )
        if ended.returncode == 0:
            write_json(RESULTS, {"git_commit": git_commit(), **told(rows)})
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
