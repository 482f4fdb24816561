"""A finished run is copied to another file system, and read there."""

from __future__ import annotations

import uuid
from pathlib import Path

import fsspec
import pytest

from ptdq.errors import RunFailed, UserError
from ptdq.parameters import make_parameters
from ptdq.store import published
from ptdq.store.layout import RunFiles
from ptdq.store.results import all_runs, readable
from tests.support.runs import make_run


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    files = make_run(tmp_path / "results", "a")
    files.report.write_text("# report\n", encoding="utf-8")
    files.plot("latency").parent.mkdir()
    files.plot("latency").write_bytes(b"a plot")
    (files.directory / ".report.md.half").write_text("half written", encoding="utf-8")
    return files


@pytest.fixture
def store() -> str:
    return f"memory://{uuid.uuid4().hex}/results"


def test_a_copy_has_report_and_tables(run: RunFiles, store: str) -> None:
    published.check(store, run.run_id, again=False)
    assert published.publish(run, f"{store}/") == f"{store}/a"
    system, root = fsspec.core.url_to_fs(store)
    names = {name.removeprefix(f"{root}/a/") for name in system.find(root)}
    tables = {path.name for path in run.directory.glob("*.parquet")}
    assert names == {"run.json", "report.md", "plots/latency.png", *tables}
    with readable(store) as copy:
        found, left_out = all_runs(copy)
    assert [one.files.run_id for one in found] == ["a"]
    assert left_out == []


def test_the_record_is_copied_last(run: RunFiles, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system, root = fsspec.core.url_to_fs(store)
    put_file = type(system).put_file

    def breaks(self: object, source: str, target: str) -> None:
        if target.endswith("variants.parquet"):
            raise ConnectionError("the store went away")
        put_file(self, source, target)

    monkeypatch.setattr(type(system), "put_file", breaks)
    with pytest.raises(RunFailed, match=r"the store went away; the report is whole: .*report\.md"):
        published.publish(run, store)
    assert system.exists(f"{root}/a/cells.parquet")
    assert not system.exists(f"{root}/a/run.json")


def test_another_run_of_that_name_is_not_replaced(run: RunFiles, store: str) -> None:
    published.publish(run, store)
    with pytest.raises(UserError, match="there is a run a already"):
        published.check(store, "a", again=False)
    published.check(store, "a", again=True)
    published.check(store, "b", again=False)


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for url in ("nosuch://results", f"file://{tmp_path}/file/results"):
        with pytest.raises(UserError, match=f"publish_to {url}: not writable"):
            published.check(url, "a", again=False)


def test_a_run_is_not_written_to_a_url() -> None:
    with pytest.raises(UserError, match=r"results_dir: 's3://b/r' is a URL.*publish_to"):
        make_parameters({"model": "m", "data": "d", "results_dir": "s3://b/r"})
