"""Columns hold what rows would: the tables are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptdq.measure.rows import Rows
from ptdq.runtimes.tokenizing import Encoded
from ptdq.store.tables import make_table, make_table_of_columns, table_metadata


def test_batches_become_the_table_of_their_rows() -> None:
    ids, labels = ["d0", "d1", "d2"], np.array([0, 1, 0])
    key = {"run_id": "r", "kind": "timing", "variant": "fp32", "max_length": 8, "repeat": 0}
    key |= {"core": 1, "order": 2}
    logits = np.array([[0.5, -1.0], [0.25, 2.0]], np.float32)
    rows = Rows()
    expected: list[dict[str, Any]] = []
    calls = [(range(0, 2), True, False), (range(1, 2), True, True), (range(0, 2), False, False)]
    for number, (batch, warmup, first) in enumerate(calls):
        size = len(batch)
        mask = np.array([[1] * 4 + [0] * 4, [1] * 8])[:size]
        cut = [False, True][:size]
        encoded = Encoded({"input_ids": mask, "attention_mask": mask}, cut.copy)
        times = (7 + number, 11 * 10**9)
        rows.add(batch, encoded, logits[:size], times, warmup=warmup, first_of_shape=first)
        for row, index in enumerate(batch):
            expected.append(
                {
                    **key,
                    "doc_id": f"d{index}",
                    "position": len(expected),
                    "batch": number,
                    "tokens": [4, 8][row],
                    "truncated": [False, True][row],
                    "label": index % 2,
                    "prediction": [0, 1][row],
                    "logits": logits[row].tolist(),
                    "tokenize_ns": 7 + number,
                    "forward_ns": 11 * 10**9,
                    "warmup": warmup,
                    "first_of_shape": first,
                }
            )
    found = rows.table(ids, labels, key, {"facts": {"a": 1}})
    assert found.equals(make_table("predictions", expected))
    assert table_metadata(found) == {"facts": {"a": 1}}


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="undeclared"):
        make_table_of_columns("documents", {"doc_id": ["a"], "colour": 1})
    with pytest.raises(ValueError, match="rows"):
        make_table_of_columns("documents", {"doc_id": ["a"], "label": np.array([1, 2])})
