"""A run goes on as it began: cells of two kinds are not put into one comparison."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.host.facts import machine_facts
from ptdq.host.software import package_versions
from ptdq.measure.run_request import check_same
from ptdq.parameters import Parameters, Purpose, make_parameters, names
from ptdq.store import record
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from tests.support.running import ROOT, start_ptdq

CORES = machine.usable_cores()
ASKED = make_parameters({"model": "m", "data": "d.csv"})
NOWHERE = "http://127.0.0.1:9/api"


def begun(
    results: Path,
    change: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda found: {},
) -> RunFiles:
    """A run that has a record and nothing else, made here and now but for ``change``."""
    files = RunFiles(results / "broken")
    found = {
        "parameters": ASKED.model_dump(),
        "machine": machine_facts(CORES).model_dump(),
        "versions": package_versions(),
    }
    write_json(files.record, {**found, **change(found)})
    return files


def check(files: RunFiles, asked: Parameters = ASKED) -> None:
    check_same(asked, files)


def test_the_same_and_what_decides_no_result_may_go_on(tmp_path: Path) -> None:
    files = begun(tmp_path)
    check(files)
    free = {
        "cell_timeout": 5.0, "run_timeout": 5.0, "max_wait": 0.0, "max_load": 1.0, "load_wait": 0.0,
        "no_cache": True, "results_dir": "elsewhere", "publish_to": "memory://copies",
        "track": "mlflow",
    }  # fmt: skip
    assert {*free, "run_id"} == set(names(Purpose.UNMEASURED))
    check(files, ASKED.model_copy(update=free))


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 8), ("warmup", 0), ("granularity", "per-channel"), ("margin", 0.9),
     ("keep_float", ["classifier"]), ("min_speedup", 2.0)],
)  # fmt: skip
def test_other_parameters_are_refused(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"'broken': {name} was .*kept") as caught:
        check(begun(tmp_path), ASKED.model_copy(update={name: value}))
    assert len(str(caught.value).splitlines()) == 1


def test_a_parameter_that_came_later_had_its_default(tmp_path: Path) -> None:
    def older(found: dict[str, Any]) -> Mapping[str, Any]:
        return {"parameters": {k: v for k, v in found["parameters"].items() if k != "batch_size"}}

    files = begun(tmp_path, older)
    check(files)
    with pytest.raises(UserError, match="batch_size was 1, is 2"):
        check(files, ASKED.model_copy(update={"batch_size": 2}))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [("machine", "cpu", "another CPU"), ("machine", "flags", []), ("machine", "cores_usable", [99]),
     ("versions", "torch", "1.0"), ("versions", "openvino", "1.0")],
)  # fmt: skip
def test_another_machine_or_version_is_refused(
    tmp_path: Path, part: str, name: str, value: object
) -> None:
    files = begun(tmp_path, lambda found: {part: found[part] | {name: value}})
    with pytest.raises(UserError, match=f"{name} was .*finished cells are kept"):
        check(files)


def test_versions_of_what_measures_nothing_may_change(tmp_path: Path) -> None:
    check(begun(tmp_path, lambda found: {"versions": found["versions"] | {"pandas": "1.0"}}))


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    files = begun(tmp_path)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom ptdq.store.disk import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for path in (files.record, files.cell("fp32-L16-r0")):
        subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    (files.directory / ".gitignore").touch()
    assert len(list(files.directory.rglob(".*"))) == 3
    record.remove_temporary(files)
    assert [path.name for path in files.directory.rglob(".*")] == [".gitignore"]
    assert files.record.is_file()


def test_a_run_that_was_killed_before_its_record_is_as_good_as_new(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "killed")
    files.cells.mkdir(parents=True)
    (files.directory / ".run.json.abcd_123").touch()
    assert not record.check_target(files, None, False)
    files.cell("fp32-L16-r0").touch()
    with pytest.raises(UserError, match=r"'killed': .* exists already"):
        record.check_target(files, None, False)


@pytest.mark.parametrize(
    "options",
    [["--batch-size", "8"], ["--margin", "0.9"], ["--run-id", "other"], ["--config", "none.yaml"]],
)
def test_the_command_line_names_the_option(tmp_path: Path, options: list[str]) -> None:
    files = begun(tmp_path)
    ptdq = start_ptdq(
        "run", "--resume", "broken", "--results-dir", tmp_path, "--cell-timeout", "60", *options,
        server=NOWHERE,
    )  # fmt: skip
    output, errors = ptdq.communicate(timeout=300)
    assert (ptdq.returncode, output) == (2, b"")
    (line,) = errors.decode().splitlines()
    assert line.startswith(f"ptdq: {options[0][2:].replace('-', '_')}: ")
    assert f"leave {options[0]} out" in line
    assert [path.name for path in files.directory.iterdir()] == ["run.json"]
