"""Release: what a run says to ship, exported to where servers fetch it from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ptdq.errors import RunFailed, UserError, line_of
from ptdq.export.build import FACTS, export
from ptdq.store.layout import RunFiles
from ptdq.store.places import open_place
from ptdq.store.run import load

SHIP = "ship"


def release(files: RunFiles, publish_to: str) -> str:
    """Export the variant that the run's verdict says to ship.

    Args:
        files: of the run.
        publish_to: directory or URL that gets a directory ``RUN-VARIANT``.

    Returns:
        Where it is.

    Raises:
        UserError: the verdict is another, or there is a release of the run already.
        RunFailed: it cannot be copied there.
    """
    verdict = load(files).record.verdict
    if verdict is None or verdict.decision != SHIP or verdict.variant is None:
        said = "no verdict" if verdict is None else verdict.decision
        raise UserError(f"run '{files.run_id}': it says {said}; only what it says to ship is released")
    system, root = _open(publish_to)
    name = f"{files.run_id}-{verdict.variant}"
    target = f"{root}/{name}"
    if system.exists(f"{target}/{FACTS}"):
        raise UserError(f"publish_to {publish_to}: there is {name} already")
    with tempfile.TemporaryDirectory(prefix="ptdq-release-") as scratch:
        made = export(files, verdict.variant, Path(scratch) / name)
        _copy(made, system, target, publish_to)
    return f"{publish_to.rstrip('/')}/{name}"


def _copy(made: Path, system: Any, target: str, publish_to: str) -> None:
    """Copy all files, the one that the loader reads first last: without it there is no release."""
    paths = [path for path in made.rglob("*") if path.is_file()]
    try:
        for path in sorted(paths, key=lambda path: (path == made / FACTS, path)):
            place = f"{target}/{path.relative_to(made)}"
            system.makedirs(place.rpartition("/")[0], exist_ok=True)
            system.put_file(str(path), place)
    except Exception as error:  # each file system has errors of its own
        raise RunFailed(f"publish_to {publish_to}: {line_of(error)}") from error


def _open(url: str) -> tuple[Any, str]:
    try:
        return open_place(url)
    except (ImportError, ValueError) as error:
        raise UserError(f"publish_to {url}: {error}") from error
