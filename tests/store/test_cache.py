"""The cache of directories: whole or not there, with several at work, and killed ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ptdq.errors import RunFailed
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.store import cache
from ptdq.store.disk import file_digest
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import Terms, prepare_variant
from tests.conftest import CLASSES
from tests.support.running import ROOT

CALIBRATION = CalibrationRequest(None, "random 16", "random text", 16)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def hidden(root: Path) -> list[Path]:
    """What is half-built."""
    return list(root.glob("*/.*"))


def age(root: Path) -> None:
    """As if an hour had passed."""
    for path in hidden(root):
        os.utime(path, (time.time() - 3600,) * 2)


def test_two_builds_of_one_entry_agree_on_the_first(root: Path) -> None:
    for number in range(20):
        entry, both = root / "models" / f"entry{number}", threading.Barrier(2)

        def build(fresh: Path, name: str, both: threading.Barrier = both) -> dict[str, Any]:
            (fresh / "weights").write_text(name)
            both.wait(timeout=60)  # neither is there when the other begins
            return {"by": name}

        def make(name: str, entry: Path = entry) -> dict[str, Any]:
            return cache.build_entry(entry, lambda fresh: build(fresh, name))

        with ThreadPoolExecutor() as pool:
            first, second = pool.map(make, ["one", "other"])
        assert first == second == cache.read_entry(entry)
        assert (entry / "weights").read_text() == first["by"]
    assert hidden(root) == []


def test_a_damaged_entry_is_replaced_and_a_sound_one_is_not(root: Path) -> None:
    def build(fresh: Path) -> dict[str, Any]:
        (fresh / "weights").write_text("good")
        return {}

    entry = root / "models" / "entry"
    cache.build_entry(entry, build)
    place = entry.stat().st_ino
    cache.build_entry(entry, build)
    assert entry.stat().st_ino == place
    (entry / "weights").write_text("gone")  # of the same length
    assert cache.read_entry(entry) is None
    cache.build_entry(entry, build)
    assert cache.read_entry(entry) == {}
    assert hidden(root) == []


def test_damaged_weights_of_a_model_are_made_anew(root: Path, tiny_model: Path) -> None:
    weights = open_checkpoint(str(tiny_model), labels=CLASSES).directory / "model.safetensors"
    good = file_digest(weights)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    open_checkpoint(str(tiny_model), labels=CLASSES)
    assert file_digest(weights) == good
    assert hidden(root) == []


def test_what_a_killed_process_left_is_swept_and_nothing_else(root: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom ptdq.store.cache import staging\n"
        "with staging(Path(sys.argv[1])) as fresh:\n"
        "    (fresh / 'half').touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    target = root / "models" / "entry"
    ended = subprocess.run([sys.executable, "-c", code, str(target)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = hidden(root)
    cache.sweep()
    assert left.is_dir()  # it may just be made
    with cache.staging(target) as fresh:
        age(root)
        cache.sweep()
        assert fresh.is_dir()
        assert hidden(root) == [fresh.parent]
    assert hidden(root) == []


def prepare(name: str, model: Path, log: Path) -> None:
    checkpoint = open_checkpoint(str(model), labels=CLASSES)
    settings = Settings(engine=choose_engine(None))
    prepare_variant(f"tests.support.killed:{name}", checkpoint, settings, CALIBRATION, log, Terms(300))


def test_a_killed_preparation_leaves_nothing(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="SIGKILL"):
        prepare("Killed", tiny_model, tmp_path / "log")
    assert list((root / "artifacts").iterdir()) == []


def test_what_a_run_that_is_killed_prepares_is_swept(
    root: Path, tiny_model: Path, tmp_path: Path
) -> None:
    call = f"prepare('KilledWithItsRun', Path({str(tiny_model)!r}), Path({str(tmp_path / 'log')!r}))"
    code = f"from pathlib import Path\nfrom tests.store.test_cache import prepare\n{call}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    half = [path for path in (root / "artifacts").rglob("weights") if path.is_file()]
    assert len(half) == 1
    age(root)
    cache.sweep()
    assert list((root / "artifacts").iterdir()) == []
