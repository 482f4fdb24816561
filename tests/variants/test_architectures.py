"""The plain path, from checkpoint to measured cell, for every architecture that is promised."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from ptdq.errors import UserError
from ptdq.host.machine import usable_cores
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import Checkpoint, open_checkpoint
from ptdq.inputs.documents import RawDocuments, class_ids, store_documents
from ptdq.measure.cell import Work, measure_cell
from ptdq.measure.design import Cell
from ptdq.store.layout import RunFiles
from ptdq.store.rows import VariantRow
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact, make_artifact
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import Terms, prepare_variant
from tests.support.architectures import CLASSES, save_own, save_transformer, texts

FAMILIES = ("bert", "distilbert", "roberta", "albert", "electra")
RECURRENT = ("lstm", "gru")
VARIANTS = ("fp32", "int8-dynamic", "int8-dynamic-embeddings")
LENGTH = 10


@dataclass(frozen=True)
class Room:
    """A checkpoint with documents, and a place for results."""

    checkpoint: Checkpoint
    documents: Path
    files: RunFiles

    def prepare(self, variant: str, modules: tuple[str, ...] = ("Linear",)) -> Artifact:
        settings = Settings(engine=choose_engine(None), modules=modules, loader=self.checkpoint.loader)
        calibration = CalibrationRequest(None, f"random {LENGTH}", "random text", LENGTH)
        log = self.files.logs / f"{variant}.log"
        return prepare_variant(variant, self.checkpoint, settings, calibration, log, Terms(300)).artifact

    def measure(self, artifact: Artifact, batch_size: int) -> dict[str, np.ndarray]:
        """Logits by document, as a worker measured them."""
        cell = Cell(
            cell_id=f"{artifact.variant}-{batch_size}",
            variant=artifact.variant,
            max_length=LENGTH,
            repeat=0,
            core=usable_cores()[0],
            order=0,
            seed=1,
        )
        outcome = measure_cell(
            self.files, cell, artifact, Work(self.documents, "quality", batch_size, 1, timeout=300)
        )
        assert outcome.error is None, Path(outcome.log).read_text()
        rows = pq.read_table(self.files.cell(cell.cell_id)).to_pylist()
        rows = [row for row in rows if not row["warmup"]]
        for row in rows:
            assert row["prediction"] == int(np.argmax(row["logits"]))
        return {row["doc_id"]: np.array(row["logits"], dtype=np.float32) for row in rows}


def room(directory: Path, name: str) -> Room:
    """The room of an architecture, or of a module with a loader."""
    loader = None
    if name in FAMILIES:
        save_transformer(directory / "model", name)
    else:
        loader = save_own(directory / "model", name)
    labels = [CLASSES[n % 2] for n in range(len(texts()))]
    checkpoint = open_checkpoint(str(directory / "model"), labels=labels, loader=loader)
    raw = RawDocuments("texts", [f"d{n}" for n in range(len(labels))], texts(), labels, None)
    ids = class_ids(raw, checkpoint.class_names, None)
    files = RunFiles(directory / "run")
    files.cells.mkdir(parents=True)
    stored = store_documents(raw, ids, checkpoint.class_names)
    return Room(checkpoint, stored.path, files)


def expected(checkpoint: Checkpoint, batch_size: int) -> list[np.ndarray]:
    """Logits of the float model for the documents in a batch with their neighbours in the cell."""
    module, tokenizer = checkpoint.source.module(), checkpoint.source.tokenizer()
    order = np.random.default_rng(1).permutation(len(texts()))
    found: dict[int, np.ndarray] = {}
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        encoding = tokenizer(
            [texts()[row] for row in rows],
            max_length=LENGTH,
            truncation=True,
            padding=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            output = module(**encoding)
        logits = output if isinstance(output, torch.Tensor) else output.logits
        found.update(zip(rows.tolist(), logits.numpy(), strict=True))
    return [found[row] for row in range(len(order))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "gru" else pytest.mark.long)
        for name in (*FAMILIES, *RECURRENT, "convolutional")
    ],
)
def test_from_checkpoint_to_measured_cell(name: str, tmp_path: Path) -> None:
    here = room(tmp_path, name)
    assert here.checkpoint.class_names == list(CLASSES)
    modules = ("Linear", name.upper()) if name in RECURRENT else ("Linear",)
    # Everything once; of the other architectures what differs most (it converts linear layers as well).
    everything = name == "bert"
    for variant in VARIANTS if everything else VARIANTS[-1:]:
        artifact = here.prepare(variant, modules)
        for batch_size in (1, 4) if everything else (4,):
            found = here.measure(artifact, batch_size)
            assert len(found) == len(texts())
            logits = np.array([found[f"d{n}"] for n in range(len(found))])
            float_logits = np.array(expected(here.checkpoint, batch_size))
            # Exact up to the order of sums for fp32; near it for int8, and yet not the same.
            difference = np.abs(logits - float_logits).max()
            assert difference < (1e-4 if variant == "fp32" else 0.5 * np.abs(float_logits).max())
            assert (difference > 1e-4) == (variant != "fp32")
        converted = {type_of(here.checkpoint, module) for module in artifact.converted}
        wanted = {"fp32": set(), "int8-dynamic": set(modules)}
        assert converted == wanted.get(variant, {*modules, "Embedding"})


def type_of(checkpoint: Checkpoint, module: str) -> str:
    return type(checkpoint.source.skeleton().get_submodule(module)).__name__


def test_a_convolutional_model_gets_a_note_that_names_static_quantization(tmp_path: Path) -> None:
    artifact = room(tmp_path, "convolutional").prepare("int8-dynamic")
    assert artifact.converted == ["head"]
    (note,) = artifact.details["notes"]
    assert "2 convolutions stayed float32" in note
    assert "openvino-int8-static" in note


@pytest.mark.long
def test_the_report_prints_the_note(tmp_path: Path) -> None:
    from ptdq.report.sections.figures import _converted

    artifact = room(tmp_path, "convolutional").prepare("int8-dynamic")
    row: VariantRow = {
        "variant": artifact.variant,
        "converted": artifact.converted,
        "kept_float": artifact.kept_float,
        "details": json.dumps(artifact.details),
    }
    assert "2 convolutions stayed float32" in _converted(row)


@pytest.mark.parametrize("name", ["gru", pytest.param("lstm", marks=pytest.mark.long)])
def test_a_recurrent_layer_left_in_float_gets_a_note(name: str, tmp_path: Path) -> None:
    here, kind = room(tmp_path, name), name.upper()
    artifact = here.prepare("int8-dynamic")
    assert artifact.converted == ["head"]
    (note,) = artifact.details["notes"]
    assert note.startswith(f"1 {kind} module stayed float32")
    assert note.endswith(f"--modules Linear --modules {kind}")
    assert here.prepare("int8-dynamic", ("Linear", kind)).details["notes"] == []


@pytest.mark.long
@pytest.mark.parametrize("name", RECURRENT)
def test_float16_covers_recurrent_layers(name: str, tmp_path: Path) -> None:
    here = room(tmp_path, name)
    artifact = here.prepare("float16-dynamic", ("Linear", name.upper()))
    assert artifact.converted == ["recurrence", "head"]
    assert artifact.details["notes"] == []
    found = here.measure(artifact, 4)
    logits = np.array([found[f"d{n}"] for n in range(len(found))])
    # Weights are rounded to 11 bits, and nothing else is.
    difference = np.abs(logits - np.array(expected(here.checkpoint, 4))).max()
    assert 0 < difference < 2**-8 * np.abs(logits).max()


@pytest.mark.long
def test_a_transformer_gets_no_note(tmp_path: Path) -> None:
    assert room(tmp_path, "bert").prepare("int8-dynamic").details["notes"] == []


def test_converting_nothing_is_an_error_that_names_static_quantization(tmp_path: Path) -> None:
    here = room(tmp_path, "fully_convolutional")
    with pytest.raises(UserError, match=r"no module was converted.*static quantization"):
        here.prepare("int8-dynamic")


@pytest.mark.long
@pytest.mark.parametrize(
    ("variant", "name"),
    [
        ("openvino-int8-static", "convolutional"),
        ("int8-pt2e-static", "fully_convolutional"),
    ],
)
def test_static_quantization_covers_convolutions(variant: str, name: str, tmp_path: Path) -> None:
    if missing := registry.missing_packages(registry.get(variant)):
        pytest.skip(f"needs {', '.join(missing)}")
    here = room(tmp_path, name)
    artifact = here.prepare(variant)
    assert {"convolutions.0", "convolutions.1"} <= set(artifact.converted)
    assert not {"convolutions.0", "convolutions.1"} & set(artifact.kept_float)
    found = here.measure(artifact, 4)
    logits = np.array([found[f"d{n}"] for n in range(len(found))])
    float_logits = np.array(expected(here.checkpoint, 4))
    assert 1e-4 < np.abs(logits - float_logits).max() < 0.5 * np.abs(float_logits).max()


@pytest.mark.long
def test_a_package_that_computes_something_else_is_not_used(tmp_path: Path) -> None:
    """Inductor of torch 2.13 compiles these convolutions, quantized, into something else."""
    if registry.missing_packages(registry.get("int8-pt2e-static")):
        pytest.skip("needs torchao")
    with pytest.raises(UserError, match=r"int8-pt2e-static: Inductor compiled .* it is not used"):
        room(tmp_path, "two_dimensional").prepare("int8-pt2e-static")


@pytest.mark.long
def test_converting_nothing_of_another_model_names_what_was_kept(tmp_path: Path) -> None:
    settings = Settings(choose_engine(None), keep_float=("recurrence",), keep_float_mixed=("head",))
    source = room(tmp_path, "lstm").checkpoint.source
    with pytest.raises(UserError, match=r"`keep_float_mixed` \['head'\]$"):
        make_artifact(registry.get("int8-dynamic-mixed"), source, settings, None, tmp_path / "made")


def test_a_loader_is_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``ptdq.cli.main.main`` arranges it, for this process and for its children."""
    save_own(tmp_path / "model", "lstm")
    (tmp_path / "my_models.py").write_text("from tests.support.architectures import lstm as make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    labels = [CLASSES[n % 2] for n in range(len(texts()))]
    checkpoint = open_checkpoint(str(tmp_path / "model"), labels=labels, loader="my_models:make")
    files = RunFiles(tmp_path / "run")
    artifact = Room(checkpoint, tmp_path, files).prepare("int8-dynamic", ("Linear", "LSTM"))
    assert artifact.converted == ["recurrence", "head"]
