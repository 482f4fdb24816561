"""``--model-loader``: what a user's own function may return, and a line for each way that it fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ptdq.errors import UserError
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import Source, torch_predictor
from tests.support.architectures import CLASSES, save_own, save_tokenizer

MODULE = """
import torch
from torch import nn
from tests.support.architectures import convolutional, lstm


def returns_a_dict(directory):
    return lstm(directory).state_dict()


def raises(directory):
    raise KeyError("no such shape")


def of_other_shape(directory):
    return convolutional(directory)


class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.embedding, self.recurrence, self.head = inner.embedding, inner.recurrence, inner.head


class TakesWords(Wrapped):
    def forward(self, words):
        return self.head(words)


class GivesNoLogits(Wrapped):
    def forward(self, input_ids):
        return self.embedding(input_ids)


class GivesATuple(Wrapped):
    def forward(self, input_ids):
        return (self.embedding(input_ids),)


def takes_words(directory):
    return TakesWords(lstm(directory))


def gives_no_logits(directory):
    return GivesNoLogits(lstm(directory))


def gives_a_tuple(directory):
    return GivesATuple(lstm(directory))
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Weights and tokenizer of an LSTM, with modules of the user's on Python's path."""
    save_own(tmp_path / "model", "lstm")
    (tmp_path / "own_models.py").write_text(MODULE)
    (tmp_path / "own_broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))  # of this process
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of its children
    yield tmp_path / "model"
    for name in ("own_models", "own_broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("random_weights", [False, True])
@pytest.mark.parametrize(
    ("loader", "part"),
    [
        ("own_models", "package.module:function"),
        (":function", "package.module:function"),
        ("own_absent:function", "No module named 'own_absent'"),
        ("own_broken:function", "ZeroDivisionError"),
        ("own_models:absent", "absent"),
        ("own_models:returns_a_dict", "OrderedDict, and no torch.nn.Module"),
        ("own_models:raises", "KeyError: 'no such shape'"),
        ("own_models:takes_words", "TakesWords.forward fails on input_ids, attention_mask"),
        ("own_models:gives_no_logits", "[1, 3, 32], and not logits"),
        ("own_models:gives_a_tuple", "GivesATuple.forward fails"),
    ],
)
def test_a_line_for_each_way_to_fail(loader: str, part: str, random_weights: bool, model: Path) -> None:
    with pytest.raises(UserError) as caught:
        open_checkpoint(str(model), labels=CLASSES, loader=loader, random_weights=random_weights)
    text = str(caught.value)
    assert f"model_loader '{loader}'" in text
    assert part in text
    assert len(text.splitlines()) == 1


def test_weights_that_are_not_of_the_module(model: Path) -> None:
    with pytest.raises(UserError, match=r"model\.safetensors: .*recurrence") as caught:
        open_checkpoint(str(model), labels=CLASSES, loader="own_models:of_other_shape")
    assert str(model) in str(caught.value)


def test_weights_that_cannot_be_read(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"model\.safetensors: it cannot be read"):
        open_checkpoint(str(model), labels=CLASSES, loader="own_models:lstm")


def test_a_module_that_takes_less_than_the_tokenizer_gives(model: Path) -> None:
    few, many = logits(model, token_types=False), logits(model, token_types=True)
    assert np.array_equal(few, many)


def logits(model: Path, token_types: bool) -> np.ndarray:
    save_tokenizer(model, token_types)
    source: Source = open_checkpoint(str(model), labels=CLASSES, loader="own_models:lstm").source
    encoding = source.tokenizer()("good bad", return_tensors="np")
    assert ("token_type_ids" in encoding) == token_types
    return torch_predictor(source.module())(encoding)
