"""The pages that people read, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.support.running import ROOT

README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"

_BLOCK = re.compile(r"^```sh([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(ptdq [^`]+)`")


def pages() -> list[Path]:
    """Every page in Markdown that is written by hand."""
    at_root = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    return [*at_root, ROOT / "results" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[str]:
    """The blocks of shell commands of a page that have no title of their own."""
    return [text for title, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if not title.strip()]


def commands(page: Path) -> list[list[str]]:
    """The lines of its blocks that call ``ptdq``, as words; a line that goes on is one."""
    lines = [line for block in blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [found for found in words if found[:1] == ["ptdq"]]


def mentioned(page: Path) -> list[list[str]]:
    """Calls of ``ptdq`` within sentences and tables, as words."""
    return [shlex.split(text) for text in _INLINE.findall(page.read_text(encoding="utf-8"))]
