"""The flow's predictions are those of the plain loop of the reference experiment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from ptdq.store.tables import read_table
from ptdq.variants.engines import choose_engine
from tests.support.running import Finished


def plain_loop(model_directory: Path, data: Path, length: int, quantized: bool) -> NDArray[np.float32]:
    """Logits as the experiment takes them: one document at a time, in the order of the file."""
    torch.backends.quantized.engine = choose_engine(None)
    model = AutoModelForSequenceClassification.from_pretrained(model_directory).eval()
    if quantized:
        model = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    tokenizer = AutoTokenizer.from_pretrained(model_directory)
    logits = []
    for text in pd.read_csv(data)["text"]:
        inputs = tokenizer(text, max_length=length, truncation=True, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits.append(model(**inputs).logits[0].numpy())
    return np.stack(logits)


@pytest.mark.long
@pytest.mark.parametrize("length", [8, 16])
def test_predictions_are_those_of_the_plain_loop(
    finished: Finished, tiny_model: Path, tiny_data: Path, length: int
) -> None:
    flow = read_table(finished.files.table("predictions")).to_pandas()
    expected = {}
    for variant in ("fp32", "int8-dynamic"):
        cell = flow[(flow.variant == variant) & (flow.max_length == length) & ~flow.warmup]
        # Ids begin with the row in the file; the cell has an order of its own.
        cell = cell.sort_values("doc_id")
        expected[variant] = plain_loop(tiny_model, tiny_data, length, variant != "fp32")
        assert cell.prediction.tolist() == expected[variant].argmax(axis=1).tolist()
        assert np.stack(cell.logits.to_list()) == pytest.approx(expected[variant], abs=1e-5)
    # Else the test could tell neither one variant from the other nor a right answer from a constant.
    assert np.abs(expected["fp32"] - expected["int8-dynamic"]).max() > 1e-3
    assert len(np.unique(expected["fp32"].argmax(axis=1))) == 3
