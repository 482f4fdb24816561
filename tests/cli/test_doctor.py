"""The doctor, with facts of machines that are ill in every way, and of this one."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from prefect.settings import PREFECT_API_URL, temporary_settings

from ptdq import doctor
from ptdq.cli.main import cli
from ptdq.doctor import (
    Check,
    check_cores,
    check_disk,
    check_engines,
    check_flags,
    check_governor,
    check_load,
    check_memory,
    check_prefect,
    check_siblings,
    check_versions,
    weights_bytes,
)
from ptdq.host.machine import choose_cores
from ptdq.orchestration.api import check_server

GB = 10**9


def test_cores() -> None:
    assert [c.status for c in check_cores([0, 1], 2, True, None)] == ["ok", "ok"]
    assert check_cores([0], 8, True, None)[0].status == "warn"
    assert "Linux" in check_cores([0, 1], 2, False, None)[-1].remedy
    quota = check_cores([0, 1, 2, 3], 4, True, 1.5)[1]
    assert (quota.status, "--cores 1" in quota.remedy) == ("warn", True)


def test_hyper_threads() -> None:
    assert check_siblings([0, 1], {0: frozenset({0}), 1: frozenset({1})}) is None
    assert check_siblings([0, 1], {0: frozenset({0, 2}), 1: frozenset({1, 3})}) is None
    pairs = {0: frozenset({0, 2}), 1: frozenset({1, 3}), 2: frozenset({0, 2}), 3: frozenset({1, 3})}
    found = check_siblings([0, 1, 2, 3], pairs)
    assert found is not None
    assert "--cores 0,1" in found.remedy


def cores_of_remedies(usable: list[int], checks: list[Check | None]) -> list[list[int]]:
    """What the cores are that remedies name with --cores."""
    named = [re.search(r"--cores ([\d,]+)", check.remedy) for check in checks if check is not None]
    return [choose_cores(found[1], usable) for found in named if found]


@pytest.mark.parametrize(
    ("usable", "siblings", "firsts"),
    [
        ([0, 1], {0: {0, 1}, 1: {0, 1}}, [0]),
        ([2, 6], {2: {2, 6}, 6: {2, 6}}, [2]),
        ([0, 1, 2, 3], {0: {0, 2}, 1: {1, 3}, 2: {0, 2}, 3: {1, 3}}, [0, 1]),
        ([0, 2, 3], {0: {0, 1}, 2: {2, 3}, 3: {2, 3}}, [0, 2]),
    ],
)
def test_what_a_remedy_says_is_understood(
    usable: list[int], siblings: dict[int, set[int]], firsts: list[int]
) -> None:
    threads = {core: frozenset(found) for core, found in siblings.items()}
    assert cores_of_remedies(usable, [check_siblings(usable, threads)]) == [firsts]


def test_a_number_of_cores_in_a_remedy_is_a_number() -> None:
    usable = [4, 5, 6, 7]
    quota = check_cores(usable, 8, True, 1.5)
    assert cores_of_remedies(usable, [*quota]) == [[4]]
    memory = check_memory(3 * GB, 3 * GB, len(usable), GB // 2)
    assert cores_of_remedies(usable, [memory]) == [[4]]


def test_flags() -> None:
    assert check_flags(["avx2", "avx512_vnni"], "x86_64").status == "ok"
    assert check_flags(["avx2", "avx_vnni"], "x86_64").status == "ok"
    without = check_flags(["avx2"], "x86_64")
    assert (without.status, "saturate" in without.text) == ("warn", True)
    assert check_flags(["asimd", "asimddp"], "aarch64").status == "ok"
    assert check_flags(["asimd"], "aarch64").status == "warn"


def test_engines() -> None:
    assert check_engines(["qnnpack", "none", "x86"], "x86_64").status == "ok"
    assert check_engines(["qnnpack"], "arm64").status == "ok"
    assert check_engines(["qnnpack", "none"], "x86_64").status == "warn"
    assert check_engines(["none"], "x86_64").status == "fail"


def test_memory_against_the_model() -> None:
    assert check_memory(16 * GB, 12 * GB, 2, 400_000_000).status == "ok"
    assert check_memory(16 * GB, 2 * GB, 2, 400_000_000).status == "warn"
    large = check_memory(16 * GB, 15 * GB, 16, 1 * GB)
    assert (large.status, large.remedy) == ("fail", "run with --cores 6")
    assert check_memory(2 * GB, 2 * GB, 1, 7 * GB).remedy == "take a machine with more memory"
    # Enough for a worker, and not for preparing, which no number of cores makes smaller.
    assert check_memory(3 * GB, 3 * GB, 1, 1 * GB).remedy == "take a machine with more memory"


def test_disk(tmp_path: Path) -> None:
    assert check_disk("disk", tmp_path, 50 * GB, True).status == "ok"
    assert check_disk("disk", tmp_path, 2 * GB, True).status == "warn"
    assert check_disk("disk", tmp_path, GB // 2, True).status == "fail"
    assert check_disk("disk", tmp_path, 8 * GB, True, needed=9 * GB).status == "fail"
    assert "not writable" in check_disk("disk", tmp_path, 50 * GB, False).text


def test_governor_and_load() -> None:
    assert check_governor(set()).status == check_governor({"performance"}).status == "ok"
    assert check_governor({"performance", "powersave"}).status == "warn"
    assert check_load(0.02, None).status == "ok"
    assert check_load(0.9, None).status == "warn"
    assert "run nightly" in check_load(0.0, "run nightly (pid 7)").text


def test_pins_that_break_prefect_fail_and_say_how() -> None:
    pins = ["fastapi>=0.139,<0.151", "sqlalchemy[asyncio]<2.1", "numpy", "pytest; extra == 'dev'"]
    good = {"fastapi": "0.150.0", "sqlalchemy": "2.0.58", "numpy": "2.4.6"}
    assert [c.status for c in check_versions(pins, good)] == ["ok"]
    newer = check_versions(pins, good | {"fastapi": "0.155.0", "sqlalchemy": "2.1.9"})
    assert [c.status for c in newer] == ["fail", "fail"]
    assert "every Prefect flow fails" in newer[0].text
    assert "no schedule" in newer[1].text
    assert "pip install" in newer[0].remedy
    other = check_versions(["scipy>=9"], {"scipy": "1.17.1"})
    assert [c.status for c in other] == ["warn"]
    assert [c.status for c in check_versions(["scipy"], {})] == ["fail"]
    local = check_versions(["torch==2.13.0"], {"torch": "2.13.0+cpu"})
    assert [c.status for c in local] == ["ok"]


@pytest.fixture
def api() -> Iterator[str]:
    """Something that answers as Prefect's health route does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    thread.join()
    server.server_close()


