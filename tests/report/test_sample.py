"""The committed sample is what this code makes of the sample's tables, and links to what is committed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ptdq.report import build_report
from ptdq.store.layout import RunFiles

SAMPLE = Path(__file__).resolve().parents[2] / "results" / "sample"


def test_the_report_is_that_of_its_tables(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "sample")
    (tmp_path / "sample" / "report.md").unlink()
    built = build_report(RunFiles(tmp_path / "sample")).path.read_text(encoding="utf-8")
    assert built == (SAMPLE / "report.md").read_text(encoding="utf-8")


def test_its_links_lead_somewhere() -> None:
    text = (SAMPLE / "report.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if "://" not in link and not (SAMPLE / link).exists()] == []
