"""The pages that are read where the repository is browsed: short, with links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ptdq.store.disk import read_json
from tests.benchmarks.variants import RESULTS
from tests.support.pages import README, pages
from tests.support.running import ROOT

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
BUILT = "sample/"
"""Pages that exist on the site alone."""


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= 8000


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link and BUILT not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_the_readme_s_figures_are_those_of_the_file() -> None:
    found = read_json(RESULTS)
    text = README.read_text(encoding="utf-8")
    assert found["git_commit"][:7] in text
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    sizes = {row["variant"]: f"{row['artifact_mb']:.1f}" for row in found["sizes"]}
    assert {name: size for name, size, *_ in rows} == sizes
    for row in found["rows"]:
        if row["max_length"] == 256:
            continue
        (shown,) = (cells[row["max_length"] == 384] for name, _, *cells in rows if name == row["variant"])
        ratio = "1x"
        if row["speedup"] is not None:
            ratio = f"{row['speedup']:.2f}x [{row['speedup_low']:.2f}, {row['speedup_high']:.2f}]"
        assert shown == f"{row['forward_p50_ms']:.0f} ms, {ratio}"
