"""``ptdq why`` on artifacts of each engine with a cause planted in them, and from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ptdq.analysis.causes import Case, names_of
from ptdq.analysis.spent import Spent
from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.host.machine import cpu_flags
from ptdq.inputs.arrays import Calibration
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import Source
from ptdq.report.build import build_report
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table, read_table, write_table
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact, make_artifact
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.why.find import profile_artifact
from tests.conftest import CLASSES, TOKENS
from tests.support.runs import make_run
from tests.support.small_models import texts

# What is prepared in a process of its own elsewhere is prepared here in this one.
pytestmark = pytest.mark.filterwarnings("ignore")
LEFT_IN = "bert.encoder.layer.1"
BATCH = 8
Make = Callable[..., Artifact]
# By engine: a variant with a layer left in float, and one that only stores int8.
ENGINES = {
    "eager": ("int8-dynamic", "tests.support.dequantized:DequantizedEager"),
    "onnx": ("onnx-int8-dynamic", "tests.support.dequantized:DequantizedOnnx"),
    "openvino": ("openvino-int8-static", "tests.support.dequantized:DequantizedOpenvino"),
}


@pytest.fixture(scope="module")
def source(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The tiny model, but so wide that its products take time beside Python's."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    wide: dict[str, Any] = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}
    config = BertConfig.from_pretrained(tiny_model, **wide, initializer_range=0.1)
    directory = tmp_path_factory.mktemp("wide")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        BertForSequenceClassification(config).eval().save_pretrained(directory)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(directory)
    return open_checkpoint(str(directory), labels=CLASSES).source


@pytest.fixture(scope="module")
def make(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Prepares a variant of the tiny model."""
    directory = tmp_path_factory.mktemp("artifacts")
    tokenizer = source.tokenizer()
    inputs = [dict(tokenizer([text], return_tensors="np")) for text in texts(0, 8)]

    def prepare(name: str, *keep_float: str) -> Artifact:
        settings = Settings(engine=choose_engine(None), keep_float=keep_float)
        target = directory / f"{len(list(directory.iterdir()))}"
        calibration = Calibration(inputs, "made up")
        return make_artifact(registry.get(name), source, settings, calibration, target)

    return prepare


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight documents of three to twenty-four characters."""
    path = tmp_path_factory.mktemp("documents") / "documents.parquet"
    short_and_long = [text for pair in zip(texts(0, 4), texts(18, 4), strict=True) for text in pair]
    rows = [{"doc_id": f"d{n}", "text": text, "label": 0} for n, text in enumerate(short_and_long)]
    write_table(path, make_table("documents", rows))
    return path


def explained(artifact: Artifact, documents: Path, batch: int = 1) -> Case:
    """What the rules see of an artifact."""
    found = profile_artifact("run", artifact.variant, artifact, documents, (TOKENS, batch))
    return Case(
        spent=Spent(found.profile, found.operations),
        flags=cpu_flags(),
        converted=artifact.converted,
        kept=artifact.kept_float,
        limits={},
        speedups={},
        quality=None,
        sensitivity="",
    )


def engines(*quick: str) -> list[Any]:
    """All engines; those that are not named take minutes in all."""
    return [pytest.param(name, marks=[] if name in quick else [pytest.mark.long]) for name in ENGINES]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("engine", engines("eager"))
def test_a_float_layer_left_in_and_padding(engine: str, make: Make, documents: Path) -> None:
    artifact = make(ENGINES[engine][0], LEFT_IN)
    case = explained(artifact, documents, BATCH)
    found = names_of(case)
    assert "float layer left in" in found
    assert "nothing fused" not in found
    assert any(name.startswith(LEFT_IN) for name in case.kept)
    assert "padding" in found
    assert case.spent.padding == pytest.approx(1 - case.spent.profile["tokens"] / (8 * 24), abs=0.3)
    # Everything is accounted for, and the products are where the time of products is.
    assert 0.85 < case.spent.explained < 1.15
    for part in ("int8 products", "float products", "normalization and activation", "attention"):
        assert case.spent.ms_by_part[part] > 0, part
    said = case.spent.profile["instruction_set"] or ""
    assert "int8 " in said
    assert "float32 " in said
    assert artifact.details["instructions"]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("engine", engines("eager"))
def test_a_dequantized_product(engine: str, make: Make, documents: Path) -> None:
    case = explained(make(ENGINES[engine][1]), documents)
    found = names_of(case)
    assert "nothing fused" in found
    assert "float layer left in" not in found
    assert "int8" not in (case.spent.profile["instruction_set"] or "")


@pytest.mark.long
def test_a_compiled_package(make: Make, documents: Path) -> None:
    case = explained(make("int8-pt2e-static", LEFT_IN), documents, BATCH)
    assert {"float layer left in", "padding"} <= set(names_of(case))
    assert 0.85 < case.spent.explained < 1.15
    assert "oneDNN" in (case.spent.profile["instruction_set"] or "")


@pytest.fixture(scope="module")
def dynamic(make: Make) -> Artifact:
    return make("int8-dynamic")


@pytest.fixture
def run(dynamic: Artifact, documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFiles:
    """A made-up run that measured a real artifact, which is in the cache."""
    artifact = dynamic
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    shutil.copytree(artifact.directory, cache_root() / "artifacts" / "entry")
    files = make_run(tmp_path / "results", "run")
    rows = read_table(files.table("variants")).to_pylist()
    rows[1] |= {"digest": artifact.digest, "converted": artifact.converted, "kept_float": []}
    write_table(files.table("variants"), make_table("variants", rows))
    write_table(files.table("documents"), read_table(documents))
    return files


def why(files: RunFiles, *words: str) -> Result:
    place = ["--results-dir", str(files.directory.parent)]
    return CliRunner().invoke(cli, ["why", files.run_id, *words, *place])


@pytest.mark.slow
def test_the_command(run: RunFiles) -> None:
    done = why(run, "--variant", "int8-dynamic", "--json")
    assert done.exception is None, done.output
    (variant,) = json.loads(done.stdout)["variants"]
    assert variant["variant"] == "int8-dynamic"
    assert variant["max_length"] == 256
    assert variant["parts"]["int8 products"]["ms"] > 0
    assert variant["timed_ms"] > 0
    assert run.plot("why").is_file()
    # What was found is kept, and in the report.
    assert {row["variant"] for row in read_table(run.table("profiles")).to_pylist()} == {"int8-dynamic"}
    text = build_report(run).markdown
    assert "## Where the time goes" in text
    assert "plots/why.png" in text


def refused(files: RunFiles, *words: str) -> str:
    before = sorted(files.directory.rglob("*"))
    error = why(files, *words).exception
    assert isinstance(error, UserError), error
    assert sorted(files.directory.rglob("*")) == before
    assert len(str(error).splitlines()) == 1
    return str(error)


def test_what_is_refused(run: RunFiles) -> None:
    assert "no variant 'int8-best'" in refused(run, "--variant", "int8-best")
    # Each that is named counts, not the last alone.
    assert "no variant 'int8-best'" in refused(run, "--variant", "int8-best", "--variant", "int8-dynamic")
    assert "no longer in the cache" in refused(run, "--variant", "fp32")
    wrong = refused(run, "--variant", "int8-dynamic", "--max-length", "77")
    assert "max_length 77: run 'run' measured int8-dynamic at 128, 256" in wrong
    run.table("documents").unlink()
    assert "its documents were dropped" in refused(run, "--variant", "int8-dynamic")


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"model_loader": "evil:make"}, "--model-loader evil:make"),
        ({"trust_remote_code": True}, "--trust-remote-code"),
    ],
)
def test_a_run_does_not_say_which_code_runs(run: RunFiles, asked: dict[str, Any], option: str) -> None:
    record = read_json(run.record)
    record["parameters"] |= asked
    write_json(run.record, record)
    assert f"if you trust it, add {option}" in refused(run, "--variant", "int8-dynamic")
    # Named, it is looked for; there is no such artifact here.
    assert "no longer in the cache" in refused(run, "--variant", "int8-dynamic", *option.split())


def test_a_run_without_a_profile_has_no_section(tmp_path: Path) -> None:
    files = make_run(tmp_path / "results", "run")
    assert "Where the time goes" not in build_report(files).markdown
