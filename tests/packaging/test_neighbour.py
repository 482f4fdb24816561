"""Installed from its wheel beside a project with `flows`, `tasks` and `tests`: each keeps its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ptdq.store.disk import read_json
from tests.support.deploying import PASSWORD, Installation
from tests.support.neighbour import Neighbour

pytestmark = [pytest.mark.slow, pytest.mark.long]

MODULES = ("flows", "tasks.steps", "tests", "ptdq", "ptdq.flows.benchmark", "ptdq.tasks.quantize")
WHERE = f"""
import importlib.util, json
print(json.dumps([importlib.util.find_spec(name).origin for name in {MODULES}]))
"""


@pytest.fixture(scope="module")
def record(
    neighbour: Neighbour, prefect_server: str, tiny_model: Path, tiny_data: Path
) -> dict[str, Any]:
    """A run of their variant, with a model that their loader builds; run.json."""
    printed = neighbour.run(
        "ptdq", "run", "--model", tiny_model, "--data", tiny_data, "--model-loader", "loader:build",
        "--variant", "fp32", "--variant", "theirs", "--max-length", 16,
        "--repeats", 1, "--control-documents", 0, "--load-wait", 0,
        PREFECT_API_URL=prefect_server,
    )  # fmt: skip
    directory = neighbour.directory / printed.splitlines()[-1]
    return read_json(directory / "run.json")


@pytest.mark.parametrize("safe_path", ["", "1"], ids=["working directory", "path and installed"])
def test_every_module_is_its_owners(neighbour: Neighbour, safe_path: str) -> None:
    printed = neighbour.run("python", "-c", WHERE, PYTHONSAFEPATH=safe_path)
    *theirs, package, flow, task = map(Path, json.loads(printed))
    root = neighbour.directory if not safe_path else neighbour.directory / "on_path"
    assert [path.relative_to(root).parts[0] for path in theirs] == ["flows", "tasks", "tests"]
    site_packages = package.parents[1]
    assert site_packages.is_relative_to(neighbour.directory / ".venv")
    assert [path.relative_to(site_packages).parts[:2] for path in (flow, task)] == [
        ("ptdq", "flows"), ("ptdq", "tasks"),
    ]  # fmt: skip


def test_a_variant_that_is_installed_is_listed(neighbour: Neighbour) -> None:
    assert "from a package that is installed" in neighbour.run("ptdq", "variants", COLUMNS="200")


def test_their_variant_and_loader_are_measured(record: dict[str, Any]) -> None:
    assert record["status"] == "completed", record["failures"]
    assert record["parameters"]["model_loader"] == "loader:build"
    assert {cell["variant"] for cell in record["design"]["cells"]} == {"fp32", "theirs"}


def test_the_commit_of_their_repository_is_not_ours(record: dict[str, Any], neighbour: Neighbour) -> None:
    assert (neighbour.directory / ".git").is_dir()
    assert record["git_commit"] is None


@pytest.mark.long
def test_the_demo_runs(neighbour: Neighbour) -> None:
    printed = neighbour.run("ptdq", "demo")
    record = read_json(neighbour.directory / printed.splitlines()[-1] / "run.json")
    assert record["status"] == "completed"
    assert record["git_commit"] is None


DEPLOY = """
from prefect import deploy
from prefect.deployments.runner import EntrypointType
from ptdq.flows.benchmark import quantization_benchmark

deploy(
    quantization_benchmark.to_deployment("theirs", entrypoint_type=EntrypointType.MODULE_PATH),
    work_pool_name="bench",
)
"""


@pytest.mark.long
def test_a_worker_runs_the_installed_flow(
    neighbour: Neighbour,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = {
        "model": str(tiny_model), "data": str(tiny_data), "model_loader": "loader:build",
        "variant": ["fp32", "theirs"], "max_length": [16], "repeats": 1,
        "control_documents": 0, "load_wait": 0, "run_id": "deployed",
        "results_dir": str(tmp_path / "results"),
    }  # fmt: skip
    for name, value in neighbour.environment.items():
        monkeypatch.setenv(name, value)
    # A flow run of a worker has a directory of its own: their loader is found by the path.
    path = [neighbour.environment["PYTHONPATH"], str(neighbour.directory)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    (tmp_path / "prefect").mkdir()
    running = Installation(tmp_path / "prefect", neighbour.bin, neighbour.directory)
    try:
        neighbour.run(
            "python", "-c", DEPLOY, PREFECT_API_URL=running.api, PREFECT_API_AUTH_STRING=PASSWORD
        )
        running.start_worker(allowed="loader")
        running.prefect(
            "deployment", "run", "quantization-benchmark/theirs", "--watch",
            "--param", f"parameters={json.dumps(asked)}",
        )  # fmt: skip
    finally:
        left = running.stop()
    assert left == []
    record = read_json(tmp_path / "results" / "deployed" / "run.json")
    assert record["status"] == "completed"
    assert record["git_commit"] is None
