"""What others could try: each attack is refused in one line, or does no harm."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from prefect.client.schemas.objects import FlowRun

from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.export.build import requirements
from ptdq.host.lock import MachineLock
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.measure.finished import drop_damaged
from ptdq.orchestration.permission import ALLOW, check_code
from ptdq.parameters import make_parameters
from ptdq.runtimes import ALWAYS
from ptdq.store import record
from ptdq.store.cache import private_cache
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles, open_run
from ptdq.store.prune import prune
from ptdq.variants.artifact import MANIFEST, Artifact, content_digest, open_artifact
from tests.cli import test_runs_of_others as others
from tests.conftest import CLASSES
from tests.safety.table import tell
from tests.support.cells import artifact_of
from tests.support.runs import make_run

MONTHS = timedelta(days=30)


@dataclass
class Target:
    """What is attacked: a directory to itself, a sound run and an attacker's, a model, an artifact."""

    scratch: Path
    results: Path
    model: Path
    artifact: Artifact
    patch: pytest.MonkeyPatch

    @property
    def evil(self) -> RunFiles:
        return RunFiles(self.results / "evil")


def refused(function: Callable[..., object], *arguments: Any, **named: Any) -> str:
    """The one line of printable text with which something is refused."""
    with pytest.raises(UserError) as caught:
        function(*arguments, **named)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return "refused"


def history(target: Target) -> str:
    """The attacker's run is named, and the other one is shown."""
    ended = CliRunner().invoke(
        cli, ["history", "--results-dir", str(target.results), "--plot", str(target.scratch / "h.png")]
    )
    assert ended.exit_code == 0, ended.output
    assert "good" in ended.output
    return "the run is named, the others are shown"


def damaged(damage: Callable[[RunFiles], object]) -> Callable[[Target], str]:
    def attack(target: Target) -> str:
        damage(target.evil)
        return history(target)

    return attack


def escape_sequences(target: Target) -> str:
    verdict = {"decision": others.ESCAPE, "headline": others.ESCAPE, "reasons": [others.ESCAPE]}
    others.set_record(verdict=verdict)(target.evil)
    others.set_column("cells", "error", others.ESCAPE)(target.evil)
    others.set_column("cells", "status", "failed")(target.evil)
    ended = CliRunner().invoke(cli, ["show", "evil", "--results-dir", str(target.results)])
    assert ended.exit_code == 0
    assert [char for char in ended.output if not char.isprintable() and char != "\n"] == []
    return "shown as plain text"


def linked_plots(target: Target) -> str:
    outside = target.scratch / "outside"
    outside.mkdir()
    (target.evil.directory / "plots").symlink_to(outside)
    result = refused(open_run, "evil", target.results)
    assert list(outside.iterdir()) == []
    return result


def pruned_through_a_link(target: Target) -> str:
    outside = Path(shutil.copytree(target.results / "good", target.scratch / "outside"))
    before = sorted(outside.iterdir())
    shutil.rmtree(target.evil.cells)
    target.evil.cells.symlink_to(outside)
    (target.results / "linked").symlink_to(outside)
    prune(target.results, MONTHS)
    assert sorted(outside.iterdir()) == before
    return "what the link leads to is kept"


def pipe_for_a_record(target: Target) -> str:
    target.evil.record.unlink()
    os.mkfifo(target.evil.record)
    history(target)
    return refused(open_run, "evil", target.results)


def options_of_pip(target: Target) -> str:
    return refused(
        requirements,
        [ALWAYS["load.py"]],
        dict.fromkeys(("json", "sys", "numpy"), "1\n--index-url http://e"),
    )


def swapped_cell(target: Target) -> str:
    """The result of another run in the place of one's own."""
    stolen = target.evil.cell("fp32-L16-r0")
    shutil.copyfile(target.evil.table("predictions"), stolen)
    drop_damaged(target.evil, lambda text: None)
    assert not stolen.exists()
    assert any("fp32-L16-r0 is measured again" in note for note in record.read(target.evil).notes)
    return "the cell is measured again"


