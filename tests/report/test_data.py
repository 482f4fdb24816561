"""What the report says of the data: how many documents, groups and texts, and what calibration shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ptdq.report.sections.opening import question
from ptdq.report.sections.page import Page
from ptdq.store.run import load
from tests.support.factory import Factory

SHARED = {"copies": 0, "near": 0, "compared": 60, "test": 60, "compared_with": 90, "calibration": 90}


def said(directory: Path, group_column: str | None = None, **data: Any) -> str:
    factory = Factory(directory / "r")
    factory.record["data"] |= data
    factory.record["parameters"] |= {"group_column": group_column}
    return question(Page(load(factory.write()), {}))


def test_documents_that_stand_alone_need_no_word(tmp_path: Path) -> None:
    assert "counted as" not in said(tmp_path, texts=60)


def test_groups_and_copies_are_counted(tmp_path: Path) -> None:
    text = said(tmp_path, "author", documents=60, texts=55, groups=12)
    assert "12 groups of documents that belong together (`author`): each counts as one" in text
    assert "55 different texts" in text
    assert "40 different texts: copies count as one" in said(tmp_path / "other", documents=60, texts=40)


def test_what_calibration_and_test_share_is_said_with_the_data(tmp_path: Path) -> None:
    assert "none of 60 test documents is a copy" in said(tmp_path / "none", shared=SHARED)
    text = said(tmp_path / "some", shared=SHARED | {"near": 7})
    assert "7 nearly" in text
    assert "**0 of 60 test documents are copies" in text
