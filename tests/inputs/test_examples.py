"""What artifacts are compared on: documents of every length, as the model's tokenizer gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptdq.inputs.calibration import CalibrationRequest, read_calibration
from ptdq.inputs.examples import COUNT, read_examples
from ptdq.inputs.source import Source
from tests.support.architectures import POSITIONS, texts
from tests.support.cells import write_documents
from tests.support.zoo import save_family

END = 3
"""Id of ``[SEP]``, with which documents end."""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(save_family(tmp_path / "model", "roberta"))


def change(source: Source, name: str, **values: Any) -> None:
    path = source.directory / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_documents_from_the_shortest_to_the_longest_then_all_in_a_batch(
    source: Source, tmp_path: Path
) -> None:
    *single, batch = read_examples(source, write_documents(tmp_path / "d.parquet", texts()), 10)
    assert len(single) == COUNT
    lengths = [inputs["input_ids"].shape for inputs in single]
    assert lengths[0] == (1, 3)
    assert lengths[-1] == (1, 10)
    assert lengths == sorted(lengths)
    assert batch["input_ids"].shape == (COUNT, 10)
    assert batch["attention_mask"].sum(axis=1).tolist() == [tokens for _, tokens in lengths]
    for inputs in single:
        assert inputs["input_ids"][0, -1] == END


def test_without_documents_texts_are_made_up_and_end_as_documents_do(source: Source) -> None:
    *single, _ = read_examples(source, None)
    assert len({inputs["input_ids"].shape for inputs in single}) > 4
    for inputs in single:
        assert inputs["input_ids"][0, -1] == END
        assert (inputs["input_ids"] == END).sum() == 1


def test_no_longer_than_the_model_where_the_tokenizer_has_no_bound(source: Source) -> None:
    assert source.longest_input() == POSITIONS - 2
    change(source, "tokenizer_config.json", model_max_length=10**30)
    # Positions of RoBERTa begin after the padding id, which is 0 here.
    assert source.longest_input() == POSITIONS - 1
    longest = max(inputs["input_ids"].shape[1] for inputs in read_examples(source, None))
    assert 10 < longest <= POSITIONS - 1


def test_without_padding_there_is_no_batch(source: Source) -> None:
    assert source.pads()
    change(source, "config.json", pad_token_id=None)
    assert not source.pads()
    assert all(len(inputs["input_ids"]) == 1 for inputs in read_examples(source, None))


def test_made_up_calibration_ends_as_documents_do(source: Source) -> None:
    found = read_calibration(source, CalibrationRequest(None, "", "random text", 12)).inputs
    assert len(found) == 128
    assert max(inputs["input_ids"].shape[1] for inputs in found) == 12
    assert all(inputs["input_ids"][0, -1] == END for inputs in found)
    assert len({inputs["input_ids"].tobytes() for inputs in found}) > 100
    assert all(inputs["input_ids"].dtype == np.int64 for inputs in found)
