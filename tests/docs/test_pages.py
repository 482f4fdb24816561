"""The pages that are read where the repository is browsed: short, with links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ptdq.store.disk import read_json
from tests.benchmarks.variants import HEADLINE, RESULTS, headline
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
    assert headline(found) in text
    assert all(found[case]["git_commit"][:7] in text for case in HEADLINE)
