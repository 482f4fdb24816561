"""Data files against slow readers that are obviously right: the same documents, or a refusal."""

from __future__ import annotations

import csv
import gzip
import http.server
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptdq.errors import UserError
from ptdq.inputs.documents import stratified_sample
from ptdq.inputs.rows import PIECE
from tests.support.complaints import read

Table = list[tuple[str, str]]
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def table(path: Path, **values: Any) -> Table | None:
    """Texts and labels; None where the file is refused, in one line that names it."""
    try:
        found = read(path, **values)
    except UserError as error:
        said = str(error)
    else:
        return list(zip(found.texts, found.labels, strict=True))
    assert str(path) in said
    assert len(said.splitlines()) == 1, said
    return None


# Slow readers.


def lines_of(text: str) -> list[str]:
    """Lines with what ends them: \\r\\n, \\n or \\r."""
    found, line = [], ""
    for place, character in enumerate(text):
        line += character
        if character == "\n" or (character == "\r" and text[place + 1 : place + 2] != "\n"):
            found.append(line)
            line = ""
    return [*found, line] if line else found


def quoted_records(text: str, separator: str) -> list[tuple[list[str], int]] | None:
    """Fields of each record, by RFC 4180, with the number of its lines; None where it is not so."""
    records: list[tuple[list[str], int]] = []
    record: list[str] = []
    lines, place, rest = 1, 0, text
    while place < len(rest):
        field = ""
        if rest[place] == '"':
            place += 1
            while rest[place : place + 1] != '"' or rest[place : place + 2] == '""':
                if place >= len(rest):
                    return None
                step = 2 if rest[place] == '"' else 1
                field += rest[place]
                place += step
            lines += len(lines_of(field + "x")) - 1
            place += 1
            if place < len(rest) and rest[place] not in (separator, "\r", "\n"):
                return None
        else:
            while place < len(rest) and rest[place] not in (separator, "\r", "\n"):
                field += rest[place]
                place += 1
        record.append(field)
        if place < len(rest) and rest[place] == separator:
            place += 1
            if place == len(rest) or rest[place] in "\r\n":
                record.append("")  # nothing after the last separator is a field as well
        if place == len(rest) or rest[place] in "\r\n":
            place += 2 if rest[place : place + 2] == "\r\n" else 1
            records.append((record, lines))
            record, lines = [], 1
    return records


def plain_records(text: str, separator: str) -> list[tuple[list[str], int]]:
    return [(line.rstrip("\r\n").split(separator), 1) for line in lines_of(text)]


def documents_of(records: list[tuple[list[str], int]] | None) -> Table | None:
    """Rows of two columns, without empty lines; None where one has others, or a value is missing."""
    if records is None:
        return None
    rows = [record for record, _ in records if not (len(record) == 1 and not record[0].strip())]
    if any(len(row) != 2 for row in rows):
        return None
    found = [(text, label.strip()) for text, label in rows[1:]]
    return found if found and all(text.strip() and label for text, label in found) else None


def even(records: list[tuple[list[str], int]] | None) -> bool:
    return records is not None and all(
        len(record) == 2 or (len(record) == 1 and not record[0].strip()) for record, _ in records
    )


def slow_tsv(text: str) -> Table | None:
    """By quotes where that fits; else each line is a row. Where both fit and differ in rows: refused."""
    quoted, plain = quoted_records(text, "\t"), plain_records(text, "\t")
    if not even(quoted):
        return documents_of(plain)
    assert quoted is not None
    if any(lines > 1 for _, lines in quoted) and even(plain):
        return None
    return documents_of(quoted)


# Fuzzing.

bodies = st.text(alphabet='aé", \t\n\r;', max_size=30)
fields = st.text(alphabet="ab\"', \t\n\r;球", min_size=1, max_size=8).filter(
    lambda text: bool(text.strip())
)
labels = st.text(alphabet='ab",;', min_size=1, max_size=3)
tables = st.lists(st.tuples(fields, labels), min_size=1, max_size=5)


