"""Inputs are padded to few lengths where that changes nothing, and all are called before any document."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ptdq.inputs.arrays import Inputs
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import torch_predictor
from ptdq.runtimes.padding import RULE, with_padding
from ptdq.variants.padding import STEP, write_padding
from tests.support.architectures import CLASSES, POSITIONS, save_own, save_transformer

LONGEST = 40
NAMES = ("input_ids", "attention_mask")


class Recorder:
    """Stands for a runtime: notes what it is called with."""

    threads = 1

    def __init__(self) -> None:
        self.calls: list[Inputs] = []

    def __call__(self, inputs: Inputs) -> NDArray[np.float32]:
        self.calls.append(inputs)
        return np.zeros((1, 2), np.float32)


def document(tokens: int, batch: int = 1) -> Inputs:
    ids = np.full((batch, tokens), 7)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "of_no_interest": ids}


def test_every_length_that_is_called_was_called_when_it_was_loaded(tmp_path: Path) -> None:
    rule = {"step": STEP, "longest": LONGEST, "fill": {"input_ids": 9, "attention_mask": 0}}
    (tmp_path / RULE).write_text(json.dumps(rule))
    runtime = Recorder()
    predict = with_padding(runtime, tmp_path)
    predict.warm(2, LONGEST)  # type: ignore[attr-defined]
    warmed = {call["input_ids"].shape for call in runtime.calls}
    assert warmed == {(2, 16), (2, 32), (2, 40)}
    runtime.calls.clear()
    for tokens in range(1, LONGEST + 1):
        predict(document(tokens, batch=2))
    assert {call["input_ids"].shape for call in runtime.calls} == warmed
    for tokens, call in enumerate(runtime.calls, start=1):
        assert (call["input_ids"][:, :tokens] == 7).all()
        assert (call["input_ids"][:, tokens:] == 9).all()
        assert (call["attention_mask"].sum(axis=1) == tokens).all()
    runtime.calls.clear()
    predict(document(LONGEST + 1))
    assert runtime.calls[0]["input_ids"].shape == (1, LONGEST + 1)


def test_a_single_document_is_padded_to_a_length_that_is_near(tmp_path: Path) -> None:
    rule = {"step": STEP, "longest": 64, "fill": {"input_ids": 9, "attention_mask": 0}}
    (tmp_path / RULE).write_text(json.dumps({**rule, "lengths": [8, 24, 60]}))
    runtime = Recorder()
    predict = with_padding(runtime, tmp_path)
    given = (1, 8, 9, 17, 24, 25, 47, 48, 60, 61, 70)
    for tokens in given:
        predict(document(tokens))
        predict(document(tokens, batch=2))
    called = [call["input_ids"].shape[1] for call in runtime.calls]
    # 24 tokens for 9 would be more padding than the step's, 60 for 47 more than a fifth.
    assert called[::2] == [8, 8, 16, 24, 24, 32, 48, 60, 60, 64, 70]
    assert called[1::2] == [16, 16, 16, 32, 32, 32, 48, 48, 64, 64, 70]
    runtime.calls.clear()
    predict.warm(1, 64)  # type: ignore[attr-defined]
    assert {call["input_ids"].shape[1] for call in runtime.calls} == set(called[::2]) - {70}


def test_without_a_rule_the_runtime_is_called_as_it_is(tmp_path: Path) -> None:
    runtime = Recorder()
    assert with_padding(runtime, tmp_path) is runtime


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_padding_is_exact_up_to_rounding(family: str, tmp_path: Path) -> None:
    save_transformer(tmp_path, family)
    source = open_checkpoint(str(tmp_path), labels=list(CLASSES)).source
    module = source.module()
    assert write_padding(source, module, NAMES, tmp_path)
    plain = torch_predictor(module)
    padded = with_padding(plain, tmp_path)
    for tokens in range(2, POSITIONS - 2):
        ids = np.arange(tokens)[None] % 8 + 5
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        np.testing.assert_allclose(padded(inputs), plain(inputs), atol=1e-5)


def test_a_model_that_padding_changes_is_not_padded(tmp_path: Path) -> None:
    loader = save_own(tmp_path, "lstm")  # its second direction begins with the padding
    source = open_checkpoint(str(tmp_path), labels=list(CLASSES), loader=loader).source
    assert not write_padding(source, source.module(), NAMES, tmp_path)
    assert not (tmp_path / RULE).exists()
