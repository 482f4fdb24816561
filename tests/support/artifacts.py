"""Whether an artifact on disk is as it was made."""

from __future__ import annotations

from pathlib import Path

from ptdq.errors import UserError
from ptdq.store.disk import read_json
from ptdq.variants.artifact import MANIFEST, open_artifact
from ptdq.variants.base import Settings


def whole(directory: Path) -> bool:
    """Whether files and manifest are what the digest says."""
    try:
        open_artifact(directory, Settings.from_json(read_json(directory / MANIFEST)["settings"]))
    except UserError:
        return False
    return True
