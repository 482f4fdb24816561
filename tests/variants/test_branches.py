"""Branches of an OpenVINO graph: each length by a graph with nothing open, everything else as before."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptdq.inputs.arrays import Inputs
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.profile.watch import profile
from ptdq.variants import registry
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.openvino_runtime import GRAPH, OpenvinoInt8Static
from ptdq.variants.padding import BRANCHES, branch_lengths
from ptdq.variants.preparation import Terms, prepare_variant
from ptdq.why.apart import branches_apart
from tests.conftest import CLASSES

LENGTHS = (8, 12, 16, 24)
pytestmark = pytest.mark.skipif(
    bool(registry.missing_packages(OpenvinoInt8Static())),
    reason=registry.install_hint(OpenvinoInt8Static()),
)


@pytest.fixture(scope="module")
def artifact(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a tiny classifier in int8, embeddings too."""
    return prepare_variant(
        OpenvinoInt8Static.name,
        open_checkpoint(str(tiny_model), labels=CLASSES),
        Settings(engine=choose_engine(None)),
        CalibrationRequest(None, "random 32", "random text", 32),
        tmp_path_factory.mktemp("log") / "prepare.log",
        Terms(600),
    ).artifact.directory


def documents(tokens: int, batch: int = 1) -> Inputs:
    ids = np.random.default_rng(tokens).integers(5, 60, (batch, tokens))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": 0 * ids}


def model(artifact: Path, lengths: tuple[int, ...]) -> Callable[[Inputs], np.ndarray]:
    from ptdq.runtimes.openvino_runtime import compiled

    return compiled(artifact / GRAPH, 1, "f32", lengths)


def test_every_length_and_batch_is_answered_as_without_branches(artifact: Path) -> None:
    plain, branched = model(artifact, ()), model(artifact, LENGTHS)
    # From long to short as well: nothing of a longer document may be left in what a shorter one is in.
    for tokens in [*range(1, 33), *range(32, 0, -1)]:
        given = documents(tokens)
        np.testing.assert_allclose(branched(given), plain(given), atol=1e-5)
    for tokens in (8, 9, 24, 25):
        given = documents(tokens, batch=3)
        np.testing.assert_allclose(branched(given), plain(given), atol=1e-5)


def test_what_has_no_branch_is_given_to_the_open_graph_alone(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptdq.runtimes.openvino_runtime import Branched

    predict = model(artifact, LENGTHS)
    opened: list[tuple[int, ...]] = []
    monkeypatch.setattr(Branched, "_give", lambda self, arrays, first: opened.append(arrays[0].shape))
    for tokens in LENGTHS:
        predict(documents(tokens))
    assert not opened
    predict(documents(9))
    predict(documents(8, batch=2))
    assert opened == [(1, 9), (2, 8)]


def test_a_profiler_sees_what_is_in_branches_that_are_apart(artifact: Path, tmp_path: Path) -> None:
    joined = tmp_path / "joined"
    joined.mkdir()
    for path in artifact.iterdir():
        (joined / path.name).write_bytes(path.read_bytes())
    rule = json.loads((joined / "padding.json").read_text())
    (joined / "padding.json").write_text(json.dumps({**rule, "lengths": LENGTHS}))
    (joined / "precision.json").write_text(json.dumps({"precision": "f32", "shapes": LENGTHS}))
    settings = Settings(engine=choose_engine(None))
    variant = OpenvinoInt8Static()
    given = [documents(20), documents(30)]

    def load() -> Callable[[Inputs], np.ndarray]:
        with branches_apart():
            return variant.load(joined, settings)

    served = variant.load(joined, settings)
    watched = profile(load, lambda call: call(given[0]), lambda call: [call(one) for one in given])
    apart = load()
    for one in given:
        np.testing.assert_allclose(apart(one), served(one), atol=1e-5)
    products = [one for one in watched.operations if one.part == "int8 products"]
    # A row for each token that is computed: 20 are padded to 24, the length of a branch, and 30 to 32.
    rows = {int(one.shape.split("x")[0]) for one in products}
    assert {24, 32} <= rows <= {1, 24, 32}


def test_lengths_are_close_to_each_other_and_end_in_the_longest() -> None:
    assert branch_lengths([23, 70, 256], 512) == (
        16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256,
    )  # fmt: skip
    assert branch_lengths([90, 100], 512) == (16, 32, 64, 96, 100)
    assert branch_lengths([128] * 5, 512) == (16, 32, 64, 128)
    assert branch_lengths([3, 700], 512)[-1] == 512
    assert branch_lengths([5], 512) == (5,)
    many = branch_lengths([10, 8000], 8192)
    assert len(many) <= BRANCHES
    assert many[-1] == 8000
    assert list(many) == sorted(set(many))


def test_a_table_is_widened_without_a_list_of_its_numbers() -> None:
    import openvino
    from openvino import opset8 as operations

    from ptdq.runtimes.openvino_runtime import _widen_tables

    numbers = np.random.default_rng(0).integers(-127, 128, (4000, 64), np.int8)
    scale = np.full((4000, 1), 0.5, np.float32)
    ids = operations.parameter([1, 8], np.int64)
    table = operations.multiply(
        operations.convert(openvino.op.Constant(numbers), "f32"), openvino.op.Constant(scale)
    )
    rows = operations.gather(table, ids, openvino.op.Constant(np.zeros((), np.int64)))
    graph = openvino.Model([operations.result(rows)], [ids])
    tracemalloc.start()
    try:
        _widen_tables(graph)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (made,) = [node for node in graph.get_ordered_ops() if node.get_output_shape(0) == [4000, 64]]
    np.testing.assert_array_equal(made.data, numbers * scale)
    # The table, and that before it is scaled; a list takes eight times as much or more.
    assert peak < 3 * made.data.nbytes
