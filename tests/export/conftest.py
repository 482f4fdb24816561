"""What the tests of this room share: a real artifact, in a cache, and a made-up run that measured it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.store.cache import cache_root
from ptdq.store.layout import RunFiles
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact, make_artifact
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from tests.conftest import CLASSES
from tests.support.exported import VARIANT, run_of


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A real artifact, in no cache."""
    source = open_checkpoint(str(tiny_model), labels=CLASSES).source
    settings = Settings(engine=choose_engine(None))
    target = tmp_path_factory.mktemp("artifacts") / "made"
    return make_artifact(registry.get(VARIANT), source, settings, None, target)


@pytest.fixture
def cached(made: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The artifact as the entry of a cache."""
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(made.directory, cache_root() / "artifacts" / "entry"))


@pytest.fixture
def run(made: Artifact, tmp_path: Path) -> RunFiles:
    """A made-up run that measured it."""
    return run_of(made, tmp_path)
