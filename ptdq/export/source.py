"""The artifact that a run measured, found again in the cache by its content."""

from __future__ import annotations

from ptdq.errors import UserError
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json
from ptdq.store.run import Row, Run
from ptdq.variants.artifact import MANIFEST, Artifact, open_artifact
from ptdq.variants.base import Settings, Variant

AGAIN = "make it again with `ptdq run` and export that run"


def measured_artifact(run: Run, name: str, variant: Variant) -> Artifact:
    """The cached artifact whose content is that of the variant ``name`` in ``run``.

    Raises:
        UserError: the run is not finished, has no figures of the variant, or its artifact is gone.
    """
    row = _measured(run, name)
    allowed = (run.get("parameters", "model_loader"), bool(run.get("parameters", "trust_remote_code")))
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


def _measured(run: Run, name: str) -> Row:
    """What the run says of the variant."""
    run_id, status = run.files.run_id, run.record.status
    if status != "completed":
        raise UserError(
            f"run '{run_id}' is not finished (status: {status}); go on with it first "
            f"(ptdq run --resume {run_id})"
        )
    rows = {row["variant"]: row for row in run.rows("variants")}
    if name not in rows:
        raise UserError(f"run '{run_id}' has no variant '{name}'; it has {', '.join(run.variants)}")
    if name not in run.measured_variants:
        raise UserError(f"run '{run_id}' has no figures of {name}: its cells failed; {AGAIN}")
    return rows[name]
