"""Months without a person: ``python -m tests.safety.soak --help``, or ``make soak``.

A real server with the deployment ``nightly`` on a schedule of some seconds; each run is a night of a
calendar that is simulated: its record says that it was measured on that night. Faults are drawn from
those of ``tests/safety``; each seventh night ``retention`` runs. Once the model is another, worse one,
once the machine is slower, since others use its cores. What is found is checked, and kept in a file.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from ptdq.host.facts import machine_facts
from ptdq.host.machine import usable_cores
from ptdq.host.software import git_commit
from ptdq.store.disk import write_json
from tests.safety.befalls import AROUND, FAULTS, FULL, SLOWER, WORSE
from tests.safety.nights import Nights, ago, size
from tests.safety.scene import open_ports
from tests.safety.table import SOAK
from tests.support.receiver import receiver

FAULTY = 0.3
"""Share of the nights that a fault befalls."""

KEPT_DAYS = 14
"""Age at which nights lose the rows of their documents."""


NOTICE_SECONDS = 1200.0
"""Prefect may hold back the events of a run for a quarter of an hour."""

Plan = list[str | None]


@click.command()
@click.option("--nights", type=click.IntRange(min=6), default=200, show_default=True)
@click.option(
    "--hours", type=float, default=8.0, show_default=True, help="No night begins after so many."
)
@click.option("--rounds", type=int, default=4, show_default=True, help="Of a night; times need four.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(nights: int, hours: float, rounds: int, seed: int) -> None:
    """Run so many nights, check what is left, and keep the figures where all is well."""
    started = time.monotonic()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ptdq-soak-") as scratch, receiver() as (address, told):
        soak = Nights(Path(scratch), address, rounds)
        try:
            soak.begin()
            plan = planned(nights, seed, soak.small_disk)
            for number, event in enumerate(plan):
                if time.monotonic() - started > 3600 * hours:
                    break
                around, fault = AROUND.get(str(event)), FAULTS.get(str(event))
                with around(soak) if around else contextlib.nullcontext():
                    seen = soak.night(ago(nights - number), event, fault and partial(fault, soak))
                click.echo(f"night {number + 1}: {seen.state}, {event}: {seen.message[:200]}")
                if number % 7 == 6:
                    soak.retention(KEPT_DAYS + nights - number)
            found = facts(soak) | {"worse_told": soak.told(WORSE, told, NOTICE_SECONDS)}
        finally:
            left = soak.end()
    found |= {
        "asked": nights,
        "rounds": rounds,
        "hours": (time.monotonic() - started) / 3600,
        "processes_left": [str(process) for process in left],
        "sockets_left": len(open_ports({soak.installation.port})),
        "seed": seed,
        "git_commit": git_commit(),
        "machine": machine_facts(usable_cores()).model_dump(),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    problems = wrong(found)
    click.echo(json.dumps(found, indent=2, default=str))
    for problem in problems:
        click.echo(f"soak: {problem}", err=True)
    if not problems:
        write_json(SOAK, found)
    sys.exit(1 if problems else 0)


def planned(nights: int, seed: int, small_disk: bool) -> Plan:
    """What befalls each night: nothing, a fault, once a worse model, and once a slower machine."""
    draw = random.Random(seed)
    faults = [*FAULTS, *([FULL] if small_disk else [])]
    plan: Plan = [draw.choice(faults) if draw.random() < FAULTY else None for _ in range(nights)]
    # The first ones are what the others are compared with; the last one finds nothing left of them.
    plan[0] = plan[1] = plan[-1] = None
    plan[nights // 2], plan[2 * nights // 3] = WORSE, SLOWER
    return plan


def facts(soak: Nights) -> dict[str, Any]:
    """What is left of the nights."""
    return {
        "nights": len(soak.seen),
        "states": dict(Counter(night.state for night in soak.seen)),
        "quiet_states": dict(Counter(night.state for night in soak.seen if night.event is None)),
        "events": dict(Counter(night.event for night in soak.seen if night.event is not None)),
        "unaccounted": soak.unaccounted(),
        "worse_regressions": soak.regressions(WORSE),
        "slower_regressions": soak.regressions(SLOWER),
        "with_rows": len(list(soak.results.glob("*/predictions.parquet"))),
        "results_bytes": size(soak.results),
        "prefect_bytes": size(soak.installation.home),
        "cache_bytes": size(soak.scratch / "cache"),
    }


def wrong(found: dict[str, Any]) -> list[str]:
    """What is not as it should be, in words."""
    problems = {
        "processes are left": found["processes_left"],
        "a socket is left": found["sockets_left"],
        "nights are missing from the history": found["unaccounted"],
        "the worse model was not told once": found["worse_told"] != 1,
        "the worse model is no regression": not all(found["worse_regressions"]),
        "the slower machine is a regression": any(found["slower_regressions"]),
        "a night that nothing befell failed": set(found["quiet_states"]) - {"COMPLETED"},
        "old nights have their rows": found["with_rows"] > KEPT_DAYS + 7,
    }
    return [f"{text}: {found_wrong}" for text, found_wrong in problems.items() if found_wrong]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its server and worker end with it
    main()
