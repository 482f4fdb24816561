"""From a checkpoint to an artifact in the cache, in a process of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from ptdq.errors import RunFailed, UserError
from ptdq.host import terminal
from ptdq.host.clock import TimeLimit
from ptdq.host.futures import Future, wait_for_all
from ptdq.host.machine import usable_cores
from ptdq.host.process import Program, run_child
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.parameters import Parameters
from ptdq.store.cache import cache_entry, cache_root, mark_used, put_in_place, replaceable, staging
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact, cache_key, open_artifact
from ptdq.variants.base import Settings
from ptdq.variants.prepare import USER_ERROR_STATUS
from ptdq.variants.steps import last_step

SIDE_BY_SIDE = os.cpu_count() or 1
"""Preparations, and cells, that a run's flow starts at a time; what is more waits."""


@dataclass(frozen=True)
class Terms:
    """What a preparation may take.

    Attributes:
        timeout: seconds, besides those that it may search.
        use_cache: whether an entry of the cache will do.
        beside: how many are prepared at a time, this one included: they share the cores.
    """

    timeout: float
    use_cache: bool = True
    beside: int = 1

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """Those of a run."""
        return cls(parameters.cell_timeout, not parameters.no_cache)


@dataclass(frozen=True)
class PreparedVariant:
    """An artifact, and whether it was in the cache already."""

    artifact: Artifact
    cached: bool


def prepare_variant(
    name: str,
    checkpoint: Checkpoint,
    settings: Settings,
    calibration: CalibrationRequest,
    log: Path,
    terms: Terms,
) -> PreparedVariant:
    """The artifact of a variant, made or found.

    A cache entry whose files are not those that were written is made anew.

    Args:
        name: of the variant.
        checkpoint: the float model.
        settings: engine, modules, granularity and so on.
        calibration: what static variants calibrate on.
        log: gets the output of the process that prepares.
        terms: what it may take.

    Raises:
        UserError: the model cannot be converted this way.
        RunFailed: the process died or exceeded its time limit.
    """
    registry.check_installed(name)
    registry.check_takes(name, checkpoint.family)
    variant = registry.get(name)
    # So that the artifacts of the others are found whatever these are.
    if not (variant.takes_mixed or variant.tunes):
        settings = replace(settings, keep_float_mixed=())
    if not variant.tunes:
        settings = replace(settings, tune_minutes=0.0)
    target = cache_entry("artifacts", cache_key(checkpoint.digest, variant, settings, calibration.digest))
    if terms.use_cache and (known := _cached(target, settings)) is not None:
        mark_used(target)
        return PreparedVariant(known, cached=True)
    # In a directory of this process, which removes it however the child ends.
    with staging(target) as scratch:
        made = scratch / "artifact"
        ended = run_child(
            Program("ptdq.variants.prepare", variant.python),
            {
                "variant": name,
                "source": str(checkpoint.directory),
                "settings": asdict(settings),
                "calibration": asdict(calibration),
                "target": str(made),
            },
            scratch / "request.json",
            log,
            # More threads than cores wait for each other in loops: some calls take fifty times as long.
            threads=max(1, len(usable_cores()) // terms.beside),
            timeout=terms.timeout + 60 * settings.tune_minutes,
            on_progress=lambda _: terminal.doing(f"{name}: {last_step(log)}"),
        )
        if ended.returncode == USER_ERROR_STATUS and ended.reason:
            raise UserError(ended.reason)
        if ended.reason:
            raise RunFailed(f"preparing {name}: {ended.reason}; its log is {log}")
        with replaceable(target):
            # Another process may have made the same meanwhile, and be using it.
            if not (terms.use_cache and _cached(target, settings)):
                put_in_place(made, target)
    return PreparedVariant(open_artifact(target, settings), cached=False)


def in_turns(names: Iterable[str]) -> list[list[str]]:
    """Which variants may be prepared side by side: first those that only compute; then, each alone, those
    that measure."""
    alone = {name: registry.get(name).tunes for name in names}
    together = [name for name, tunes in alone.items() if not tunes]
    return [turn for turn in (together, *([name] for name, tunes in alone.items() if tunes)) if turn]


def start_in_turns(
    names: Sequence[str],
    terms: Terms,
    start: Callable[[str, Terms], Future[PreparedVariant]],
    limit: TimeLimit,
) -> dict[str, Future[PreparedVariant]]:
    """Start the preparation of each, turn by turn; all have ended then, however they ended.

    Args:
        names: of the variants.
        terms: what each may take; those of a turn share the cores.
        start: starts one, given its name and its terms.
        limit: time that the run may take.

    Raises:
        RunFailed: the run's time limit is exceeded.
    """
    futures: dict[str, Future[PreparedVariant]] = {}
    for turn in in_turns(names):
        shared = replace(terms, beside=min(len(turn), SIDE_BY_SIDE))
        futures |= {name: start(name, shared) for name in turn}
        wait_for_all(futures.values(), limit)
    return {name: futures[name] for name in names}


def _cached(target: Path, settings: Settings) -> Artifact | None:
    """The artifact of a cache entry; None where there is none, or it is damaged."""
    try:
        return open_artifact(target, settings)
    except UserError:
        return None


def preparation_log(name: str) -> Path:
    """Where the process that prepares a variant writes its output."""
    return cache_root() / "logs" / f"prepare-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}.log"


def collect_prepared(
    futures: Mapping[str, Future[PreparedVariant]], optional: Collection[str], limit: TimeLimit
) -> tuple[dict[str, PreparedVariant], dict[str, str]]:
    """Artifacts by variant, once all are done, and optional variants that cannot be made, with reasons.

    Args:
        futures: by variant, the baseline first.
        optional: variants that may be left out.
        limit: time that the run may take.

    Raises:
        UserError, RunFailed: an artifact cannot be made that is not optional, or is the baseline; or not
            within the run's time limit.
    """
    wait_for_all(futures.values(), limit)
    prepared: dict[str, PreparedVariant] = {}
    skipped: dict[str, str] = {}
    for name, future in futures.items():
        try:
            prepared[name] = future.result()
        except (UserError, RunFailed) as error:
            if name not in optional or name == next(iter(futures)):
                raise
            skipped[name] = str(error)
    return prepared, skipped
