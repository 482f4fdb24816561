"""What every variant keeps to, each that is installed here, those of other packages included.

Reload bit for bit is checked by every preparation itself (:func:`ptdq.variants.artifact.prove`), and
pinning and threads by every worker (:func:`ptdq.measure.worker.check_process`): both are real here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from ptdq.errors import UserError
from ptdq.host.machine import usable_cores
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import Checkpoint, open_checkpoint
from ptdq.inputs.documents import RawDocuments, class_ids, store_documents
from ptdq.measure.cell import Work, measure_cell
from ptdq.measure.design import Cell
from ptdq.store.layout import RunFiles
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact
from ptdq.variants.base import Settings, is_kept
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import Terms, prepare_variant
from tests.support.architectures import CLASSES, save_transformer, texts

pytestmark = pytest.mark.slow
LENGTH = 14
BATCH = 3
EXAMPLE = "examples.half_stored:HalfStored"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    directory = tmp_path_factory.mktemp("conformance") / "model"
    save_transformer(directory, "bert")
    return open_checkpoint(str(directory), labels=list(CLASSES))


@pytest.fixture(scope="module")
def documents(checkpoint: Checkpoint) -> Path:
    labels = [CLASSES[n % 2] for n in range(len(texts()))]
    raw = RawDocuments("texts", [f"d{n}" for n in range(len(labels))], texts(), labels, None)
    return store_documents(raw, class_ids(raw, checkpoint.class_names, None), checkpoint.class_names).path


QUICK = ("int8-dynamic", "onnx-int8-dynamic")
"""The others take minutes together."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.long)
        for name in (*registry.names(), EXAMPLE)
    ],
)
def test_conformance(name: str, checkpoint: Checkpoint, documents: Path, tmp_path: Path) -> None:
    try:
        variant = registry.get(name)
    except UserError as error:
        if name in (*registry.BUILT_IN, EXAMPLE):
            raise
        pytest.skip(str(error))
    if missing := registry.missing_packages(variant):
        pytest.skip(f"needs {', '.join(missing)}: {registry.install_hint(variant)}")
    settings = Settings(engine=choose_engine(None), keep_float_mixed=("classifier",))
    calibration = CalibrationRequest(None, f"random {LENGTH}", "random text", LENGTH)
    log = tmp_path / "prepare.log"
    made = prepare_variant(name, checkpoint, settings, calibration, log, Terms(600)).artifact
    assert variant.summary
    assert made.converted or not variant.quantizes
    # The example halves the file alone, and says so: it is the one that may.
    assert (float_matrices(name, made) != []) == (name == EXAMPLE)

    # The worker has the artifact and nothing else: the float model is out of its reach.
    away = checkpoint.directory.with_name(f"{checkpoint.directory.name}.away")
    checkpoint.directory.rename(away)
    try:
        found = measure(name, made, documents, tmp_path / "run")
    finally:
        away.rename(checkpoint.directory)

    expected = float_logits(checkpoint)
    span = float(np.ptp(expected))
    difference = float(np.abs(found - expected).max())
    # Exact up to the order of sums, or rounded: near, and never the float model itself.
    if variant.quantizes:
        assert 1e-6 < difference < 0.5 * span
    else:
        assert difference < 1e-4 * max(1.0, span)


def float_matrices(name: str, artifact: Artifact) -> list[str]:
    """Weights in float32 that a loaded eager module has of what it is said to have converted.

    The other runtimes hold their weights out of Python's sight.
    """
    if artifact.state_dict_bytes is None:
        return []
    predict: Any = registry.get(name).load(artifact.directory, artifact.settings)
    (module,) = (c.cell_contents for c in predict.__closure__ if isinstance(c.cell_contents, nn.Module))
    return [
        key
        for key, tensor in (*module.named_parameters(), *module.named_buffers())
        if is_kept(key, artifact.converted)
        and tensor.ndim > 1
        # A quantized tensor of torchao calls itself float32; what it holds is elsewhere.
        and tensor.dtype == torch.float32
        and not hasattr(tensor, "qdata")
    ]


def measure(name: str, artifact: Artifact, documents: Path, directory: Path) -> np.ndarray:
    """Logits in the order of the documents, from a worker that evaluated each document twice.

    In batches, with padding: a variant that ignored the mask would be far off.
    """
    files = RunFiles(directory)
    files.cells.mkdir(parents=True)
    cell = Cell("cell", name, LENGTH, 0, usable_cores()[0], 0, 1)
    everything = len(texts())
    outcome = measure_cell(
        files, cell, artifact, Work(documents, "quality", BATCH, warmup=everything, timeout=300)
    )
    assert outcome.error is None, Path(outcome.log).read_text(encoding="utf-8")
    logits: dict[bool, dict[str, list[float]]] = {True: {}, False: {}}
    for row in pq.read_table(files.cell("cell")).to_pylist():
        logits[row["warmup"]][row["doc_id"]] = row["logits"]
    assert len(logits[True]) == everything
    assert logits[True] == logits[False], "not deterministic"
    return np.array([logits[False][f"d{n}"] for n in range(everything)], dtype=np.float32)


def float_logits(checkpoint: Checkpoint) -> np.ndarray:
    """Of the float model, one document at a time."""
    module, tokenizer = checkpoint.source.module(), checkpoint.source.tokenizer()
    found = []
    for text in texts():
        encoding = tokenizer(text, max_length=LENGTH, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            found.append(module(**encoding).logits[0].numpy())
    return np.array(found)
