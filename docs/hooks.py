"""Hooks of mkdocs: markers of pages, and pages that lie elsewhere in the repository."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import generate  # noqa: E402

ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages that people look for at the root: file to page."""

SAMPLE = ROOT / "results" / "sample"


def on_files(files: Files, *, config: Any) -> Files:
    """Add the sample report with all that it links to, and the pages of the root."""
    for name in ELSEWHERE:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        for other, page in ELSEWHERE.items():
            text = text.replace(f"]({other}", f"]({page}")
        files.append(File.generated(config, ELSEWHERE[name], content=text))
    for path in sorted(SAMPLE.rglob("*")):
        if path.is_file():
            place = f"sample/{path.relative_to(SAMPLE).as_posix()}"
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the markers of a page, and have links to the root's pages lead to them."""
    for name, page in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{name})", f"]({page})")
    return generate.fill(markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Show names in docstrings as code: what stands before them is for another tool."""
    return re.sub(r":(?:class|data|func|meth|mod|attr):(?=<code>)", "", html)
