"""Data sets of the library ``datasets``, by name or as saved, and data frames in Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from ptdq import api
from ptdq.errors import UserError
from ptdq.inputs.load import read_data
from ptdq.parameters import make_parameters

ROWS = {"text": ["a b", "c d", "e f"], "label": [0, 1, 0]}


def read(name: object, **values: object) -> tuple[list[str], list[str]]:
    raw = read_data(make_parameters({"model": "m", "data": str(name), **values}))
    return list(raw.texts), raw.labels


def test_a_saved_data_set_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    names = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    test = datasets.Dataset.from_dict(ROWS, features=names, split="test")
    datasets.DatasetDict({"test": test}).save_to_disk(tmp_path / "several")
    test.save_to_disk(tmp_path / "one")
    for name in ("several", "one"):
        assert read(tmp_path / name, split="test") == (ROWS["text"], ["0", "1", "0"])
        with pytest.raises(UserError, match="train"):
            read(tmp_path / name, split="train")
    with pytest.raises(UserError, match="no column 'body'; there are text, label"):
        read(tmp_path / "one", split="test", text_column="body")
    # Files in a directory are a data set as well, and a split may be a part.
    (tmp_path / "files").mkdir()
    pd.DataFrame(ROWS).to_csv(tmp_path / "files" / "test.csv", index=False)
    assert read(tmp_path / "files", split="test[:2]") == (["a b", "c d"], ["0", "1"])
    # In Python the data set itself.
    assert read(api._data(test)) == (ROWS["text"], ["0", "1", "0"])


def test_one_that_is_nowhere_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(UserError, match=r"data nobody/nothing, split test: it cannot be read") as caught:
        read("nobody/nothing", split="test")
    assert len(str(caught.value).splitlines()) == 1


def test_the_package_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="pip install datasets"):
        read("ag_news", split="test")
    with pytest.raises(UserError, match="a data set by its name needs --split"):
        read("ag_news")


def test_a_data_frame_is_data_in_python() -> None:
    frame = pd.DataFrame({**ROWS, "label": ["no", "yes", "no"]}, index=[7, 8, 9])
    path = api._data(frame)
    assert read(path) == (ROWS["text"], ["no", "yes", "no"])
    assert api._data(frame.copy()) == path  # by content
    assert api._data("data.csv") == "data.csv"
    with pytest.raises(UserError, match="the data frame cannot be written as Parquet"):
        api._data(pd.DataFrame({"text": [1, "a", object()]}))
