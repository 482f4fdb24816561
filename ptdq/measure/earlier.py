"""The baseline run of a new one: which it is, and its artifacts that are measured again.

An artifact that is the same, byte for byte, is not measured twice: what could come out is noise. Nothing
that the earlier run left is believed: an artifact has the content that the run recorded, and code of a
model runs only where the new run allows the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.parameters import Parameters
from ptdq.store import baseline, record
from ptdq.store.cache import mark_used
from ptdq.store.layout import RunFiles
from ptdq.store.results import as_data
from ptdq.store.run import Run, load
from ptdq.variant_names import earlier_name
from ptdq.variants import registry
from ptdq.variants.measured import AGAIN, measured_artifact
from ptdq.variants.preparation import PreparedVariant


@dataclass(frozen=True)
class Earlier:
    """What a new run is compared with.

    Attributes:
        since: the earlier run, by its id or directory; None without one.
        artifacts: those of it that are measured again, by their names in the new run.
        not_again: the other variants that both have, to the reason.
    """

    since: str | None = None
    artifacts: dict[str, PreparedVariant] = field(default_factory=dict)
    not_again: Mapping[str, str] = field(default_factory=dict)


NOTHING = Earlier()


def find_earlier(
    parameters: Parameters,
    files: RunFiles,
    resuming: bool,
    prepared: Mapping[str, PreparedVariant],
    checkpoint: Checkpoint,
    say: Callable[[str], None],
) -> Earlier:
    """The run to compare with, and its artifacts.

    A baseline that was marked and has gone is said, and keeps nobody from measuring.

    Args:
        parameters: of the new run.
        files: of the new run.
        resuming: whether it goes on: then it is compared with what it was to be compared with.
        prepared: its own artifacts, the baseline variant first.
        checkpoint: its model.
        say: told what is not measured again.

    Raises:
        UserError: the mark cannot be read, or there is no such run as was named.
    """
    results = files.directory.parent
    wanted = record.read(files).since or baseline.NONE if resuming else parameters.baseline
    try:
        old = baseline.choose(results, wanted)
    except UserError as error:
        if wanted is not None and not resuming:
            raise
        say(str(error))
        return Earlier(wanted or baseline.marked(results))
    if old is None and wanted is None and parameters.fail_on_regression:
        old = last_good(results, parameters)
    if old is None:
        return NOTHING
    inside = old.directory.resolve().parent == results.resolve()
    name_of_old = old.run_id if inside else str(old.directory.resolve())
    try:
        with as_data(old):
            run = load(old)
            known = run.measured_variants
    except UserError as error:
        if wanted is not None and not resuming:
            raise
        say(str(error))
        return Earlier(name_of_old)
    artifacts: dict[str, PreparedVariant] = {}
    not_again: dict[str, str] = {}
    for name in list(prepared)[1:] or list(prepared):
        if name not in known:
            continue
        try:
            with as_data(old):
                artifacts[earlier_name(name)] = _artifact(
                    run, name, parameters, prepared[name], checkpoint
                )
        except UserError as error:
            not_again[name] = str(error).removesuffix(f"; {AGAIN}")
            say(f"{name} of {old.run_id} is not measured again: {not_again[name]}")
    return Earlier(name_of_old, artifacts, not_again)


def _artifact(
    run: Run, name: str, parameters: Parameters, own: PreparedVariant, checkpoint: Checkpoint
) -> PreparedVariant:
    """The artifact of a variant of the earlier run; raises UserError where there is none, and why."""
    allowed = (parameters.model_loader, parameters.trust_remote_code)
    artifact = measured_artifact(run, name, registry.get(name), allowed)
    if artifact.digest == own.artifact.digest:
        raise UserError("its artifact is the same, byte for byte")
    before = run.record.model
    if before.labels != checkpoint.class_names:
        raise UserError("its model has other classes")
    if before.max_positions is not None and max(parameters.max_length) > before.max_positions:
        raise UserError(f"its model takes no more than {before.max_positions} tokens")
    mark_used(artifact.directory)
    return PreparedVariant(artifact, cached=True)


def last_good(results: Path, parameters: Parameters) -> RunFiles | None:
    """The last run of the same model and data on this kind of machine that failed in nothing.

    A run that became worse than its own baseline is none: the next one is compared with what was before.
    """
    good: list[tuple[str, RunFiles]] = []
    for path in results.glob("*/run.json"):
        files = RunFiles(path.parent)
        try:
            noted = record.read(files)
        except UserError:
            continue  # damaged, or of a newer version
        asked = noted.parameters
        same = (asked.get("model"), asked.get("data")) == (parameters.model, parameters.data)
        worse = noted.baseline is not None and noted.baseline.regressions
        failed = noted.failures or record.failed_gates(noted.gates)
        well = noted.status == "completed" and not failed and not worse
        if same and well and noted.machine.cpu == machine.cpu_model():
            good.append((noted.started_at or "", files))
    return max(good, key=lambda pair: pair[0])[1] if good else None
