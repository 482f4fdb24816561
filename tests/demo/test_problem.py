"""The demonstration as it is run: hard where real problems are, so that variants differ."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ptdq.demo import DemoFiles, make_demo
from ptdq.demo.corpus import MARK
from ptdq.inputs.arrays import Inputs, Predictor
from ptdq.inputs.source import Source, torch_predictor
from ptdq.inputs.tokenizing import open_tokenizer
from ptdq.variants import registry
from ptdq.variants.artifact import make_artifact
from ptdq.variants.base import Calibration, Settings
from ptdq.variants.engines import choose_engine

pytestmark = [pytest.mark.slow, pytest.mark.long]

LENGTH = 192
DOCUMENTS = 1000
CALIBRATION = 128


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return make_demo(tmp_path_factory.mktemp("cache"), progress=False)


@pytest.fixture(scope="module")
def source(files: DemoFiles) -> Source:
    return Source(files.model)


def read(path: Path, count: int) -> tuple[list[str], NDArray[np.int64]]:
    """Texts and labels of the first documents."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:count]
    return [row["text"] for row in rows], np.array([int(row["label"]) for row in rows])


def encoded(source: Source, texts: list[str]) -> list[Inputs]:
    tokenizer = open_tokenizer(source.directory, source)
    return [tokenizer([text], LENGTH).inputs for text in texts]


def answers(predict: Predictor, inputs: list[Inputs]) -> NDArray[np.int64]:
    logits = np.concatenate([predict(each) for each in inputs])
    return np.asarray(logits.argmax(axis=1), np.int64)


def test_it_is_hard_and_int8_changes_some_answers(
    files: DemoFiles, source: Source, tmp_path: Path
) -> None:
    texts, labels = read(files.data, DOCUMENTS)
    inputs = encoded(source, texts)
    ranges = encoded(source, read(files.calibration, CALIBRATION)[0])
    right = answers(torch_predictor(source.module()), inputs)
    assert 0.75 < (right == labels).mean() < 0.9

    def agreement(name: str) -> float:
        variant, settings = registry.get(name), Settings(choose_engine(None))
        calibration = Calibration(ranges, "train.csv") if variant.calibrates else None
        make_artifact(variant, source, settings, calibration, tmp_path / name)
        return float((answers(variant.load(tmp_path / name, settings), inputs) == right).mean())

    # With a range for each document a rare outlier spoils that document, with one range for all it
    # spoils all of them.
    dynamic, static = agreement("int8-dynamic"), agreement("onnx-int8-static")
    assert 0.97 <= dynamic <= 0.995
    assert static < 0.97


def test_a_few_documents_have_the_sign(files: DemoFiles) -> None:
    texts, _ = read(files.data, DOCUMENTS)
    assert 0.01 < sum(MARK in text for text in texts) / len(texts) < 0.05
