"""Which columns are taken for documents and labels where nobody names them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ptdq.errors import UserError
from ptdq.inputs.columns import guess_columns

LONG = [f"a document of some length, number {i}" for i in range(20)]
FEW = ["a", "b"] * 10
IDS = [f"id-{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": LONG, "label": FEW}, ("text", "label")),
        ({"id": IDS, "Sentence": LONG, "Category": FEW}, ("Sentence", "Category")),
        # By what is in them.
        ({"id": IDS, "x1": LONG, "x2": FEW}, ("x1", "x2")),
        ({"n": range(20), "x1": [0, 1] * 10, "x2": LONG}, ("x2", "x1")),
        ({"vectors": [[1], [2]] * 10, "x1": LONG, "x2": FEW}, ("x1", "x2")),
        # A name that fits goes before content.
        ({"label": FEW, "kind": ["x"] * 19 + ["y"], "body": LONG}, ("body", "label")),
    ],
)
def test_columns_are_found(columns: dict[str, Any], expected: tuple[str, str]) -> None:
    assert guess_columns(pd.DataFrame(columns), "d.csv") == expected


def test_what_is_given_is_kept() -> None:
    frame = pd.DataFrame({"text": IDS, "body": LONG, "label": FEW, "kind": FEW})
    assert guess_columns(frame, "d.csv", text="body", label="kind") == ("body", "kind")


@pytest.mark.parametrize(
    ("columns", "what", "option"),
    [
        ({"x1": [1.5] * 20, "x2": FEW}, "documents", "--text-column"),
        ({"x1": LONG, "x2": IDS}, "labels", "--label-column"),
        ({"x1": LONG, "x2": ["same"] * 20}, "labels", "--label-column"),
    ],
)
def test_what_is_not_found_is_asked_for(columns: dict[str, Any], what: str, option: str) -> None:
    frame = pd.DataFrame(columns)
    if what == "documents":
        frame["x2"] = range(20)
    with pytest.raises(UserError, match=f"d.csv: no column looks like {what}; .*{option}"):
        guess_columns(frame, "d.csv")