@QUICK
@given(body=bodies, end=st.sampled_from(["\n", "\r\n"]))
def test_any_text_as_csv(body: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    text = f"text,label{end}{body}"
    path.write_bytes(text.encode())
    assert table(path) == documents_of(quoted_records(text, ","))


@QUICK
@given(body=bodies)
def test_any_text_as_tsv(body: str, tmp_path: Path) -> None:
    path = tmp_path / "any.tsv"
    text = f"text\tlabel\n{body}"
    path.write_bytes(text.encode())
    assert table(path) == slow_tsv(text)


@QUICK
@given(rows=tables, separator=st.sampled_from(",;\t"), end=st.sampled_from(["\n", "\r\n"]))
def test_what_a_program_writes_as_csv(rows: Table, separator: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "written.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        # By itself this writer leaves a lone \r without quotes.
        writer = csv.writer(
            file,
            delimiter=separator,
            lineterminator=end,
            quoting=csv.QUOTE_ALL if any("\r" in text for text, _ in rows) else csv.QUOTE_MINIMAL,
        )
        writer.writerows([("text", "label"), *rows])
    found = table(path)
    # Tabs are the one case in which a row of several lines may be taken for several.
    assert found == rows or (found is None and separator == "\t")


@QUICK
@given(rows=tables, ascii_alone=st.booleans(), limit=st.none() | st.integers(1, 5))
def test_what_a_program_writes_as_json(
    rows: Table, ascii_alone: bool, limit: int | None, tmp_path: Path
) -> None:
    objects = [{"n": 1.5, "text": text, "label": label} for text, label in rows]
    words = [json.dumps(one, ensure_ascii=ascii_alone) for one in objects]
    contents = {"a.jsonl": "\n".join(words), "a.json": json.dumps(objects, ensure_ascii=ascii_alone),
                "b.json": "\n\n".join(words)}  # fmt: skip
    stripped = [(text, label.strip()) for text, label in rows]
    if limit is not None and limit < len(rows):
        stripped = [stripped[n] for n in stratified_sample([label for _, label in stripped], limit, 0)]
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert table(tmp_path / name, limit=limit) == stripped


values = st.none() | st.booleans() | st.integers(-2, 12) | st.floats() | labels | st.lists(labels)
objects = st.fixed_dictionaries({}, optional={"text": values | fields, "label": values})
json_lines = st.lists(
    objects.map(json.dumps)
    | st.sampled_from(["", " ", "[]", "7", '{"text": "a', "{}", '{"a": 1, "a": 2}']),
    max_size=4,
)


@QUICK
@given(lines=json_lines)
def test_any_objects_as_json_lines(lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "any.jsonl"
    path.write_text('{"text": "first", "label": 0}\n' + "\n".join(lines))
    expected: Table | None = [("first", "0")]
    for line in lines:
        if not line.strip() or expected is None:
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        good = isinstance(row, dict) and isinstance(row.get("text"), str) and row["text"].strip()
        label = row.get("label") if good and '"a": 2' not in line else None
        if isinstance(label, float) and label == label and label not in (float("inf"), -float("inf")):
            label = int(label) if label.is_integer() else label
        elif isinstance(label, float):
            label = None if label != label else str(label)
        if label is None or isinstance(label, list) or not str(label).strip():
            expected = None
        else:
            expected.append((row["text"], str(label).strip()))
    assert table(path) == expected


# What was seen, each.


def test_a_lone_quote_in_a_tsv_loses_no_row(tmp_path: Path) -> None:
    path = tmp_path / "quotes.tsv"
    path.write_text('text\tlabel\n"Hello there\tsport\nsecond\thealth\n5" disks\tcars\n')
    found = read(path)
    assert found.texts == ['"Hello there', "second", '5" disks']
    assert (found.lines, found.notes) == (4, ("quotes are read as characters",))


def test_a_tsv_that_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.tsv"
    path.write_text('text\tlabel\nzero\t0\n"one\t1\ntwo"\t2\n')
    with pytest.raises(UserError, match=r"from line 3 on it can be read in two ways.*JSON lines"):
        read(path)


def test_a_comma_too_many_is_named_and_shifts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "commas.csv"
    path.write_text("text,label\nFirst, we won,sports\nThen, we lost,sports\n")
    with pytest.raises(UserError, match=r"row 1 \(line 2\) has 3 fields and the header 2; .* in quotes"):
        read(path)


def test_rows_are_named_as_they_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_text('text,label\n"two\nlines",a\n\nb,1\nc\n')
    with pytest.raises(UserError, match=r"row 3 \(line 6\) has 1 field and"):
        read(path)
    path.write_text('text,label\n"two\nlines",a\n\nb,1\n')
    found = read(path)
    assert (found.lines, [number.split("-")[0] for number in found.ids]) == (5, ["0000001", "0000002"])


def test_a_quote_that_is_not_closed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    path.write_text('text,label\na,0\n"b,1\nc,2\n')
    with pytest.raises(UserError, match=r"row 2 \(line 3\): a quote that is not closed"):
        read(path)


def test_semicolons_and_what_is_packed_without_saying_so_are_read_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("label;text\n0;one, two\n")
    assert (read(path).texts, read(path).notes) == (["one, two"], ("separated by semicolons",))
    path.write_bytes(gzip.compress(b"label,text\n0,one\n"))
    assert (read(path).texts, read(path).notes) == (["one"], ("it is gzip",))


def test_a_zip_has_one_file(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._data.csv", "?")
        archive.writestr("data.csv", "text,label\none,0\n")
    assert read(path).texts == ["one"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.csv", "text,label\ntwo,0\n")
    with pytest.raises(UserError, match=r"a zip of 2 files \(data.csv, more.csv"):
        read(path)


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz", "zip"])
def test_a_packed_file_that_breaks_off_is_refused(packed: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.csv.{packed}"
    frame = pd.DataFrame({"text": [f"text {n * 7919 % 1000}" for n in range(3000)], "label": "0"})
    frame.to_csv(path, index=False)
    assert len(read(path).texts) == 3000
    path.write_bytes(path.read_bytes()[:-500])
    assert table(path) is None


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("text", [b"one", b"two"], "bytes"),
        ("text", [["one"], ["two"]], "lists"),
        ("text", [{"a": "one"}, {"a": "two"}], "objects"),
        ("text", [1, 2], "numbers"),
        ("label", [b"0", b"1"], "bytes"),
        ("label", [{"a": 1}, {"a": 2}], "objects"),
    ],
)
def test_nested_and_byte_columns_are_named(
    column: str, values: list[Any], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"text": ["one", "two"], "label": ["0", "1"]} | {column: values}), path)
    with pytest.raises(UserError, match=rf"column '{column}' has 2 .* in rows 1, 2 \({kind}\);"):
        read(path)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("text,label,text\na,0,b\n")
    with pytest.raises(UserError, match="2 columns are called 'text'"):
        read(path)


def test_half_a_character_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "half.jsonl"
    path.write_text('{"text": "a\\ud800", "label": 0}\n')
    assert table(path) is None


def test_json_that_is_one_table_by_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "columns.json"
    path.write_text('{"text": {"0": "a"}, "label": {"0": 1}}')
    with pytest.raises(
        UserError, match=r"'text' has 1 missing or non-text values, in rows 1 \(objects\)"
    ):
        read(path)


# Where it is.


class Site(http.server.SimpleHTTPRequestHandler):
    """Serves a directory; of ``short.csv`` it sends less than it says."""

    def do_GET(self) -> None:
        if not self.path.startswith("/short.csv"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"text,label\na,0\n")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site").mkdir()
    handler = partial(Site, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_file_of_the_web(site: str, tmp_path: Path) -> None:
    rows = "".join(f"text {n},{n % 3}\n" for n in range(50))
    (tmp_path / "site" / "data.csv").write_text("text,label\n" + rows)
    (tmp_path / "site" / "data.tsv.gz").write_bytes(gzip.compress(b"text\tlabel\none\t0\n"))
    pq.write_table(pa.table({"text": ["one"], "label": [1]}), tmp_path / "site" / "data.parquet")
    assert len(read(f"{site}/data.csv?download=true").texts) == 50
    assert read(f"{site}/data.csv", limit=7).ids == read(tmp_path / "site" / "data.csv", limit=7).ids
    assert read(f"{site}/data.tsv.gz").texts == ["one"]
    assert read(f"{site}/data.parquet").labels == ["1"]


def test_a_file_of_the_web_that_is_not_all_there(site: str) -> None:
    with pytest.raises(UserError, match="the server says 404"):
        read(f"{site}/none.csv")
    with pytest.raises(UserError, match="15 of 100 bytes came"):
        read(f"{site}/short.csv")
    with pytest.raises(UserError, match="cannot be fetched"):
        read("http://127.0.0.1:9/data.csv")


def test_other_protocols_name_their_package() -> None:
    pytest.importorskip("fsspec")
    if any(name in sys.modules for name in ("s3fs", "boto3")):
        pytest.skip("it is installed")
    with pytest.raises(UserError, match="s3fs"):
        read("s3://bucket/data.csv")


# Samples, and memory.


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_sample_of_a_file_is_that_of_all_its_rows(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{ending}"
    count = PIECE + 5000
    frame = pd.DataFrame(
        {"text": [f"text {n}" for n in range(count)], "label": [str(n * n % 7) for n in range(count)]}
    )
    match ending:
        case "csv":
            frame.to_csv(path, index=False)
        case "jsonl":
            frame.to_json(path, orient="records", lines=True)
        case _:
            frame.to_parquet(path)
    everything, sample = read(path), read(path, limit=101, seed=3)
    chosen = stratified_sample(everything.labels, 101, 3)
    for name in ("ids", "texts", "labels"):
        assert getattr(sample, name) == [getattr(everything, name)[n] for n in chosen]
    assert sample.sampled_from == count
    assert sample.all_labels == everything.all_labels
    assert everything.ids[PIECE] == f"{PIECE + 1:07d}-{everything.ids[PIECE].split('-')[1]}"


PEAK = """
import resource, sys
from ptdq.inputs.documents import read_documents
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
for name in sys.argv[1:]:
    found = read_documents(
        name, text_column="text", label_column="label", encoding="utf-8", limit=100, seed=0
    )
    print(len(found.texts), found.sampled_from, peak() - before)
"""


def test_a_sample_of_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    rows = 150_000
    for ending, separator in (("csv", ","), ("tsv", "\t")):
        with (tmp_path / f"large.{ending}").open("w") as file:
            file.write(separator.join(("text", "other", "label")) + "\n")
            long, more = "word " * 20, separator + "more " * 18 + separator
            file.writelines(f"{n} {long}{more}{n % 5}\n" for n in range(rows))
    paths = sorted(tmp_path.iterdir())
    assert min(path.stat().st_size for path in paths) > 30e6
    command = [sys.executable, "-c", PEAK, *map(str, paths)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    for line in answer.stdout.splitlines():
        texts, whole, peak_kb = map(int, line.split())
        assert (texts, whole) == (100, rows)
        assert peak_kb < 60_000
