"""The cache of prepared artifacts: found by content, never trusted when damaged, skipped on request."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ptdq.errors import UserError
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import Checkpoint, open_checkpoint
from ptdq.store.disk import file_digest
from ptdq.variants import registry
from ptdq.variants.artifact import MANIFEST, cache_key, content_digest, open_artifact
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import PreparedVariant, Terms, prepare_variant
from tests.conftest import CLASSES

VARIANT = "int8-dynamic"
CALIBRATION = CalibrationRequest(None, "random 16", "random text", 16)


@pytest.fixture(scope="module")
def checkpoint(tiny_model: Path) -> Checkpoint:
    return open_checkpoint(str(tiny_model), labels=CLASSES)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(engine=choose_engine(None))


@pytest.fixture(scope="module")
def first(
    checkpoint: Checkpoint, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> PreparedVariant:
    """The artifact as the first run makes it, in a cache of this module."""
    log = tmp_path_factory.mktemp("logs") / "first.log"
    patch = pytest.MonkeyPatch()
    patch.setenv("PTDQ_CACHE", str(tmp_path_factory.mktemp("cache")))
    try:
        return prepare_variant(VARIANT, checkpoint, settings, CALIBRATION, log, Terms(300))
    finally:
        patch.undo()


@pytest.fixture
def again(
    first: PreparedVariant,
    checkpoint: Checkpoint,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., PreparedVariant]:
    """Prepare again, in a copy of the cache that the first run left; the log is there if it worked."""
    cache = tmp_path / "cache"
    shutil.copytree(first.artifact.directory.parents[1], cache)
    monkeypatch.setenv("PTDQ_CACHE", str(cache))

    def prepare(use_cache: bool = True) -> PreparedVariant:
        return prepare_variant(
            VARIANT,
            checkpoint,
            settings,
            CALIBRATION,
            tmp_path / "again.log",
            Terms(300, use_cache=use_cache),
        )

    return prepare


def entry(first: PreparedVariant, cache: Path) -> Path:
    """The entry of the first artifact in a copy of its cache."""
    return cache / first.artifact.directory.relative_to(first.artifact.directory.parents[1])


def worked(cache: Path) -> bool:
    """Whether a process was started to prepare."""
    return (cache.parent / "again.log").is_file()


def intact(directory: Path, settings: Settings) -> bool:
    """Whether the artifact is there as it was made."""
    try:
        open_artifact(directory, settings)
    except UserError:
        return False
    return True


def weights(directory: Path) -> Path:
    """The largest file of an artifact."""
    return max((p for p in directory.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


Prepare = Callable[..., PreparedVariant]


def test_the_second_run_finds_what_the_first_made(
    first: PreparedVariant, again: Prepare, tmp_path: Path
) -> None:
    assert not first.cached
    os.utime(entry(first, tmp_path / "cache"), (0, 0))
    found = again()
    assert found.cached
    assert not worked(tmp_path / "cache")
    # `ptdq prune --cache` goes by it.
    assert entry(first, tmp_path / "cache").stat().st_mtime > 0
    assert found.artifact.digest == first.artifact.digest


def test_without_the_cache_it_is_made_anew(
    first: PreparedVariant, again: Prepare, settings: Settings, tmp_path: Path
) -> None:
    found = again(use_cache=False)
    assert not found.cached
    assert worked(tmp_path / "cache")
    assert intact(found.artifact.directory, settings)


def flip_a_byte(directory: Path) -> None:
    path = weights(directory)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(directory: Path) -> None:
    path = weights(directory)
    path.write_bytes(path.read_bytes()[:-1])


def remove_a_file(directory: Path) -> None:
    weights(directory).unlink()


def spoil_the_manifest(directory: Path) -> None:
    (directory / MANIFEST).write_text('{"format": 1, "files": ')


def remove_the_manifest(directory: Path) -> None:
    (directory / MANIFEST).unlink()


def forget_the_digest(directory: Path) -> None:
    manifest = json.loads((directory / MANIFEST).read_text())
    del manifest["digest"]
    (directory / MANIFEST).write_text(json.dumps(manifest))


def add_a_file(directory: Path) -> None:
    (directory / "modeling.py").write_text("print('mine')")


def add_a_link(directory: Path) -> None:
    (directory / "extra.json").symlink_to("/etc/hostname")


def trust_its_code(directory: Path) -> None:
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["settings"]["trust_remote_code"] = True
    manifest["digest"] = content_digest(directory, manifest)
    (directory / MANIFEST).write_text(json.dumps(manifest))


DAMAGE = [
    flip_a_byte, cut_short, remove_a_file, spoil_the_manifest, remove_the_manifest, forget_the_digest,
    add_a_file, add_a_link, trust_its_code,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed(
    first: PreparedVariant, settings: Settings, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    copy = tmp_path / "artifact"
    shutil.copytree(first.artifact.directory, copy)
    assert intact(copy, settings)
    damage(copy)
    assert not intact(copy, settings)


@pytest.mark.parametrize("damage", [flip_a_byte, spoil_the_manifest])
def test_a_damaged_entry_is_made_anew(
    first: PreparedVariant,
    again: Prepare,
    settings: Settings,
    tmp_path: Path,
    damage: Callable[[Path], None],
) -> None:
    directory = entry(first, tmp_path / "cache")
    good = file_digest(weights(directory))
    damage(directory)
    found = again()
    assert not found.cached
    assert found.artifact.directory == directory
    assert intact(directory, settings)
    assert file_digest(weights(directory)) == good
    assert not [path for path in directory.parent.iterdir() if path.name.startswith(".")]
    assert again().cached


def test_the_key_has_all_that_decides(settings: Settings) -> None:
    variant, other = registry.get(VARIANT), registry.get("fp32")
    key = cache_key("model", variant, settings, "calibration")
    assert key == cache_key("model", variant, settings, "other calibration")  # it takes none
    others = [
        cache_key("another model", variant, settings, "calibration"),
        cache_key("model", other, settings, "calibration"),
        cache_key("model", variant, replace(settings, granularity="per-channel"), "calibration"),
        cache_key("model", variant, replace(settings, keep_float=("classifier",)), "calibration"),
        cache_key("model", variant, replace(settings, engine="another"), "calibration"),
    ]
    assert len({key, *others}) == 6


def change_weights_and_manifest(directory: Path) -> None:
    """As somebody would who knows how the digest is made."""
    flip_a_byte(directory)
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["digest"] = content_digest(directory, manifest)
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_a_run_opens_only_what_it_recorded(
    first: PreparedVariant, settings: Settings, tmp_path: Path
) -> None:
    copy = tmp_path / "artifact"
    shutil.copytree(first.artifact.directory, copy)
    assert open_artifact(copy, settings, first.artifact.digest).digest == first.artifact.digest
    change_weights_and_manifest(copy)
    assert intact(copy, settings)  # by itself it is consistent
    with pytest.raises(UserError, match="not the one that was prepared"):
        open_artifact(copy, settings, first.artifact.digest)
