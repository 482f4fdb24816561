"""Test documents among the calibration documents: counted, warned of, and said with the data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ptdq.errors import UserError
from ptdq.inputs.load import Loaded, read_data, read_model
from ptdq.inputs.shared import shared_words
from ptdq.parameters import make_parameters
from ptdq.statistics.duplicates import Shared

LONG = "The committee met on Tuesday to discuss the budget for the coming year, and agreed on nothing."
TEST = [LONG, "球队今晚比赛胜负难料。医生建议多走少坐。", "something else", "and one more"]


def loaded(model: Path, directory: Path, calibration: list[str]) -> Loaded:
    test, other = directory / "test.csv", directory / "other.csv"
    pd.DataFrame({"text": TEST, "label": [0, 1, 2, 0]}).to_csv(test, index=False)
    pd.DataFrame({"text": calibration}).to_csv(other, index=False)
    parameters = make_parameters(
        {"model": str(model), "data": str(test), "calibration_data": str(other), "max_length": [16]}
    )
    return read_model(parameters, read_data(parameters))


def test_copies_but_for_signs_and_near_copies_are_warned_of(tiny_model: Path, tmp_path: Path) -> None:
    calibration = [LONG.replace("Tuesday", "Monday"), "Something else!", "a third text"]
    found = loaded(tiny_model, tmp_path, calibration)
    assert found.shared == Shared(1, 1, 3, 4, 3, 3)
    warning = str(found.warning)
    assert warning.startswith(
        "calibration_data: 1 of 4 test documents are copies of calibration documents"
    )
    assert "1 nearly" in warning
    assert warning.endswith("flatter the static variants")


def test_documents_apart_are_no_warning(tiny_model: Path, tmp_path: Path) -> None:
    found = loaded(tiny_model, tmp_path, ["a third text", "a fourth"])
    assert found.shared == Shared(0, 0, 4, 4, 2, 2)
    assert found.warning is None


def test_the_same_document_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 of its documents are in the test set"):
        loaded(tiny_model, tmp_path, [LONG, "another"])


def test_a_sample_is_said_to_be_one() -> None:
    assert "that were compared" not in shared_words(Shared(0, 0, 800, 800, 500, 500))
    said = shared_words(Shared(20, 3, 2000, 50_000, 1000, 9000))
    assert "20 of 50,000 test documents are copies" in said
    assert "3 nearly" in said
    assert "of 2,000 that were compared with 1,000 of 9,000" in said
