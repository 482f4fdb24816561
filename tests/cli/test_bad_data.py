"""Wrong files of documents, and labels that mean nothing or two things: one line each, and what to do."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from ptdq.inputs.documents import class_ids
from ptdq.inputs.labels import read_label_map
from tests.conftest import CLASSES
from tests.support.complaints import complaint, read, says


def test_data_file_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    says(complaint(read, path), path, "no such file", "--data")


def test_data_file_is_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.mkdir()
    says(complaint(read, path), path, "directory")


@pytest.mark.parametrize("content", [b"", b"text,label\n"])
def test_data_file_is_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(content)
    says(complaint(read, path), path, "text, label" if content else "empty", "row")


def test_data_file_is_of_unknown_type(tmp_path: Path) -> None:
    path = tmp_path / "data.xls"
    path.touch()
    says(complaint(read, path), path, ".xls", ".csv", ".tsv", ".jsonl", ".parquet")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.parquet", b"no such thing"),
        ("broken.jsonl", b'{"text": "a", "label": \n'),
        ("broken.csv", b'text,label\n"a,0\n'),
        ("uneven.csv", b"text,label\na,0\na,0,1,2\n"),
        ("broken.csv.gz", b"no such thing"),
    ],
)
def test_data_file_is_not_what_its_name_says(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    says(complaint(read, path), path)


def test_data_file_is_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "gbk.csv"
    path.write_bytes("text,label\n球队,0\n".encode("gbk"))
    says(complaint(read, path), path, "byte 11", "utf-8", "--encoding gb18030")
    assert read(path, encoding="gbk").texts == ["球队"]
    says(complaint(read, path, encoding="klingon"), "klingon")


@pytest.mark.parametrize("column", ["text", "label"])
def test_column_is_missing(tmp_path: Path, column: str) -> None:
    path = tmp_path / "data.csv"
    other = {"text": "label", "label": "text"}[column]
    path.write_text(f"{other},title\n1,2\n")
    says(complaint(read, path), path, f"'{column}'", other, "title", f"--{column}-column")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_text_is_missing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"data.{ending}"
    frame = pd.DataFrame({"text": ["a", None, "b", " ", None], "label": [0, 1, 0, 1, 0]})
    write = {
        "csv": lambda: frame.to_csv(path, index=False),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(path),
    }
    write[ending]()
    says(complaint(read, path), path, "'text'", "3 missing", "2, 4, 5")


def test_text_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a", "label": 0}\n{"text": 7, "label": 0}\n')
    says(complaint(read, path), path, "'text'", "1 missing or non-text", "row", "2")


def test_label_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na,0\nb,\n")
    says(complaint(read, path), path, "'label'", "1 missing", "2")


@pytest.mark.parametrize("label", ["politics", "3", "-1"])
def test_label_is_not_known_to_the_model(tmp_path: Path, label: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"text,label\na,sport\nb,{label}\n")
    text = complaint(class_ids, read(path), CLASSES, None)
    says(text, path, f"'{label}'", "row 2", *CLASSES, "--label-map")


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("lone.csv", 'text,label\n"a,0\nb,1\n', ["row 1 (line 2)", "quote"]),
        ("shifted.csv", "text,label\nFirst, we won,sport\n", ["row 1 (line 2)", "3 fields", "quotes"]),
        ("short.tsv", "text\tlabel\na\t0\nb\n", ["row 2 (line 3)", "1 field", "2"]),
        ("two.tsv", 'text\tlabel\n"a\t0\nb"\t1\n', ["line 2", "two ways", "JSON lines"]),
        ("twice.csv", "text,label,label\na,0,1\n", ["2 columns", "'label'", "rename"]),
        ("array.jsonl", '[{"text": "a", "label": 0}]\n', ["line 1", "list"]),
        ("many.jsonl", "[\n]\n", ["line 1", "ends in .json"]),
        ("key.jsonl", '{"text": "a", "text": "b", "label": 0}\n', ["line 1", "'text' is there twice"]),
        ("deep.jsonl", "[" * 100_000, ["line 1", "not valid JSON"]),
        ("object.json", '{"text": {"0": "a"}, "label": {"0": 0}}', ["'text'", "objects"]),
        ("broken.json", '[{"text": "a", "label": 0}', ["not valid JSON"]),
        (
            "nested.jsonl",
            '{"text": "a", "label": {"id": 0}}\n',
            ["'label'", "objects", "text or a number"],
        ),
        ("semicolons.csv", "body;label\na;0\n", ["no column 'text'", "body;label", "--text-column"]),
    ],
)
def test_data_file_is_malformed(tmp_path: Path, name: str, content: str, parts: list[str]) -> None:
    path = tmp_path / name
    path.write_text(content)
    says(complaint(read, path), path, *parts)


def test_data_file_is_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    says(complaint(read, path), path, "not a regular file")


@pytest.mark.parametrize("name", ["data.csv.zst", "data.csv"])
def test_data_file_needs_a_package(tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec("zstandard"):
        pytest.skip("it is installed")
    path = tmp_path / name
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    says(complaint(read, path), path, "pip install zstandard")


def matched(tmp_path: Path, labels: list[str], classes: Sequence[str]) -> list[int]:
    path = tmp_path / "labels.csv"
    path.write_text("text,label\n" + "".join(f"text {label},{label}\n" for label in labels))
    return class_ids(read(path), classes, None)


@pytest.mark.parametrize(
    ("labels", "classes", "ids"),
    [
        (["0", "1", "2"], ["1", "2", "3"], [0, 1, 2]),
        (["3", "1", "2"], ["1", "2", "3"], [2, 0, 1]),
        (["1.0", "0.0", "2.0"], CLASSES, [1, 0, 2]),
        (["True", "False", "TRUE"], ["neg", "pos"], [1, 0, 1]),
        (["true", "false"], ["True", "False"], [0, 1]),
        (["Sport", "cars", " HEALTH"], CLASSES, [0, 2, 1]),
        (["0", "1"], ["0", "1"], [0, 1]),
        (["a", "A"], ["a", "A"], [0, 1]),
    ],
)
def test_labels_with_one_reading_are_read(
    tmp_path: Path, labels: list[str], classes: list[str], ids: list[int]
) -> None:
    assert matched(tmp_path, labels, classes) == ids


@pytest.mark.parametrize(
    ("labels", "classes", "parts"),
    [
        (["1", "2"], ["1", "2", "3"], ["label '1' in row 1", "'2'", "--label-map", '{"1": 0, "2": 1}']),
        (["sport", "1"], CLASSES, ["row 2", "names and ids are not mixed", "--label-map"]),
        (["True", "False"], CLASSES, ["'True'", "--label-map", '{"True": 0, "False": 1}']),
        (["1.5"], CLASSES, ["'1.5'", "--label-map"]),
        (["SPORT"], ["sport", "Sport"], ["'SPORT'", "--label-map"]),
    ],
)
def test_labels_with_two_readings_or_none_are_refused(
    tmp_path: Path, labels: list[str], classes: list[str], parts: list[str]
) -> None:
    says(complaint(matched, tmp_path, labels, classes), *parts)


def test_labels_are_those_of_the_file_and_not_of_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na,1\nb,1\nc,1\nd,1\ne,0\n")
    found = read(path, limit=1)
    assert found.labels == ["1"]
    # 0 is no class name: these are ids.
    assert class_ids(found, ["1", "2"], None) == [1]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"a": "b"}', '{"a": 0, "a": 1}'])
def test_label_map_is_wrong(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "map.json"
    if content is not None:
        path.write_text(content)
    says(complaint(read_label_map, str(path)), path)
