"""What this machine was found to do a while ago, and need not be asked again by each run.

Kept in the cache, by what was measured, the machine since it was started, and the software; for some
hours at most, since clocks and neighbours change. Runs that follow each other save seconds by it.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.host.software import measuring_versions
from ptdq.store.cache import MACHINE, cache_entry
from ptdq.store.disk import digest_of, read_json, write_json
from ptdq.store.in_use import boot_id

LATELY = timedelta(hours=12)
"""A run of each night measures anew; one that is repeated on the same day does not."""

T = TypeVar("T")


def measured_lately(
    what: Mapping[str, Any],
    measure: Callable[[], Mapping[str, Any] | None],
    read: Callable[[Mapping[str, Any]], T],
    *,
    keep: bool = True,
) -> tuple[T, datetime | None] | None:
    """What was measured here lately, with its moment; else what is measured now, with None.

    None where it could not be measured.

    Args:
        what: is measured: all that it depends on, but the machine and the software, as JSON.
        measure: does so; gives JSON, or None where it could not.
        read: makes the value from that; raises where it is not what is expected, as a file that
            was changed may be: then it is measured.
        keep: whether a value that is measured now may serve others: not where the machine is busy.

    Raises:
        UserError: as :func:`ptdq.store.cache.private_cache`.
    """
    started = boot_id()
    path = cache_entry(MACHINE, digest_of([what, _here(started)])).with_suffix(".json")
    if started is not None:
        with contextlib.suppress(UserError, ArithmeticError, ValueError, TypeError, KeyError, OSError):
            kept = read_json(path)
            moment = datetime.fromisoformat(kept["measured_at"])
            if timedelta(0) <= datetime.now(UTC) - moment < LATELY:
                return read(kept["value"]), moment
    found = measure()
    if found is None:
        return None
    if keep and started is not None:
        with contextlib.suppress(OSError):  # a cache that is full, or not ours to write
            write_json(path, {"measured_at": datetime.now(UTC).isoformat(), "value": dict(found)})
    return read(found), None


def _here(started: str | None) -> dict[str, Any]:
    """The machine, as long as it runs, and the software."""
    cores = machine.usable_cores()
    return {
        "boot_id": started,
        "node": platform.node(),
        "cpu": machine.cpu_model(),
        "flags": machine.cpu_flags(),
        "cores": cores,
        "governor": machine.governor(cores[0]),
        "versions": measuring_versions(),
    }
