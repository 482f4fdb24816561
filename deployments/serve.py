"""The deployments of the file without pool and worker: ``python -m deployments.serve``.

This process asks the server for runs, by schedule or started by hand, and starts each in a process of its
own, one at a time, until it is ended. From the root of a checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml
from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron, Schedule

FILE = Path(__file__).with_name("prefect.yaml")


def declared() -> dict[str, dict[str, Any]]:
    """The deployments of the file, by name."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {deployment["name"]: deployment for deployment in content["deployments"]}


def served(deployment: dict[str, Any]) -> RunnerDeployment:
    """The same as one that this process runs."""
    made = load_flow_from_entrypoint(deployment["entrypoint"]).to_deployment(
        deployment["name"],
        description=deployment["description"],
        tags=deployment["tags"],
        parameters=deployment.get("parameters"),
        schedules=[_cron(**schedule) for schedule in deployment.get("schedules", [])],
        concurrency_limit=ConcurrencyLimitConfig(**deployment["concurrency_limit"]),
    )
    assert isinstance(made, RunnerDeployment)  # in an event loop it would be a coroutine
    return made


def _cron(cron: str, timezone: str, slug: str) -> Schedule:
    return Cron(cron, timezone=timezone, slug=slug)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def main(names: tuple[str, ...]) -> None:
    """Serve the deployments NAME, or all of the file, on the server that PREFECT_API_URL names."""
    all_of_them = declared()
    unknown = [name for name in names if name not in all_of_them]
    if unknown:
        raise click.UsageError(f"no deployment {unknown[0]}; there are {', '.join(all_of_them)}")
    # One benchmark at a time on a machine, whatever its deployment.
    serve(*(served(all_of_them[name]) for name in names or all_of_them), limit=1)


if __name__ == "__main__":
    main()
