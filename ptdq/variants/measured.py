"""The artifact that a run measured, found again in the cache by its content."""

from __future__ import annotations

from ptdq.errors import UserError
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json
from ptdq.store.rows import VariantRow
from ptdq.store.run import Run
from ptdq.variants.artifact import MANIFEST, Artifact, open_artifact
from ptdq.variants.base import Settings, Variant

AGAIN = "make it again with `ptdq run` and export that run"


def measured_artifact(
    run: Run, name: str, variant: Variant, allowed: tuple[str | None, bool] | None = None
) -> Artifact:
    """The cached artifact whose content is that of the variant ``name`` in ``run``.

    Args:
        run: a finished run.
        name: of one of its variants.
        variant: of that name.
        allowed: which code may run: ``model_loader`` and ``trust_remote_code``; None for what the run
            was asked for.

    Raises:
        UserError: the run is not finished, has no figures of the variant, or its artifact is gone.
    """
    row = _measured(run, name)
    if allowed is None:
        asked = run.record.parameters
        allowed = (asked.get("model_loader"), bool(asked.get("trust_remote_code")))
    for path in sorted((cache_root() / "artifacts").glob(f"[!.]*/{MANIFEST}")):
        try:
            manifest = read_json(path)
            if (manifest.get("variant"), manifest.get("digest")) != (variant.name, row["digest"]):
                continue
            settings = Settings.from_json(manifest["settings"])
            if (settings.loader, settings.trust_remote_code) == allowed:
                # The digest that the run recorded, against files and manifest as they are.
                return open_artifact(path.parent, settings, row["digest"])
        except (UserError, KeyError, TypeError):
            continue  # damaged, changed, or of another version of ptdq: it is not the one
    raise UserError(
        f"run '{run.files.run_id}': its artifact of {name} is no longer in the cache ({cache_root()}), "
        f"or was changed there; {AGAIN}"
    )


def _measured(run: Run, name: str) -> VariantRow:
    """What the run says of the variant."""
    run_id, status = run.files.run_id, run.record.status
    if status != "completed":
        raise UserError(
            f"run '{run_id}' is not finished (status: {status}); go on with it first "
            f"(ptdq run --resume {run_id})"
        )
    rows = {row["variant"]: row for row in run.rows(VariantRow)}
    if name not in rows:
        raise UserError(f"run '{run_id}' has no variant '{name}'; it has {', '.join(run.variants)}")
    if name not in run.measured_variants:
        raise UserError(f"run '{run_id}' has no figures of {name}: its cells failed; {AGAIN}")
    return rows[name]
