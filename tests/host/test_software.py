"""Which commit is recorded: that of ptdq's own checkout, and no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ptdq.host.software import git_commit, measuring_versions, package_versions


def committed(directory: Path) -> str:
    """The commit of a new repository of what the directory holds."""
    git = ["git", "-C", str(directory), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_of_a_checkout_is_known(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "ptdq"\n')
    commit = committed(tmp_path)
    assert git_commit(tmp_path) == commit
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "ptdq"\nversion = "2"\n')
    assert git_commit(tmp_path) == f"{commit}-dirty"


@pytest.mark.parametrize("project", [None, '[project]\nname = "theirs"\n', "not TOML [", "[tool.x]\n"])
def test_a_repository_of_the_user_is_none_of_ours(tmp_path: Path, project: str | None) -> None:
    """As where a virtual environment lies in the user's repository."""
    installed = tmp_path / ".venv" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "module.py").touch()
    if project is not None:
        (tmp_path / "pyproject.toml").write_text(project)
    committed(tmp_path)
    assert git_commit(installed) is None
    assert git_commit(tmp_path) is None


def test_a_source_tree_below_a_repository_of_the_user_is_no_checkout(tmp_path: Path) -> None:
    source = tmp_path / "vendored"
    source.mkdir()
    (source / "pyproject.toml").write_text('[project]\nname = "ptdq"\n')
    committed(tmp_path)
    assert git_commit(source) is None


def test_versions_are_of_what_is_installed() -> None:
    versions, measuring = package_versions(), measuring_versions()
    assert {"ptdq", "torch", "prefect"} <= versions.keys()
    assert None not in versions.values()
    assert {name: version for name, version in measuring.items() if version} == {
        name: versions[name] for name in measuring if name in versions
    }
    assert "pandas" not in measuring
