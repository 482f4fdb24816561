"""Hooks of mkdocs: markers of pages, and pages that lie elsewhere in the repository."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import generate  # noqa: E402

from tests.benchmarks import real  # noqa: E402

ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages that people look for at the root: file to page."""

SAMPLE = "sample"
REPORTS = {
    ROOT / "results" / "sample": SAMPLE,
    **{real.report_of(name): f"real-{name}" for name in real.MODELS},
}
"""Directories of reports to where they are on the site; a benchmark's are there once it was run."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the reports with all that they link to, and the pages of the root."""
    for name in ELSEWHERE:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        for other, page in ELSEWHERE.items():
            text = text.replace(f"]({other}", f"]({page}")
        files.append(File.generated(config, ELSEWHERE[name], content=text))
    for directory, name in REPORTS.items():
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                place = f"{name}/{path.relative_to(directory).as_posix()}"
                found = File.generated(config, place, abs_src_path=str(path))
                if name != SAMPLE:
                    found.inclusion = InclusionLevel.NOT_IN_NAV  # the page of benchmarks leads to it
                files.append(found)
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the markers of a page, and have links to the root's pages lead to them."""
    for name, page in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{name})", f"]({page})")
    return generate.fill(markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Show names in docstrings as code: what stands before them is for another tool."""
    return re.sub(r":(?:class|data|func|meth|mod|attr):(?=<code>)", "", html)
