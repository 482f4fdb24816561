"""Harm, timing, groups and the switchboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ptdq.errors import UserError
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import torch_predictor
from ptdq.sensitivity.harm import harm
from ptdq.sensitivity.switchboard import Switchboard, groups
from ptdq.sensitivity.timing import gain, time_pair
from ptdq.variants.base import Settings
from ptdq.variants.dynamic import Int8Dynamic
from ptdq.variants.engines import choose_engine
from tests.conftest import CLASSES

LABELS = np.array([0, 1, 2, 0])
LOGITS = np.array([[4, 1, 0], [0, 3, 1], [0, 1, 2], [1, 0, 0]], np.float32)


def settings(**values: object) -> Settings:
    return Settings(engine=choose_engine(None), **values)  # type: ignore[arg-type]


def test_no_change_is_no_harm() -> None:
    found = harm(LABELS, LOGITS, LOGITS)
    assert (found.divergence, found.largest, found.changed, found.f1_weighted_difference) == (0, 0, 0, 0)
    assert found.f1_weighted == 1


def test_a_shift_of_all_classes_is_no_divergence() -> None:
    found = harm(LABELS, LOGITS, LOGITS + 3)
    assert found.divergence == pytest.approx(0, abs=1e-12)
    assert found.largest == 3


def test_harm_counts_predictions_and_f1() -> None:
    found = harm(LABELS, LOGITS, LOGITS * np.array([[1], [1], [-1], [1]], np.float32))
    assert found.changed == 1
    assert found.f1_weighted_difference < 0 < found.divergence


def test_logits_that_are_no_numbers_are_the_greatest_harm() -> None:
    assert harm(LABELS, LOGITS, np.full_like(LOGITS, np.nan)).divergence == np.inf


def test_the_interval_of_the_gain_covers_it() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        clock = random.lognormal(0, 0.3, (25, 1))
        pairs = clock + np.array([[2.0, 1.5]]) + random.normal(0, 0.1, (25, 2))
        found = gain(pairs)
        covered += found.gain_low_ms <= 0.5 <= found.gain_high_ms
    assert covered / 400 > 0.93


def test_the_same_code_gains_nothing() -> None:
    def work() -> float:
        return float(sum(np.sqrt(number) for number in range(50)))

    found = time_pair(work, work, seconds=0.05)
    assert found.pairs >= 12
    assert abs(found.gain_ms) < 0.5 * found.float_ms


def test_groups_by_block_have_names_that_are_prefixes() -> None:
    names = ["bert.layer.1.query", "bert.layer.1.out.dense", "bert.layer.11.query", "pooler.dense", "0"]
    found = groups(names, "block")
    assert list(found) == ["bert.layer.1", "bert.layer.11", "pooler.dense", "0"]
    assert found["bert.layer.1"] == names[:2]
    assert groups(names, "module") == {name: [name] for name in names}


def test_everything_quantized_is_int8_dynamic_and_nothing_is_float(tiny_model: Path) -> None:
    source = open_checkpoint(str(tiny_model), labels=CLASSES).source
    inputs = {"input_ids": np.arange(5, 15)[None], "attention_mask": np.ones((1, 10), np.int64)}
    float32 = torch_predictor(source.module())(inputs)
    int8 = torch_predictor(Int8Dynamic().quantize(source.module(), settings()))(inputs)
    kept = "bert.encoder.layer.1"
    mixed = torch_predictor(Int8Dynamic().quantize(source.module(), settings(keep_float=(kept,))))(inputs)

    board = Switchboard(source.module(), settings())
    for names, expected in (
        (board.floats, int8),
        ([name for name in board.floats if not name.startswith(kept)], mixed),
        ((), float32),
    ):
        board.quantize(names)
        assert np.array_equal(board.predict(inputs), expected)
    assert not np.array_equal(int8, mixed)
    assert not np.array_equal(float32, mixed)


def test_calls_of_a_shared_module_are_counted() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            result = input_ids.float()
            for _ in range(3):
                result = self.used(result)
            return result

    board = Switchboard(Shared().eval(), settings())
    calls = board.calls({"input_ids": np.ones((2, 4), np.int64)})
    assert {name: call.count for name, call in calls.items()} == {"used": 3}
    board.run(calls, quantized=True)


def test_nothing_to_quantize_is_said() -> None:
    with pytest.raises(UserError, match=r"nothing to quantize.*keep_float"):
        Switchboard(nn.Sequential(nn.Linear(2, 2)), settings(keep_float=("0",)))
