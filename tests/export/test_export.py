"""What an export writes and what it refuses, on made-up runs: one line, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner

from ptdq import runtimes
from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.export.build import export
from ptdq.export.release import release
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table, read_table, write_table
from ptdq.variants import registry
from ptdq.variants.artifact import make_artifact
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.fp32 import Fp32
from tests.conftest import CLASSES
from tests.report.test_markdown import NASTY, RENDERER
from tests.support.architectures import save_own, save_tokenizer
from tests.support.artifacts import whole
from tests.support.exported import VARIANT, run_of


def complaint(files: RunFiles, out: Path, variant: str = VARIANT) -> str:
    """The one line that an export ends with; nothing is written."""
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(UserError) as caught:
        export(files, variant, out)
    assert sorted(out.parent.rglob("*")) == before
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def test_the_command(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    words = ["export", run.run_id, "--variant", VARIANT, "--out", str(out)]
    done = CliRunner().invoke(cli, [*words, "--results-dir", str(run.directory.parent)])
    assert done.exit_code == 0, done.output
    assert done.output == f"{out}\n"
    assert whole(out / "artifact")
    assert {path.name for path in out.iterdir()} == {
        "README.md", "artifact", "classifier.json", "eager.py", "load.py", "padding.py", "rebuild.py",
        "requirements.txt", "runtime.py",
    }  # fmt: skip
    assert (out / "requirements.txt").read_text() == "torch==2.13.0\n"
    assert read_json(out / "classifier.json")["max_length"] == 256
    assert out.stat().st_mode == (out / "artifact").stat().st_mode
    # What was measured reads it, byte for byte.
    rebuild = Path(runtimes.__file__).with_name("rebuild.py")
    assert (out / "rebuild.py").read_bytes() == rebuild.read_bytes()
    assert list(out.parent.iterdir()) == [out]


def test_an_empty_directory_will_do(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert whole(export(run, VARIANT, out) / "artifact")


def test_the_card_has_the_figures(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    card = (export(run, VARIANT, tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    for part in ("speed-up", "weighted F1", "Imaginary CPU", "ptdq run --model checkpoint", "`run`"):
        assert part in card
    assert card.count(f"| `{VARIANT}` | 128 |") == card.count(f"| `{VARIANT}` | 256 |") == 3


def test_the_card_shows_text_as_it_is_written(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    record = read_json(run.record)  # it did not ask for the code
    record["model"] |= {"name": NASTY[3], "labels": NASTY}
    record["machine"]["cpu"] = NASTY[4]
    write_json(run.record, record)
    out = export(run, VARIANT, tmp_path / "out")
    shown = RENDERER.render((out / "README.md").read_text(encoding="utf-8"))
    assert "<script" not in shown
    assert "<a " not in shown
    assert "<img" not in shown
    assert read_json(out / "classifier.json")["labels"] == NASTY


def test_the_module_of_a_loader_is_named_and_given_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    loader = save_own(tmp_path / "model", "lstm")
    save_tokenizer(tmp_path / "model", token_types=True)  # its forward takes none
    source = open_checkpoint(str(tmp_path / "model"), labels=CLASSES, loader=loader).source
    settings = Settings(engine=choose_engine(None), modules=("Linear", "LSTM"), loader=loader)
    variant = registry.get(VARIANT)
    made = make_artifact(variant, source, settings, None, cache_root() / "artifacts" / "entry")
    run = run_of(made, tmp_path)
    record = read_json(run.record)  # it did not ask for the code
    assert "no longer in the cache" in complaint(run, tmp_path / "out")
    write_json(run.record, record | {"parameters": record["parameters"] | {"model_loader": loader}})
    out = export(run, VARIANT, tmp_path / "out")
    card = (out / "README.md").read_text(encoding="utf-8")
    module, _, function = loader.partition(":")
    assert f"`{module}`, whose function `{function}` builds it, must be importable" in card

    root = Path(__file__).resolve().parents[2]
    program = "import load; print(load.Classifier().logits(['good bad', 'slow']).tolist())"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=out,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    encoding = made.tokenizer()(["good bad", "slow"], 512).inputs
    assert "token_type_ids" in encoding
    assert json.loads(printed) == variant.load(made.directory, settings)(encoding).tolist()


def test_the_card_of_a_known_architecture_names_no_module(
    run: RunFiles, cached: Path, tmp_path: Path
) -> None:
    card = (export(run, VARIANT, tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    assert "importable" not in card


def test_run_is_unknown(tmp_path: Path) -> None:
    words = ["export", "none", "--variant", VARIANT, "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, [*words, "--results-dir", str(tmp_path)])
    assert isinstance(done.exception, UserError)
    assert "run 'none'" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_run_is_not_finished(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    write_json(run.record, read_json(run.record) | {"status": "running"})
    text = complaint(run, tmp_path / "out")
    assert "not finished" in text
    assert "ptdq run --resume run" in text


@pytest.mark.parametrize("name", ["int9", "onnx-fp32"])
def test_variant_is_not_in_the_run(name: str, run: RunFiles, cached: Path, tmp_path: Path) -> None:
    text = complaint(run, tmp_path / "out", name)
    assert f"'{name}'" in text
    assert "fp32, int8-dynamic" in text


def test_variant_failed(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    cells = read_table(run.table("cells")).to_pylist()
    for cell in cells:
        if cell["variant"] == VARIANT:
            cell |= {"status": "failed", "error": "it was killed"}
    write_table(run.table("cells"), make_table("cells", cells))
    assert "no figures of int8-dynamic" in complaint(run, tmp_path / "out")


def test_directory_is_not_empty(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    text = complaint(run, out)
    assert str(out) in text
    assert "not empty" in text
    assert "is a file" in complaint(run, out / "mine")


def test_directory_cannot_be_made(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in complaint(run, tmp_path / "file" / "out")


def forget_the_entry(entry: Path) -> None:
    shutil.rmtree(entry)


def make_another(entry: Path) -> None:
    manifest = json.loads((entry / "artifact.json").read_text())
    (entry / "artifact.json").write_text(json.dumps(manifest | {"digest": "0" * 64}))


def spoil_the_manifest(entry: Path) -> None:
    (entry / "artifact.json").write_text("{")


def flip_a_byte(entry: Path) -> None:
    content = bytearray((entry / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (entry / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize("damage", [forget_the_entry, make_another, spoil_the_manifest, flip_a_byte])
def test_artifact_is_gone_or_damaged(
    damage: Callable[[Path], None], run: RunFiles, cached: Path, tmp_path: Path
) -> None:
    damage(cached)
    text = complaint(run, tmp_path / "out")
    assert "its artifact of int8-dynamic is no longer in the cache" in text
    assert "or was changed there" in text
    assert "make it again with `ptdq run`" in text


def test_a_class_with_a_load_of_its_own_does_not_inherit_the_loader() -> None:
    class Renamed(Fp32):
        name = "renamed"

    class Other(Fp32):
        name = "other"
        load = Fp32.load

    assert Renamed.exported == Fp32.exported != {}
    assert Other.exported == {}


# A release: what the verdict says to ship.


def test_what_a_run_says_to_ship_is_released(run: RunFiles, cached: Path, tmp_path: Path) -> None:
    say(run, "ship")
    for place in (tmp_path / "releases", "memory://releases"):
        where = release(run, str(place))
        assert where == f"{place}/run-{VARIANT}"
    system = fsspec.filesystem("memory")
    copied = sorted(path.removeprefix(f"/releases/run-{VARIANT}/") for path in system.find("/releases"))
    local = tmp_path / "releases" / f"run-{VARIANT}"
    assert copied == sorted(str(p.relative_to(local)) for p in local.rglob("*") if p.is_file())
    assert {"README.md", "classifier.json", "load.py"} <= set(copied)
    with pytest.raises(UserError, match=f"there is run-{VARIANT} already"):
        release(run, str(tmp_path / "releases"))


@pytest.mark.parametrize("decision", ["don't ship", "can't tell"])
def test_nothing_else_is_released(decision: str, run: RunFiles, cached: Path, tmp_path: Path) -> None:
    say(run, decision)
    with pytest.raises(UserError, match=f"it says {decision}; only what it says to ship"):
        release(run, str(tmp_path / "releases"))
    assert not (tmp_path / "releases").exists()


def say(run: RunFiles, decision: str) -> None:
    """Give a run this verdict."""
    verdict = {"decision": decision, "variant": VARIANT, "headline": "so it is"}
    write_json(run.record, {**read_json(run.record), "verdict": verdict})
