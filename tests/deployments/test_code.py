"""Code from elsewhere: a repository, a storage, an image; as the docs have it, by Prefect's own steps."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import flow
from prefect.deployments.steps.core import run_steps
from prefect.utilities.filesystem import filter_files

from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from tests.support.deploying import FLOW, Installation, parameters, run_deployment
from tests.support.running import ROOT

PAGE = (ROOT / "docs" / "operations" / "code.md").read_text(encoding="utf-8")
BLOCKS: list[dict[str, Any]] = [
    yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]
ENTRYPOINT = "flows/benchmark.py:quantization_benchmark"


@pytest.fixture(scope="module")
def repository(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The code of this checkout in a repository of its own: its address, and the commit.

    Prefect's steps ask an API, and would start a server for it: the shared one is there.
    """
    # By the ending Prefect knows it for a repository.
    place = tmp_path_factory.mktemp("repository") / "ptdq.git"
    for name in ("ptdq", "flows", "tasks", "deployments"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=ignored)

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *who, *words], cwd=place, check=True, capture_output=True, text=True
        ).stdout

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "code")
    return f"file://{place}", git("rev-parse", "HEAD").strip()


@pytest.mark.long
def test_the_flow_comes_from_a_repository(
    repository: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f'entrypoint="{ENTRYPOINT}"' in PAGE
    found: Any = flow.from_source(source=repository[0], entrypoint=ENTRYPOINT)
    assert found.name == FLOW
    assert {"model", "data", "resume"} <= set(found.parameters.properties)
    deployment = found.to_deployment(name="nightly", parameters={"model": "m", "data": "d.csv"})
    (step,) = deployment.storage.to_pull_step().values()
    assert step["repository"] == repository[0]


def test_the_steps_of_the_page_clone_and_change_directory(
    repository: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (steps,) = (block["pull"] for block in BLOCKS if "pull" in block)
    (clone,) = (step[name] for step in steps for name in step if name.endswith("git_clone"))
    address, commit = repository
    clone |= {"repository": address, "commit_sha": commit}
    outputs = asyncio.run(run_steps(steps, print_function=lambda *_: None))
    there = Path(outputs["code"]["directory"])
    assert Path.cwd() == (tmp_path / there).resolve()
    assert (Path.cwd() / ENTRYPOINT.partition(":")[0]).is_file()
    assert (Path.cwd() / "ptdq" / "flows").is_symlink()


def test_the_image_is_built_from_the_dockerfile_that_there_is() -> None:
    (steps,) = (block["build"] for block in BLOCKS if "build" in block)
    (step,) = steps
    (arguments,) = step.values()
    # What prefect-docker 0.7.4 takes, besides what is handed on to Docker.
    known = {
        "image_name", "dockerfile", "tag", "additional_tags", "ignore_cache", "persist_dockerfile",
    }  # fmt: skip
    assert set(arguments) - {"id", "requires"} <= known
    assert (ROOT / arguments["dockerfile"]).is_file()
    dockerfile = (ROOT / arguments["dockerfile"]).read_text(encoding="utf-8")
    assert arguments["requires"] in dockerfile


def test_what_a_storage_gets_is_what_a_run_needs(tmp_path: Path) -> None:
    patterns = (ROOT / ".prefectignore").read_text(encoding="utf-8").splitlines()
    kept = [
        "flows/benchmark.py", "tasks/report.py", "ptdq/demo/build.py", "ptdq/store/results.py",
        "deployments/prefect.yaml", "pyproject.toml", "prefect.yaml",
    ]  # fmt: skip
    left = [
        "results/run/run.json", "tests/test_api.py", "docs/index.md", "site/index.html", ".git/config",
        ".venv/bin/python", ".mypy_cache/x.json", "ptdq/__pycache__/x.pyc", "ptdq.egg-info/PKG-INFO",
    ]  # fmt: skip
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert filter_files(str(tmp_path), patterns, include_dirs=False) == set(kept)


@pytest.mark.slow
@pytest.mark.long
def test_a_worker_runs_code_that_it_clones(
    installation: Installation,
    repository: tuple[str, str],
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    (pull,) = (block["pull"] for block in BLOCKS if "pull" in block)
    address, commit = repository
    content["pull"] = [
        {"prefect.deployments.steps.git_clone": {"id": "code", "repository": address,
                                                 "commit_sha": commit}},
        pull[-1],
    ]  # fmt: skip
    content["deployments"] = [
        d | {"name": "cloned"} for d in content["deployments"] if d["name"] == "demo"
    ]
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    installation.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
    values = parameters(tiny_model, tiny_data, tmp_path / "results", run_id="cloned")
    done = run_deployment(installation, "cloned", values, "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_json(RunFiles(tmp_path / "results" / "cloned").record)["status"] == "completed"
