"""An artifact is compared with the float model on documents: planted faults, each refused by one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ptdq.errors import UserError
from ptdq.inputs.arrays import Inputs, Predictor
from ptdq.inputs.examples import read_examples
from ptdq.inputs.source import Source
from ptdq.variants.artifact import MANIFEST, make_artifact
from ptdq.variants.base import Calibration, Prepared, Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.fp32 import Fp32
from tests.support.zoo import save_family

Fault = Callable[[Predictor, Inputs], np.ndarray]


def drops_a_result(predict: Predictor, inputs: Inputs) -> np.ndarray:
    return predict(inputs)[: max(1, len(inputs["input_ids"]) - 1)]


def gives_nothing(predict: Predictor, inputs: Inputs) -> np.ndarray:
    return predict(inputs)[:0]


def one_class_more(predict: Predictor, inputs: Inputs) -> np.ndarray:
    return np.pad(predict(inputs), ((0, 0), (0, 1)))


def not_finite(predict: Predictor, inputs: Inputs) -> np.ndarray:
    logits = predict(inputs)
    return np.where(np.arange(len(logits))[:, None] == 3, np.nan, logits)


def crashes_where_long(predict: Predictor, inputs: Inputs) -> np.ndarray:
    if inputs["input_ids"].shape[1] > 20:
        raise RuntimeError("Gather: index out of range\nand a page of details")
    return predict(inputs)


def blind_to_padding(predict: Predictor, inputs: Inputs) -> np.ndarray:
    everything = np.ones_like(inputs["attention_mask"])
    return predict({**inputs, "attention_mask": everything})


def traced_length(predict: Predictor, inputs: Inputs) -> np.ndarray:
    """As a graph that was traced with the first five tokens."""
    return predict({name: ids[:, :5] for name, ids in inputs.items()})


def blurred(predict: Predictor, inputs: Inputs) -> np.ndarray:
    """As int8 does; the same each time."""
    logits = predict(inputs)
    step = 0.05
    return (np.round(logits / step) * step).astype(np.float32)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(save_family(tmp_path_factory.mktemp("proof") / "model", "bert"))


class Planted(Fp32):
    """Float32 with a fault."""

    name = "planted"
    fault: Fault

    def prepare(
        self, source: Source, directory: Path, settings: Settings, calibration: Calibration | None
    ) -> Prepared:
        made = super().prepare(source, directory, settings, calibration)
        return replace(made, predict=self._faulty(made.predict), converted=["all"])

    def load(self, directory: Path, settings: Settings) -> Predictor:
        return self._faulty(super().load(directory, settings))

    def _faulty(self, predict: Predictor) -> Predictor:
        fault = type(self).fault
        return lambda inputs: fault(predict, inputs)


def make(source: Source, target: Path, planted: Fault, **attributes: object) -> None:
    kind = type("Kind", (Planted,), {"fault": staticmethod(planted), **attributes})
    make_artifact(kind(), source, Settings(choose_engine(None)), None, target)


@pytest.mark.parametrize("quantizes", [False, True])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (drops_a_result, r"for 8 documents of 38 tokens .* results of shape \[7, 2\] and not \[8, 2\]"),
        (gives_nothing, r"for 1 document of \d+ tokens .* results of shape \[0, 2\] and not \[1, 2\]"),
        (one_class_more, r"results of shape \[1, 3\] and not \[1, 2\]"),
        (not_finite, "for 8 documents of 38 tokens it gives values that are not finite"),
        (crashes_where_long, r"it fails for 1 document of 2\d tokens \(RuntimeError: Gather: index"),
        (blind_to_padding, "its logits are .* off those of the float model"),
        (traced_length, "its logits are .* off those of the float model"),
    ],
)
def test_a_fault_is_refused(
    fault: Fault, said: str, quantizes: bool, source: Source, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"^variant planted: .*{said}") as error:
        make(source, tmp_path / "made", fault, quantizes=quantizes)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "made").exists()


def test_rounding_is_of_the_number_format_alone(source: Source, tmp_path: Path) -> None:
    make(source, tmp_path / "made", blurred, quantizes=True)
    assert (tmp_path / "made" / MANIFEST).is_file()
    with pytest.raises(UserError, match="more than float32 rounds: it computes something else"):
        make(source, tmp_path / "again", blurred, quantizes=False)


def test_bit_for_bit_only_where_it_is_promised(source: Source, tmp_path: Path) -> None:
    calls = iter(range(10_000))

    def never_twice_the_same(predict: Predictor, inputs: Inputs) -> np.ndarray:
        return predict(inputs) + np.float32(1e-5 * next(calls))

    make(source, tmp_path / "made", never_twice_the_same, quantizes=False, repeats=False)
    with pytest.raises(UserError, match="the reloaded artifact differs from the model in memory"):
        make(source, tmp_path / "again", never_twice_the_same, quantizes=False)


def test_a_float_model_that_fails_on_a_document_is_named(source: Source, tmp_path: Path) -> None:
    (good,) = read_examples(source, None)[:1]
    bad = {**good, "input_ids": good["input_ids"] + 10_000}
    with pytest.raises(UserError, match=r"^model BertForSequenceClassification: it fails for 1 document"):
        make_artifact(Fp32(), source, Settings(choose_engine(None)), None, tmp_path / "made", [bad])
