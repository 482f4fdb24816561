"""Blocks, variables and limits of a real server, where users of Prefect expect them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.filesystems import LocalFileSystem, RemoteFileSystem
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.variables import Variable

from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.orchestration import variables
from ptdq.orchestration.machine_limit import ServerLock, limit_name
from ptdq.store import baseline, published
from ptdq.store.layout import RunFiles
from ptdq.store.places import open_place
from ptdq.store.results import all_runs, readable
from tests.support.runs import make_run

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    files = make_run(tmp_path / "results", "a")
    files.report.write_text("# report\n", encoding="utf-8")
    return files


@pytest.fixture(params=["remote", "local"])
def block(request: Any, prefect_server: str, tmp_path: Path) -> str:
    """The address of a block of the server."""
    name = f"copies-{uuid4().hex[:8]}"
    if request.param == "remote":
        RemoteFileSystem(basepath=f"memory://{name}/results").save(name)
    else:
        LocalFileSystem(basepath=str(tmp_path / "copies")).save(name)
    return f"block://{request.param}-file-system/{name}"


def test_a_run_is_copied_to_a_block_and_read_there(block: str, run: RunFiles) -> None:
    for place in (block, f"{block}/deeper/still"):
        published.check(place, run.run_id, again=False)
        assert published.publish(run, place) == f"{place}/a"
        with pytest.raises(UserError, match="there is a run a already"):
            published.check(place, run.run_id, again=False)
        with readable(place) as copy:
            found, left_out = all_runs(copy)
        assert [one.files.run_id for one in found] == ["a"]
        assert left_out == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("block://remote-file-system/none-of-this-name", "publish_to block://.*: not writable"),
        ("block://secret/name", "expected block://local-file-system/NAME"),
        ("block://remote-file-system", "expected block://local-file-system/NAME"),
    ],
)
def test_a_block_that_is_none_is_told(prefect_server: str, url: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        published.check(url, "a", again=False)


def test_without_a_server_there_is_no_block(prefect_server: str) -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(ValueError, match="set PREFECT_API_URL"),
    ):
        open_place("block://local-file-system/name")


def test_a_variable_names_the_baseline(prefect_server: str, run: RunFiles, tmp_path: Path) -> None:
    results = run.directory.parent
    words = ["baseline", "a", "--variable", "baseline_of_a_test", "--results-dir", str(results)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert Variable.get("baseline_of_a_test") == str(run.directory.resolve())
    variables.offer()
    found = baseline.choose(tmp_path / "of another machine", "variable:baseline_of_a_test")
    assert found is not None
    assert found.directory.resolve() == run.directory.resolve()
    with pytest.raises(UserError, match="variable none_such: the server has none of that name"):
        baseline.choose(results, "variable:none_such")
    with pytest.raises(UserError, match="use lower-case letters"):
        baseline.choose(results, "variable:No Such")


@pytest.fixture
def limited(prefect_server: str) -> Iterator[str]:
    """A server that knows this machine."""
    name = limit_name()
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(name, 1)
        yield name
        client.delete_global_concurrency_limit_by_name(name)


@pytest.mark.long
def test_runs_that_share_no_lock_wait_for_the_server(
    limited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in containers: each has a lock's file of its own."""
    monkeypatch.setenv("PTDQ_LOCK", str(tmp_path / "one"))
    first = ServerLock()
    monkeypatch.setenv("PTDQ_LOCK", str(tmp_path / "other"))
    second, said = ServerLock(), list[str]()
    with first, second:
        first.acquire("first")
        with pytest.raises(UserError, match=f"another run has the server's limit {limited}"):
            second.acquire("second", said.append, max_wait=1)
        assert not second.held
        assert said == [] or "waiting: another run" in said[0]
        first.release()
        second.acquire("second", max_wait=60)
        assert second.held
        with get_client(sync_client=True) as client:
            assert client.read_global_concurrency_limit_by_name(limited).active_slots == 1
    with get_client(sync_client=True) as client:
        assert client.read_global_concurrency_limit_by_name(limited).active_slots == 0


@pytest.mark.long
def test_without_a_limit_the_lock_alone_holds(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTDQ_LOCK", str(tmp_path / "one"))
    with ServerLock() as first:
        first.acquire("first")
        assert first.held
        with ServerLock() as second, pytest.raises(UserError, match="run first"):
            second.acquire("second", max_wait=0)


def test_the_limit_s_name_is_one_that_prefect_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "a host/with&signs.example")
    assert limit_name() == "ptdq-a-host-with-signs.example"
