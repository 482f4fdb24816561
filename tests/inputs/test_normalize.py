"""The process of its own that builds a model which is new to the cache, and how it may end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ptdq.errors import RunFailed, UserError
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json, write_json
from tests.conftest import CLASSES
from tests.support.architectures import save_own
from tests.support.running import ROOT

LOADERS = """
import os, signal, sys


def is_killed(directory):
    os.kill(os.getpid(), signal.SIGKILL)


def ends_as_if_well(directory):
    os._exit(0)


def leaves(directory):
    sys.exit(2)
"""

OWN_CODE = """
from transformers import BertForSequenceClassification


class Own(BertForSequenceClassification):
    pass
"""

OPEN = """
import sys
from ptdq.inputs.arithmetic import arithmetic
from ptdq.inputs.checkpoint import open_checkpoint
checkpoint = open_checkpoint(sys.argv[1], labels=sys.argv[2:])
assert arithmetic(checkpoint, [16]).multiply_adds[16]
print(checkpoint.architecture, *(name for name in sys.modules if name.startswith("transformers.model")))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))


def test_a_new_model_leaves_no_model_class_behind(tiny_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(tiny_model), *CLASSES],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["BertForSequenceClassification"]


@pytest.mark.parametrize(
    ("loader", "reason"),
    [
        ("is_killed", "killed by SIGKILL"),
        ("ends_as_if_well", "it ended before its work was done"),
        ("leaves", "exit status 2"),
    ],
)
def test_a_death_names_its_log(
    loader: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_own(tmp_path / "model", "lstm")
    (tmp_path / "deadly.py").write_text(LOADERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RunFailed) as caught:
        open_checkpoint(str(tmp_path / "model"), labels=CLASSES, loader=f"deadly:{loader}")
    said = str(caught.value)
    assert said.startswith(f"reading model {tmp_path / 'model'}: ")
    assert reason in said
    log = Path(said.rpartition("its log is ")[2])
    assert log.is_file()
    assert log.parent == cache_root() / "logs"
    assert not any((cache_root() / "models").iterdir()), "nothing half-built is left"


def test_an_error_of_several_lines_arrives_whole(tiny_model: Path, tmp_path: Path) -> None:
    model = (tmp_path / "of two\nlines").resolve()
    model.mkdir()
    for file in tiny_model.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    (model / "config.json").write_text("[")
    with pytest.raises(UserError) as caught:
        open_checkpoint(str(model), labels=CLASSES)
    assert str(caught.value).startswith(f"model {model}: its config.json cannot be used (")


def test_code_of_the_checkpoint_runs_where_it_is_trusted(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in tiny_model.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    (model / "own_code.py").write_text(OWN_CODE)
    config = read_json(model / "config.json") | {
        "architectures": ["Own"],
        "auto_map": {"AutoModelForSequenceClassification": "own_code.Own"},
    }
    write_json(model / "config.json", config)
    trusted = open_checkpoint(str(model), labels=CLASSES, trust_remote_code=True)
    assert trusted.architecture == "Own"
