"""A cache of directories that are whole or not there.

An entry is built beside its place and moved there in one step. Its manifest names every file with
the SHA-256 of its content, so that a damaged entry is noticed when it is asked for.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_tree(directory: Path) -> dict[str, str]:
    """The hash of each file below ``directory`` but the manifest, by its relative path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    hashes = {path.relative_to(directory).as_posix(): hash_file(path) for path in files}
    hashes.pop(MANIFEST, None)
    return hashes


def read_entry(entry: Path) -> dict[str, Any] | None:
    """The facts kept with ``entry``; None where it is not there or is not what was built."""
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        files, facts = manifest["files"], manifest["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts if isinstance(facts, dict) and files == hash_tree(entry) else None


def build_entry(entry: Path, build: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Has ``build`` fill an empty directory, moves it to ``entry`` and gives ``build``'s facts.

    Where ``build`` raises or is interrupted, nothing is left and a former entry stays. Where
    another process has put a sound entry in place meanwhile, that one is kept.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{entry.name}-", dir=entry.parent) as scratch:
        fresh, former = Path(scratch, "fresh"), Path(scratch, "former")
        fresh.mkdir()
        facts = build(fresh)
        manifest = {"facts": facts, "files": hash_tree(fresh)}
        text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
        (fresh / MANIFEST).write_text(text, encoding="utf-8")
        present = read_entry(entry)
        if present is not None:
            return present
        if entry.exists():
            entry.replace(former)
        fresh.replace(entry)  # the one step, os.replace
    return facts
