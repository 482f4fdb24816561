"""The arithmetic of a model, counted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptdq.inputs import arithmetic as counted
from ptdq.inputs.arithmetic import Arithmetic, arithmetic
from ptdq.inputs.checkpoint import Checkpoint, open_checkpoint
from ptdq.store.cache import ARITHMETIC
from tests.conftest import CLASSES


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def checkpoint(cache: Path, tiny_model: Path) -> Checkpoint:
    return open_checkpoint(str(tiny_model), labels=CLASSES)


def not_again(*_: object, **__: object) -> None:
    raise AssertionError("it was counted again")


def test_sizes_of_the_model_s_layers(checkpoint: Checkpoint) -> None:
    # Four of 32 by 32 a layer and the pooler; two of 32 by 64 a layer, one each way.
    assert arithmetic(checkpoint, [16]).linear_sizes[:2] == [(32, 32), (32, 64)]


def test_a_longer_document_takes_more(checkpoint: Checkpoint) -> None:
    counts = arithmetic(checkpoint, [8, 16]).multiply_adds
    short, long = counts[8], counts[16]
    assert short is not None
    assert long is not None
    # Linear layers take twice as much, attention four times.
    assert 2 * short < long < 4 * short


def test_it_is_counted_once(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    first = arithmetic(checkpoint, [8, 16])
    monkeypatch.setattr(counted, "ask_child", not_again)
    assert arithmetic(checkpoint, [16, 8]) == first
    with pytest.raises(AssertionError, match="again"):
        arithmetic(checkpoint, [24])


@pytest.mark.parametrize("content", ["", "{}", '{"linear_sizes": [[1]], "multiply_adds": {"8": 1}}', "[]",
                                     '{"linear_sizes": [], "multiply_adds": []}'])  # fmt: skip
def test_a_damaged_file_is_counted_again(cache: Path, checkpoint: Checkpoint, content: str) -> None:
    first = arithmetic(checkpoint, [8])
    (path,) = (cache / ARITHMETIC).iterdir()
    path.write_text(content)
    assert arithmetic(checkpoint, [8]) == first
    assert Arithmetic.from_json(first.to_json()) == first
