"""The software that measures: versions of packages, and the commit of ptdq's own checkout."""

from __future__ import annotations

import importlib.metadata
import subprocess
import tomllib
from pathlib import Path

MEASURING = (
    "ptdq", "torch", "transformers", "tokenizers", "safetensors", "numpy", "torchao", "onnx",
    "onnxruntime", "openvino", "nncf",
)  # fmt: skip
"""Packages that decide what is measured."""

# Reports and tables can be made anew by other versions of these.
_REPORTING = ("prefect", "scipy", "scikit-learn", "pandas", "pyarrow")

_CHECKOUT = Path(__file__).resolve().parents[2]


def package_versions() -> dict[str, str]:
    """Versions of the packages that matter, those that are installed."""
    versions = {name: _version(name) for name in (*MEASURING, *_REPORTING)}
    return {name: version for name, version in versions.items() if version is not None}


def measuring_versions() -> dict[str, str | None]:
    """Versions of the packages that decide what is measured; None for one that is not installed."""
    return {name: _version(name) for name in MEASURING}


def git_commit(checkout: Path = _CHECKOUT) -> str | None:
    """Commit of ptdq's own checkout, with ``-dirty`` where files differ.

    None where this code does not run from one: an installed package may lie below a repository of the
    user's, whose commit says nothing of ptdq.
    """
    if not _is_checkout(checkout):
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), "describe", "--always", "--abbrev=40", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _is_checkout(directory: Path) -> bool:
    """Whether a directory is the root of a repository of ptdq (``.git`` is a file in a worktree)."""
    try:
        project = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return project.get("project", {}).get("name") == "ptdq" and (directory / ".git").exists()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
