"""What the shell completes; and how shells ask, through the environment of a real ``ptdq``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from ptdq.cli.main import cli
from ptdq.variant_names import BUILT_IN
from tests.support.running import ROOT

PTDQ = Path(sys.executable).with_name("ptdq")


def bash(words: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Type and value of what bash would offer for the last word, as click has it."""
    monkeypatch.chdir(directory)
    *given, begun = words.split(" ")[1:]
    found = BashComplete(cli, {}, "ptdq", "_PTDQ_COMPLETE").get_completions(given, begun)
    return [f"{item.type},{item.value}" for item in found]


def ask(instruction: str, directory: Path, **asked: str) -> list[str]:
    """The lines that a real ``ptdq`` prints where a shell asks."""
    ran = subprocess.run(
        [PTDQ],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT), "_PTDQ_COMPLETE": instruction} | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def test_variants_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [f"plain,{name}" for name in BUILT_IN if name.startswith("int8-pt")]
    assert bash("ptdq run --variant int8-pt", tmp_path, monkeypatch) == wanted
    assert bash("ptdq export --variant int8-pt", tmp_path, monkeypatch) == wanted
    given = "ptdq run --variant int8-pt2e-static --variant int8-pt"
    assert bash(given, tmp_path, monkeypatch) == ["plain,int8-pt2e-dynamic"]
    assert bash("ptdq run --variant al", tmp_path, monkeypatch) == ["plain,all"]


def test_commands_options_and_values_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bash("ptdq ma", tmp_path, monkeypatch) == ["plain,matrix"]
    assert "plain,--timing-documents" in bash("ptdq run --t", tmp_path, monkeypatch)
    assert bash("ptdq run --isolation s", tmp_path, monkeypatch) == ["plain,solo", "plain,same"]
    assert bash("ptdq plan --data te", tmp_path, monkeypatch) == ["file,te"]
    assert bash("ptdq show --results-dir re", tmp_path, monkeypatch) == ["dir,re"]


def test_runs_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("results/night-1", "results/night-2", "elsewhere/night-3", "results/no-run"):
        (tmp_path / place).mkdir(parents=True)
        if "night" in place:
            (tmp_path / place / "run.json").write_text("{}")
    both = ["plain,night-2", "plain,night-1"]
    for command in ("show", "report", "export", "baseline", "compare", "run --resume", "run --extend"):
        assert bash(f"ptdq {command} ni", tmp_path, monkeypatch) == both
    assert bash("ptdq compare night-1 night-2", tmp_path, monkeypatch) == ["plain,night-2"]
    assert bash("ptdq show --results-dir elsewhere ni", tmp_path, monkeypatch) == ["plain,night-3"]
    assert bash("ptdq show results/ni", tmp_path, monkeypatch) == ["dir,results/ni"]


def test_each_shell_is_answered_in_its_way(tmp_path: Path) -> None:
    words = {"COMP_WORDS": "ptdq run --variant int8-be"}
    assert ask("zsh_complete", tmp_path, **words, COMP_CWORD="3") == ["plain", "int8-best", "_"]
    assert ask("fish_complete", tmp_path, **words, COMP_CWORD="int8-be") == ["plain,int8-best"]


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o nosort -F _ptdq_completion ptdq"),
        ("zsh", "compdef _ptdq_completion ptdq"),
        ("fish", "complete --no-files --command ptdq"),
    ],
)
def test_each_shell_gets_a_script(shell: str, line: str, tmp_path: Path) -> None:
    assert any(line in printed for printed in ask(f"{shell}_source", tmp_path))


def test_bash_itself_completes(tmp_path: Path) -> None:
    """The script that the docs have people evaluate, in a real bash."""
    script = """
        eval "$(_PTDQ_COMPLETE=bash_source ptdq)"
        COMP_WORDS=(ptdq run --variant onnx-int8) COMP_CWORD=3
        _ptdq_completion ptdq
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    place = f"{PTDQ.parent}{os.pathsep}{os.environ['PATH']}"
    printed = subprocess.run(
        [str(shutil.which("bash")), "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": place, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.split() == ["onnx-int8-dynamic", "onnx-int8-static"]
