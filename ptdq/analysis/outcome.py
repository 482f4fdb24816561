"""How a finished run ends: well, or failed, because of its cells or its gates."""

from __future__ import annotations

from ptdq.errors import GateFailed, RunFailed
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import RunRecord
from ptdq.store.run import round_name
from ptdq.variant_names import is_earlier


def problem_of(files: RunFiles) -> RunFailed | GateFailed | None:
    """Why a run counts as failed although its report is written; None where it does not.

    Raises:
        UserError: there is no record, or it is damaged.
    """
    finished = record.read(files)
    # An old artifact that can't run any more is no fault of the new ones; the report says so.
    failures = [cell for cell in finished.failures if not is_earlier(cell.variant)]
    if failures:
        first = failures[0]
        cell = f"{first.variant}, {first.max_length} tokens, {round_name(first.repeat)}"
        return RunFailed(
            f"{len(failures)} cells failed, first {cell}: {first.error}; "
            f"the others are in {files.report}",
            str(files.directory),
        )
    failed = gate_failures(finished)
    if failed:
        return GateFailed(f"{'; '.join(failed)}; report: {files.report}", str(files.directory))
    return None


def gate_failures(finished: RunRecord) -> list[str]:
    """Why the gates fail the run, those on what became worse included; nothing where they don't."""
    return record.failed_gates(finished.gates) + _regressions(finished)


def _regressions(finished: RunRecord) -> list[str]:
    """What became worse since the baseline run, where that fails the run."""
    if not finished.parameters.get("fail_on_regression") or finished.baseline is None:
        return []
    return [f"since {finished.baseline.old}: {text}" for text in finished.baseline.regressions]
