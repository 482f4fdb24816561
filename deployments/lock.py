"""Which files the packages are installed from: ``requirements.lock``, with the hash of each.

Standard library alone, since it runs before anything is installed:

    python deployments/lock.py fits              # status 0 where the lock is for this Python and system
    python deployments/lock.py torch REPORT      # says whether torch came from a known file
    python deployments/lock.py write REPORT...   # makes the lock from what pip says that it would install

A REPORT is what ``pip install --report`` writes. The lock is for one Python on one kind of system, as
wheels are. torch is not among its requirements: each index has another file of it, and pip's check is for
all or none. The hashes that are known of it stand in a comment.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
APART = ("torch", "ptdq")
"""torch, and this package itself, which is installed from its directory."""
_FOR = "# for: "
_TORCH = "# torch "


def here() -> str:
    """This Python and system, in the words of the lock."""
    return f"CPython {sys.version_info[0]}.{sys.version_info[1]} on {sys.platform} {platform.machine()}"


def fits(lock: Path = LOCK) -> bool:
    """Whether the lock is for this Python and system."""
    return f"{_FOR}{here()}" in lock.read_text(encoding="utf-8").splitlines()


def locked(lock: Path = LOCK) -> dict[str, tuple[str, str]]:
    """Version and hash of each package, by its name in lower case with dashes."""
    lines = re.findall(r"^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})$", lock.read_text("utf-8"), re.M)
    return {name: (version, digest) for name, version, digest in lines}


def known_torch(lock: Path = LOCK) -> dict[str, str]:
    """Hashes of files of torch, to the files' names."""
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if line.startswith(_TORCH)]
    return {digest: name for _, _, name, digest in (line.split(" ") for line in lines)}


def files_of(*reports: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Version, hash and file of each package that reports of pip have."""
    files = {}
    for each in (each for report in reports for each in report["install"]):
        name = re.sub(r"[-_.]+", "-", each["metadata"]["name"]).lower()
        info = each["download_info"]
        digest = info.get("archive_info", {}).get("hashes", {}).get("sha256", "")
        file = info["url"].rpartition("/")[2].replace("%2B", "+")
        files[name] = (each["metadata"]["version"], digest, file)
    return files


def lock_of(*reports: Mapping[str, Any]) -> str:
    """The text of the lock.

    Raises:
        ValueError: a package has no hash.
    """
    files = files_of(*reports)
    lines = [
        "# The file of each package; made by `make lock`, used by `make` where it fits.",
        f"{_FOR}{here()}",
    ]
    if "torch" in files:
        _, digest, file = files["torch"]
        lines.append(f"{_TORCH}{file} {digest}")
    for name, (version, digest, _) in sorted(files.items()):
        if name in APART:
            continue
        if not digest:
            raise ValueError(f"{name} {version}: no hash in the report")
        lines.append(f"{name}=={version} --hash=sha256:{digest}")
    return "\n".join(lines) + "\n"


def say_torch(report: Mapping[str, Any], lock: Path = LOCK) -> str:
    """In words, whether torch came from a file that is known."""
    files = files_of(report)
    if "torch" not in files:
        return "torch was there already"
    version, digest, file = files["torch"]
    if digest in known_torch(lock):
        return f"torch {version}: {file} has a known hash"
    return (
        f"torch {version}: {file} is of an index that requirements.lock does not know (sha256 {digest})"
    )


def main(arguments: list[str]) -> int:
    """Do what the first word says."""
    if arguments == ["fits"]:
        return 0 if fits() else 1
    word, *paths = arguments or [""]
    reports = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    if word == "torch" and len(reports) == 1:
        print(say_torch(*reports))
    elif word == "write" and reports:
        LOCK.write_text(lock_of(*reports), encoding="utf-8")
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
