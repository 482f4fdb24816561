"""How a finished run ends: well, or failed, because of its cells or its gates."""

from __future__ import annotations

from collections.abc import Sequence

from ptdq.errors import GateFailed, RunFailed
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import GateRecord
from ptdq.store.run import round_name


def problem_of(files: RunFiles) -> RunFailed | GateFailed | None:
    """Why a run counts as failed although its report is written; None where it does not.

    Raises:
        UserError: there is no record, or it is damaged.
    """
    finished = record.read(files)
    if finished.failures:
        first = finished.failures[0]
        cell = f"{first.variant}, {first.max_length} tokens, {round_name(first.repeat)}"
        return RunFailed(
            f"{len(finished.failures)} cells failed, first {cell}: {first.error}; "
            f"the others are in {files.report}",
            str(files.directory),
        )
    failed = failed_gates(finished.gates)
    if failed:
        return GateFailed(f"{'; '.join(failed)}; report: {files.report}", str(files.directory))
    return None


def failed_gates(gates: Sequence[GateRecord]) -> list[str]:
    """Texts of the gates that fail the run: none where some variant passes all of its own."""
    by_variant: dict[str, list[GateRecord]] = {}
    for gate in gates:
        by_variant.setdefault(gate.variant, []).append(gate)
    if any(all(gate.passed for gate in of_variant) for of_variant in by_variant.values()):
        return []
    return [f"gate {gate.name} failed: {gate.text}" for gate in gates if not gate.passed]