def rewrite(directory: Path, manifest: dict[str, Any]) -> None:
    """A manifest that fits what is there, as far as it knows itself."""
    write_json(directory / MANIFEST, manifest | {"digest": content_digest(directory, manifest)})


def weights_and_manifest(target: Target) -> str:
    """Weights changed, and the manifest rewritten to fit."""
    directory = target.artifact.directory
    heavy = max((p for p in directory.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(heavy.read_bytes())
    content[-1] ^= 1
    heavy.write_bytes(content)
    rewrite(directory, read_json(directory / MANIFEST))
    return refused(open_artifact, directory, target.artifact.settings, target.artifact.digest)


def manifest_without_files(target: Target) -> str:
    path = target.artifact.directory / MANIFEST
    write_json(path, read_json(path) | {"files": {}, "digest": "0" * 64})
    return refused(open_artifact, path.parent, target.artifact.settings, target.artifact.digest)


def code_in_the_cache(target: Target) -> str:
    """An entry that says that its code may run, of a run that was not asked to."""
    path = target.artifact.directory / MANIFEST
    manifest = read_json(path)
    rewrite(path.parent, manifest | {"settings": manifest["settings"] | {"trust_remote_code": True}})
    return refused(open_artifact, path.parent, target.artifact.settings, target.artifact.digest)


def file_in_the_cache(target: Target) -> str:
    (target.artifact.directory / "sitecustomize.py").write_text("1 / 0\n")
    return refused(
        open_artifact, target.artifact.directory, target.artifact.settings, target.artifact.digest
    )


def cache_of_others(target: Target) -> str:
    cache = target.scratch / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    target.patch.setenv("PTDQ_CACHE", str(cache))
    return refused(private_cache)


def lock_is_a_pipe(target: Target) -> str:
    os.mkfifo(target.scratch / "lock")
    return refused(MachineLock(target.scratch / "lock").acquire, "mine", max_wait=0)


def lock_is_a_hard_link(target: Target) -> str:
    precious = target.scratch / "precious"
    precious.write_text("kept")
    (target.scratch / "lock").hardlink_to(precious)
    result = refused(MachineLock(target.scratch / "lock").acquire, "mine", max_wait=0)
    assert precious.read_text() == "kept"
    return result


def lock_is_shared(target: Target) -> str:
    path = target.scratch / "lock"
    path.touch()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        refused(MachineLock(path).acquire, "mine", max_wait=0.3)
    return "the time limit of the wait holds"


def lock_with_deep_text(target: Target) -> str:
    path = target.scratch / "lock"
    path.write_text("[" * 4000)
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return refused(MachineLock(path).acquire, "mine", max_wait=0)


def link_out_of_the_model(target: Target) -> str:
    (target.model / "vocab.txt").unlink(missing_ok=True)
    (target.model / "vocab.txt").symlink_to("/etc/hostname")
    return refused(open_checkpoint, str(target.model), labels=CLASSES)


def pickled_weights(target: Target) -> str:
    (target.model / "model.safetensors").unlink()
    (target.model / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    return refused(open_checkpoint, str(target.model), labels=CLASSES)


def code_of_the_checkpoint(target: Target) -> str:
    """A configuration that names code of its own, without --trust-remote-code."""
    mark = target.scratch / "owned"
    (target.model / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    config = read_json(target.model / "config.json")
    config |= {"auto_map": {"AutoModelForSequenceClassification": "evil.Model"}, "model_type": "evil"}
    write_json(target.model / "config.json", config)
    result = refused(open_checkpoint, str(target.model), labels=CLASSES)
    assert not mark.exists()
    return result


def from_the_api(code: dict[str, Any]) -> Callable[[Target], str]:
    def attack(target: Target) -> str:
        target.patch.delenv(ALLOW, raising=False)
        asked = make_parameters({"model": "m", "data": "d.csv"} | code)
        return refused(check_code, asked, FlowRun(flow_id=uuid4(), deployment_id=uuid4()))

    return attack


def deep_mark(target: Target) -> str:
    (target.results / "baseline.json").write_text("[" * 100_000)
    return refused(prune, target.results, MONTHS)


def run_id_with_a_path(target: Target) -> str:
    return refused(make_parameters, {"model": "m", "data": "d", "run_id": "../../etc/cron.d/x"})


ATTACKS: dict[str, Callable[[Target], str]] = {
    "a run's record: escape sequences in verdict and errors": escape_sequences,
    "a run: `plots` is a link": linked_plots,
    "a run: its directory, or `cells`, is a link, and is pruned": pruned_through_a_link,
    "a run: a bit of a table flipped": damaged(others.flip),
    "a run: a column of another type": damaged(others.set_column("cells", "forward_p50_ms", "fast")),
    "a run: times below zero": damaged(others.set_column("cells", "forward_p50_ms", -1.0)),
    "a run: a table that is a pipe": damaged(others.pipe("cells.parquet")),
    "a run: a record that is a pipe": pipe_for_a_record,
    "a run: JSON a hundred thousand levels deep": damaged(others.deep),
    "a run: values of wrong types": damaged(others.set_record(machine="fast", status=3)),
    "a run: versions that are options of pip, exported": options_of_pip,
    "a run: a cell's file that is another's": swapped_cell,
    "a results directory: a deep mark of a baseline": deep_mark,
    "the cache: weights changed and the manifest rewritten": weights_and_manifest,
    "the cache: a manifest without files": manifest_without_files,
    "the cache: an entry that trusts its own code": code_in_the_cache,
    "the cache: a Python file added": file_in_the_cache,
    "the cache: a directory that all may write": cache_of_others,
    "the lock: a pipe in its place": lock_is_a_pipe,
    "the lock: a hard link to a precious file": lock_is_a_hard_link,
    "the lock: held as shared, for ever": lock_is_shared,
    "the lock: text nested thousands of levels": lock_with_deep_text,
    "a checkpoint: a link to a file of the machine": link_out_of_the_model,
    "a checkpoint: pickled weights alone": pickled_weights,
    "a checkpoint: code of its own": code_of_the_checkpoint,
    "Prefect's API: `model_loader`": from_the_api({"model_loader": "runpy:run_path"}),
    "Prefect's API: a variant as `package.module:Class`": from_the_api({"variant": ["os:system"]}),
    "Prefect's API: `trust_remote_code`": from_the_api({"trust_remote_code": True}),
    "Prefect's API: a `run_id` with a path": run_id_with_a_path,
}


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artifact]:
    """Results of two runs, and an artifact."""
    scratch = tmp_path_factory.mktemp("made")
    for run_id in ("good", "evil"):
        make_run(scratch / "results", run_id, record=others.OLD, repeats=2, documents=20, lengths=(128,))
    return scratch, artifact_of(tiny_model, "int8-dynamic", scratch / "artifact")


@pytest.fixture
def target(
    made: tuple[Path, Artifact], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Target:
    scratch, artifact = made
    for name in ("results", "artifact"):
        shutil.copytree(scratch / name, tmp_path / name)
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    copy = Artifact(**vars(artifact) | {"directory": tmp_path / "artifact"})
    return Target(tmp_path, tmp_path / "results", model, copy, monkeypatch)


@pytest.mark.parametrize("attack", ATTACKS, ids=ATTACKS.keys())
def test_an_attack_is_refused_or_harmless(attack: str, target: Target) -> None:
    open_artifact(target.artifact.directory, target.artifact.settings, target.artifact.digest)
    result = ATTACKS[attack](target)
    tell("attacks", attack=attack, result=result)


def test_there_are_enough() -> None:
    assert len(ATTACKS) >= 20