def test_prefect_api(api: str) -> None:
    assert check_prefect(None, None).status == "ok"
    for url, status in ((api, "ok"), (f"{api}/elsewhere", "fail"), ("http://127.0.0.1:9/api", "fail")):
        with temporary_settings({PREFECT_API_URL: url}):
            found = check_prefect(*check_server())
        assert (found.status, url in found.text) == (status, True)


def test_size_of_a_model(tiny_model: Path, tmp_path: Path) -> None:
    size = (tiny_model / "model.safetensors").stat().st_size
    assert weights_bytes(str(tiny_model)) == size
    assert weights_bytes(str(tmp_path)) is None
    assert weights_bytes("no-such/model") is None


def test_this_machine(tiny_model: Path, tmp_path: Path) -> None:
    results = str(tmp_path / "not" / "yet")
    done = CliRunner().invoke(cli, ["doctor", "--model", str(tiny_model), "--results-dir", results])
    assert done.exit_code in (0, 1), done.exception
    failed = [line for line in done.output.splitlines() if line.startswith("fail")]
    assert (done.exit_code == 1) == bool(failed)
    names = "cores, affinity, CPU flags, quantized engines, memory, disk of the cache, "
    names += "disk of the results, packages, Prefect API, frequency governor, load"
    for name in names.split(", "):
        assert f" {name}: " in done.output
    assert not Path(results).exists()


def test_a_failure_is_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ill = doctor.Check("memory", "fail", "too little", "take more")
    monkeypatch.setattr(doctor, "examine", lambda model, results: [ill])
    done = CliRunner().invoke(cli, ["doctor", "--results-dir", str(tmp_path)])
    assert (done.exit_code, "take more" in done.output) == (1, True)
