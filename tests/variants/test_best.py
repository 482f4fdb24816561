"""``int8-best`` without a search: smoothed only where the calibration documents show the need of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification

from ptdq.host.machine import ISA_CAP, cpu_flags
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import Source, torch_predictor
from ptdq.problem.answers import Answers
from ptdq.problem.task import Task
from ptdq.variants import registry
from ptdq.variants.base import Calibration, Inputs, Prepared, Settings
from ptdq.variants.best import Int8Best
from tests.support.architectures import CLASSES, SPECIAL, WORDS, save_tokenizer, save_transformer

pytestmark = [
    pytest.mark.slow,
    # What libraries warn of while OpenVINO converts; elsewhere that is in the log of a child process.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        bool(registry.missing_packages(Int8Best())), reason=registry.install_hint(Int8Best())
    ),
]
TOKENS = 12
UNIT = 3
GAIN = 1000.0
SINGLE_LABEL = Answers()


@pytest.mark.long
def test_without_smoothing_where_no_answer_changes(tmp_path: Path) -> None:
    source = model(tmp_path / "model")
    prepared = prepare(source, tmp_path / "artifact", surest(source, documents()))
    assert changed(prepared) == [0]
    assert not smoothed(tmp_path / "artifact")


@pytest.mark.long
@pytest.mark.skipif("avx2" not in cpu_flags(), reason="there is no cap for this CPU's instructions")
def test_a_cpu_without_vnni_gives_the_same_answers(tmp_path: Path) -> None:
    """Its sums in 16 bits saturate, unless weights have seven: capped before the runtimes are loaded."""
    code = "import sys; from tests.variants import test_best; test_best.print_changed(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, ISA_CAP: "AVX2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [0]


def print_changed(directory: str) -> None:
    """What the test above runs in a process of its own."""
    source = model(Path(directory) / "model")
    prepared = prepare(source, Path(directory) / "artifact", surest(source, documents()))
    print(json.dumps(changed(prepared)))


@pytest.mark.long
def test_with_smoothing_where_an_outlier_needs_it(tmp_path: Path) -> None:
    source = model(tmp_path / "model", outlier=True)
    prepared = prepare(source, tmp_path / "artifact", documents())
    without, with_smoothing = changed(prepared)
    assert with_smoothing < without / 2
    assert smoothed(tmp_path / "artifact")


@pytest.mark.long
@pytest.mark.parametrize("task", ["binary", "regression", "rerank"])
def test_one_output_is_no_reason_to_leave_smoothing_out(task: Task, tmp_path: Path) -> None:
    """Over one output every argmax is the same: what is compared is the decision, value or order."""
    source = model(tmp_path / "model", outlier=True, outputs=1)
    inputs = documents()
    middle = float(np.median(np.concatenate(list(map(torch_predictor(source.module()), inputs)))))
    prepared = prepare(source, tmp_path / "artifact", inputs, Answers(task, middle))
    without, with_smoothing = changed(prepared)
    assert with_smoothing < without / 2
    assert smoothed(tmp_path / "artifact")


def changed(prepared: Prepared) -> list[float]:
    """Shares of answers that each candidate changed, in the order in which they were tried."""
    return [one["changed"] for one in prepared.details["tuning"]["tried"]]


def model(directory: Path, outlier: bool = False, outputs: int = len(CLASSES)) -> Source:
    """A tiny BERT; with an outlier, the values of one unit of its feed-forward networks are huge.

    They are scaled down again by the next layer: float does not mind, one scale for all units does.
    """
    save_transformer(directory, "bert", num_labels=outputs)
    save_tokenizer(directory, token_types=True)
    if outlier:
        module = AutoModelForSequenceClassification.from_pretrained(directory)
        for layer in module.bert.encoder.layer:
            layer.intermediate.dense.weight.data[UNIT] *= GAIN
            layer.intermediate.dense.bias.data[UNIT] *= GAIN
            layer.output.dense.weight.data[:, UNIT] /= GAIN
        module.save_pretrained(directory)
    return open_checkpoint(str(directory), labels=list(CLASSES)[:outputs]).source


def documents() -> list[Inputs]:
    generator = np.random.default_rng(0)
    first, last = len(SPECIAL), len(SPECIAL) + len(WORDS)
    ones = np.ones((1, TOKENS), dtype=np.int64)
    return [
        {
            "input_ids": generator.integers(first, last, (1, TOKENS)),
            "attention_mask": ones,
            "token_type_ids": 0 * ones,
        }
        for _ in range(256)
    ]


def surest(source: Source, inputs: list[Inputs]) -> list[Inputs]:
    """The quarter that the float model is surest of: rounding changes none of these answers."""
    predict = torch_predictor(source.module())
    return sorted(inputs, key=lambda one: -float(np.ptp(predict(one))))[: len(inputs) // 4]


def prepare(
    source: Source, directory: Path, inputs: list[Inputs], answers: Answers = SINGLE_LABEL
) -> Prepared:
    directory.mkdir()
    calibration = Calibration(inputs, "random", answers)
    return Int8Best().prepare(source, directory, Settings(engine="x86"), calibration)


def smoothed(directory: Path) -> bool:
    import openvino

    graph = openvino.Core().read_model(directory / "model.xml")
    return any("smooth_quant" in node.get_friendly_name() for node in graph.get_ordered_ops())
