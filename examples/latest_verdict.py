"""What did the last benchmark say? Asked of Prefect's API, from wherever it can be reached.

    PREFECT_API_URL=http://server:4200/api python examples/latest_verdict.py

Prints the latest verdict as JSON, with the comparisons that it rests on. Exit status: 0 ship, 1 there
is no verdict, 3 don't ship, 4 can't tell: fit for a step of a deployment pipeline. Needs Prefect only;
the artifacts' keys and payloads are documented in ``tasks/prefect_artifacts.py``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from prefect.artifacts import Artifact

STATUS = {"ship": 0, "don't ship": 3, "can't tell": 4}


def latest(key: str) -> list[dict[str, Any]]:
    """Rows of the newest version of a table artifact; empty where there is none."""
    artifact = Artifact.get(key)
    if artifact is None or not isinstance(artifact.data, str):
        return []
    rows: list[dict[str, Any]] = json.loads(artifact.data)
    return rows


def main() -> int:
    """Print the verdict; its exit status."""
    verdict = next(iter(latest("ptdq-verdict")), None)
    if verdict is None:
        print("no verdict yet: has a run finished on this server?", file=sys.stderr)
        return 1
    mine = [row for row in latest("ptdq-comparisons") if row["run_id"] == verdict["run_id"]]
    print(json.dumps(verdict | {"comparisons": mine}, ensure_ascii=False, indent=2))
    return STATUS.get(verdict["decision"], 1)


if __name__ == "__main__":
    sys.exit(main())
