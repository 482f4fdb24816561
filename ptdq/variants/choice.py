"""Which variants a run measures: what ``all`` stands for, and what has to be there for each.

Without Prefect, so that the command line refuses within a second what is impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from ptdq.errors import UserError
from ptdq.host.machine import cap, cpu_flags, hidden_flags
from ptdq.parameters import ALL, DEMO, Parameters
from ptdq.variants import registry

if TYPE_CHECKING:
    from ptdq.inputs.checkpoint import Checkpoint


@dataclass(frozen=True)
class Chosen:
    """Which variants are measured.

    Attributes:
        names: in order; the first is the baseline.
        optional: those that ``all`` added and nobody named; one that turns out impossible is left out.
        skipped: those that ``all`` would have added, to the reason why it did not.
    """

    names: list[str]
    optional: frozenset[str]
    skipped: dict[str, str]


def choose(parameters: Parameters) -> Chosen:
    """The variants that the parameters ask for.

    Raises:
        UserError: a variant that was named cannot be loaded, or lacks what it needs.
    """
    return choose_variants(
        parameters.variant,
        parameters.keep_float_mixed,
        batch_size=parameters.batch_size,
        # The demo brings its training documents; of random weights no quality is claimed.
        calibrated=parameters.calibration_data is not None
        or parameters.data == DEMO
        or parameters.random_weights,
    )


def choose_variants(
    wanted: Sequence[str], mixed: Sequence[str], *, batch_size: int = 1, calibrated: bool = True
) -> Chosen:
    """What to measure: ``all`` stands for every variant, at its place in the list.

    Args:
        wanted: names, and ``all``.
        mixed: modules that were found for the variants that take them.
        batch_size: documents in a batch.
        calibrated: whether there is something that static variants may calibrate on.

    Raises:
        UserError: a variant that was named cannot be loaded, or lacks what it needs.
    """
    names: list[str] = []
    skipped: dict[str, str] = {}
    expanded = (registry.names() if word == ALL else [word] for word in wanted)
    for name in dict.fromkeys(chain.from_iterable(expanded)):
        try:
            check_fit(name, mixed, batch_size, calibrated)
            if name not in wanted:
                check_native(name)
        except UserError as error:
            if name in wanted:
                raise
            skipped[name] = str(error).removeprefix(f"variant {name} ")
        else:
            names.append(name)
    return Chosen(names, frozenset(names).difference(wanted), skipped)


def check_fit(name: str, mixed: Sequence[str], batch_size: int, calibrated: bool) -> None:
    """Raises UserError where a variant cannot be loaded, or lacks packages or parameters."""
    registry.check_installed(name)
    variant = registry.get(name)
    if variant.takes_mixed and not mixed:
        raise UserError(f"variant {name} needs keep_float_mixed, which `ptdq sensitivity` finds")
    if variant.calibrates and not calibrated:
        raise UserError(
            f"variant {name} calibrates: give --calibration-data, labelled or not, never the test set"
        )
    if not variant.heeds_cap and cap() is not None and (beyond := hidden_flags()):
        raise UserError(
            f"variant {name} cannot be capped: its runtime would use {', '.join(beyond)} all the same"
        )
    if variant.max_batch is not None and batch_size > variant.max_batch:
        raise UserError(f"variant {name} takes a batch_size of up to {variant.max_batch}")


def check_native(name: str) -> None:
    """Raises UserError where this CPU would only emulate the arithmetic of a variant."""
    needed = registry.get(name).instructions
    if needed and not set(needed).intersection(cpu_flags()):
        raise UserError(
            f"variant {name} needs one of {', '.join(needed)}, which this CPU lacks: it would emulate it"
        )


def keep_fitting(chosen: Chosen, longest: int, checkpoint: Checkpoint) -> Chosen:
    """Leaves out optional variants that do not take the model, or inputs of ``longest`` tokens of it.

    Raises:
        UserError: a variant that was named does not.
    """
    reasons: dict[str, str] = {}
    for name in chosen.names:
        bound = registry.get(name).max_tokens
        try:
            registry.check_takes(name, checkpoint.family)
            if checkpoint.max_positions is None and bound is not None and longest > bound:
                raise UserError(
                    f"variant {name} takes a max_length of up to {bound} from a model that names no bound"
                )
        except UserError as error:
            if name not in chosen.optional:
                raise
            reasons[name] = str(error).removeprefix(f"variant {name} ")
    names = [name for name in chosen.names if name not in reasons]
    return replace(chosen, names=names, skipped=chosen.skipped | reasons)


def say_skipped(skipped: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Say which variants are left out, and why."""
    for name, reason in skipped.items():
        say(f"skipped {name}: {reason}")
