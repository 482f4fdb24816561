"""The lock: a hash for each package that is pinned, and what is said of torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deployments import lock
from tests.support.running import ROOT

PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)


def entry(name: str, version: str, url: str, digest: str) -> dict[str, Any]:
    """What pip reports of a package."""
    return {
        "metadata": {"name": name, "version": version},
        "download_info": {"url": url, "archive_info": {"hashes": {"sha256": digest} if digest else {}}},
    }


def test_every_pinned_package_has_a_hash_of_that_version() -> None:
    """Where it fails: ``make lock``."""
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PINNED.items()}
    del pinned["torch"]
    assert {name: version for name, (version, _) in lock.locked().items()} == pinned
    assert lock.known_torch()


def test_make_installs_by_hash_where_the_lock_fits() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes -r requirements.lock" in text
    assert "lock.py fits" in text


def test_a_lock_is_what_pip_reports(tmp_path: Path) -> None:
    report = {
        "install": [
            entry("Some_Package", "1.0", "https://x/some_package-1.0-py3-none-any.whl", "a" * 64),
            entry("torch", "2.0+cpu", "file:///x/torch-2.0%2Bcpu-cp311.whl", "b" * 64),
            entry("ptdq", "0.1.0", "file:///x", ""),
        ]
    }
    path = tmp_path / "lock"
    path.write_text(lock.lock_of(report), encoding="utf-8")
    assert lock.locked(path) == {"some-package": ("1.0", "a" * 64)}
    assert lock.known_torch(path) == {"b" * 64: "torch-2.0+cpu-cp311.whl"}
    assert lock.fits(path)
    assert "has a known hash" in lock.say_torch(report, path)
    other = {"install": [entry("torch", "2.0", "https://x/torch-2.0.whl", "c" * 64)]}
    assert f"does not know (sha256 {'c' * 64})" in lock.say_torch(other, path)
    assert lock.say_torch({"install": []}, path) == "torch was there already"


def test_a_package_without_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match=r"some 1\.0: no hash"):
        lock.lock_of({"install": [entry("some", "1.0", "file:///x/some", "")]})


def test_another_python_or_system_is_not_meant(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("# for: CPython 2.7 on amiga m68k\n", encoding="utf-8")
    assert not lock.fits(path)
