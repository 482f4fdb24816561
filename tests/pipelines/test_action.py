"""``action.yml``: its steps run as a runner's shell would run them, and what they may not do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ptdq.store.disk import read_json
from tests.support.running import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
BASH = [str(shutil.which("bash")), "--noprofile", "--norc", "-eo", "pipefail"]
"""As the runner calls it for ``shell: bash``."""


def filled(text: str, given: dict[str, str]) -> str:
    """The text with the runner's expressions replaced."""
    values = {f"inputs.{name}": str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()}
    values |= {f"inputs.{name}": value for name, value in given.items()}
    values["github.action_path"] = str(ROOT)
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: values[match[1]], text)


def run_step(number: int, given: dict[str, str], place: Path) -> subprocess.CompletedProcess[str]:
    """Run a step in an empty workspace; ptdq is the one of this checkout."""
    step = STEPS[number]
    (place / "script.sh").write_text(step["run"], encoding="utf-8")
    runner = {name: str(place / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in runner.values():
        Path(file).touch()
    own = {name: filled(value, given) for name, value in step.get("env", {}).items()}
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*BASH, str(place / "script.sh")],
        cwd=place,
        env=os.environ | {"PATH": found, "PYTHONPATH": str(ROOT)} | runner | own,
        capture_output=True,
        text=True,
        check=False,
    )


def test_inputs_are_used_and_are_no_part_of_a_script() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name in ACTION["inputs"]:
        assert f"inputs.{name}" in text, name
    for step in STEPS:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]


def test_outputs_are_those_that_the_step_writes() -> None:
    (step,) = (step for step in STEPS if step.get("id") == "gate")
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.gate.outputs.{name} }}}}"
        assert f"{name}=" in step["run"]


def test_installations_are_pinned() -> None:
    install = STEPS[0]["run"]
    assert install.count("-m pip install") == install.count('-c "$pins"') == 2
    assert "torch==" in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_a_mistake_fails_the_job_and_is_on_its_page(tmp_path: Path) -> None:
    nasty = "no such'; touch owned; $(touch owned) `touch owned`"
    given = {"model": nasty, "old-model": "old", "data": f"{nasty}.csv", "arguments": "--max-length 16"}
    done = run_step(1, given, tmp_path)
    assert done.returncode == 2, done.stderr
    assert "ptdq: data file no such'; touch owned" in done.stderr
    assert "ended without a report" in (tmp_path / "github_step_summary").read_text()
    assert (tmp_path / "github_output").read_text() == ""
    assert not (tmp_path / "owned").exists()


@pytest.mark.slow
@pytest.mark.long
def test_a_job_from_its_inputs_to_its_outputs(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    from tests.pipelines.test_gate import turn_classes

    worse = tmp_path / "worse model"
    shutil.copytree(tiny_model, worse)
    turn_classes(worse)
    arguments = "--variant int8-dynamic --max-length 16 --load-wait 0 --control-documents 0 --run-id job"
    arguments += " --repeats 1"
    given = {"model": str(worse), "old-model": str(tiny_model), "data": str(tiny_data)}
    given |= {"max-minutes": "0.01", "arguments": arguments}
    os.environ["PREFECT_API_URL"] = prefect_server
    try:
        done = run_step(1, given, tmp_path)
    finally:
        del os.environ["PREFECT_API_URL"]
    assert done.returncode == 3, done.stderr[-3000:]
    summary = read_json(tmp_path / "ptdq-verdict.json")
    assert summary["since"]["regressions"]
    outputs = dict(line.split("=", 1) for line in (tmp_path / "github_output").read_text().splitlines())
    assert outputs == {
        "json": "ptdq-verdict.json",
        "run": "results/job",
        "decision": summary["verdict"]["decision"],
    }
    assert "**Worse than before:**" in (tmp_path / "github_step_summary").read_text(encoding="utf-8")
