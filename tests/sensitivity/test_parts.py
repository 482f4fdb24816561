"""Harm, timing, groups and the switchboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ptdq.errors import UserError
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import torch_predictor
from ptdq.sensitivity.harm import Truth, harm
from ptdq.sensitivity.switchboard import Switchboard, groups
from ptdq.sensitivity.timing import gain, time_pair
from ptdq.variants.base import Settings
from ptdq.variants.dynamic import Int8Dynamic
from ptdq.variants.engines import choose_engine
from tests.conftest import CLASSES

LABELS = np.array([0, 1, 2, 0])
TRUTH = Truth(LABELS, np.empty((0, 0)), np.arange(4))
LOGITS = np.array([[4, 1, 0], [0, 3, 1], [0, 1, 2], [1, 0, 0]], np.float32)


def settings(**values: object) -> Settings:
    return Settings(engine=choose_engine(None), **values)  # type: ignore[arg-type]


def test_no_change_is_no_harm() -> None:
    found = harm(TRUTH, LOGITS, LOGITS)
    assert (found.divergence, found.largest, found.changed, found.main_difference) == (0, 0, 0, 0)
    assert found.main == 1


def test_a_shift_of_all_classes_is_no_divergence() -> None:
    found = harm(TRUTH, LOGITS, LOGITS + 3)
    assert found.divergence == pytest.approx(0, abs=1e-12)
    assert found.largest == 3


def test_harm_counts_predictions_and_f1() -> None:
    found = harm(TRUTH, LOGITS, LOGITS * np.array([[1], [1], [-1], [1]], np.float32))
    assert found.changed == 1
    assert found.main_difference < 0 < found.divergence


def test_logits_that_are_no_numbers_are_the_greatest_harm() -> None:
    assert harm(TRUTH, LOGITS, np.full_like(LOGITS, np.nan)).divergence == np.inf


def of_task(task: Any, targets: list[list[float]], groups: list[int]) -> Truth:
    return Truth(np.empty(0, np.int64), np.array(targets), np.array(groups), task, 0.0)


def test_harm_of_labels_is_that_of_each_yes_and_no() -> None:
    truth = of_task("multi-label", [[1, 0], [0, 1]], [0, 1])
    old, new = np.array([[2, -1], [-1, 3]], np.float32), np.array([[2, 1], [-1, 3]], np.float32)
    found = harm(truth, old, new)
    p, q = (1 / (1 + np.exp(-z)) for z in (-1.0, 1.0))
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert found.divergence == pytest.approx(expected / 2)  # of two documents
    assert found.changed == 1
    assert found.main == pytest.approx(0.8)
    assert found.main_difference == pytest.approx(-0.2)


def test_harm_of_a_query_is_that_of_which_candidate_comes_first() -> None:
    truth = of_task("rerank", [[1], [0], [0], [1]], [0, 0, 1, 1])
    old = np.array([[2], [1], [0], [1]], np.float32)
    moved = harm(truth, old, old + np.array([[5], [5], [-3], [-3]], np.float32))
    assert moved.divergence == pytest.approx(0, abs=1e-12)
    assert (moved.changed, moved.main, moved.main_difference) == (0, 1, 0)
    turned = harm(truth, old, old[[1, 0, 2, 3]])
    p, q = np.exp([2, 1]) / np.exp([2, 1]).sum(), np.exp([1, 2]) / np.exp([2, 1]).sum()
    assert turned.divergence == pytest.approx((p * np.log(p / q)).sum() / 2)
    assert turned.changed == 1
    assert turned.main == pytest.approx((1 / np.log2(3) + 1) / 2)


def test_harm_of_numbers_is_measured_by_their_spread() -> None:
    truth = of_task("regression", [[1], [2], [3], [4]], [0, 1, 2, 3])
    old = np.array([[1], [2], [3], [4]], np.float32)
    found = harm(truth, old, old + 1)
    # Of two normal distributions of the variance 1.25 whose means are 1 apart.
    assert found.divergence == pytest.approx(1 / (2 * 1.25))
    assert found.changed is None
    assert found.main == pytest.approx(1)
    # In other units it is as harmful.
    assert harm(truth, 10 * old, 10 * old + 10).divergence == pytest.approx(found.divergence)


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
