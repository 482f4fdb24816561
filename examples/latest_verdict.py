"""What did the last benchmark of my model say? Asked of Prefect's API, from wherever it can be reached.

    PREFECT_API_URL=http://server:4200/api python examples/latest_verdict.py --model path/or/hub-id
    PREFECT_API_URL=http://server:4200/api python examples/latest_verdict.py --deployment nightly

Prints the newest verdict that matches as JSON, with the comparisons that it rests on. Exit status: 0
ship, 1 there is no such verdict, 2 neither was given, 3 don't ship, 4 can't tell: fit for a step of a
deployment pipeline. The newest verdict of all would be anyone's, a colleague's ``ptdq demo`` too. Needs
Prefect only; the artifacts' keys and columns are documented in ``ptdq/orchestration/artifacts.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort

STATUS = {"ship": 0, "don't ship": 3, "can't tell": 4}
PAGE = 100


def versions(client: SyncPrefectClient, only: ArtifactFilter) -> Iterator[Artifact]:
    """All versions of an artifact, the newest first."""
    offset = 0
    while found := client.read_artifacts(
        artifact_filter=only, sort=ArtifactSort.CREATED_DESC, limit=PAGE, offset=offset
    ):
        yield from found
        offset += len(found)


def rows(artifact: Artifact) -> list[dict[str, Any]]:
    """Rows of a table artifact."""
    found: list[dict[str, Any]] = json.loads(str(artifact.data))
    return found


def matches(verdict: dict[str, Any], model: str | None, deployment: str | None) -> bool:
    """Whether a verdict is of this model (as the run was given it, or its digest) and deployment."""
    of_model = model is None or model in (verdict.get("model"), verdict.get("model_digest"))
    return of_model and deployment in (None, verdict.get("deployment"))


def newest(client: SyncPrefectClient, model: str | None, deployment: str | None) -> dict[str, Any] | None:
    """The newest verdict that matches, with its comparisons; None where there is none."""
    key = ArtifactFilterKey(any_=["ptdq-verdict"])
    for artifact in versions(client, ArtifactFilter(key=key)):
        (verdict,) = rows(artifact)
        if artifact.flow_run_id is not None and matches(verdict, model, deployment):
            of_its_run = ArtifactFilter(
                key=ArtifactFilterKey(any_=["ptdq-comparisons"]),
                flow_run_id=ArtifactFilterFlowRunId(any_=[artifact.flow_run_id]),
            )
            compared = next(versions(client, of_its_run), None)
            return verdict | {"comparisons": [] if compared is None else rows(compared)}
    return None


def main() -> int:
    """Print the verdict; its exit status."""
    parser = argparse.ArgumentParser(description="The newest verdict of a model, or of a deployment.")
    parser.add_argument("--model", help="as the run was given it, or its digest")
    parser.add_argument("--deployment", help="name of the deployment that ran it, such as nightly")
    asked = parser.parse_args()
    if asked.model is None and asked.deployment is None:
        parser.error("give --model, --deployment, or both")
    with get_client(sync_client=True) as client:
        verdict = newest(client, asked.model, asked.deployment)
    if verdict is None:
        wanted = [f"{name} {value}" for name, value in vars(asked).items() if value is not None]
        print(f"no verdict for {' and '.join(wanted)}: has such a run finished?", file=sys.stderr)
        return 1
    print(json.dumps(verdict, ensure_ascii=False, indent=2))
    return STATUS.get(verdict["decision"], 1)


if __name__ == "__main__":
    sys.exit(main())
