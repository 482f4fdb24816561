"""Attention masks of OpenVINO's graphs in which padding sees nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.examples import read_examples
from ptdq.inputs.source import Source, torch_predictor
from ptdq.variants import openvino_runtime
from ptdq.variants.masks import let_all_see
from tests.support.architectures import CLASSES
from tests.support.zoo import save_family

pytest.importorskip("openvino")
pytestmark = pytest.mark.filterwarnings("ignore")  # tracing has many


def source_of(directory: Path, family: str) -> Source:
    save_family(directory, family)
    return open_checkpoint(str(directory), labels=CLASSES).source


def answers(graph: Any, inputs: Any) -> Any:
    from ptdq.runtimes.openvino_runtime import compiled

    return compiled(graph, 1, "f32")(inputs)


@pytest.mark.parametrize("family", ["modernbert", "gemma3_text"])
def test_padding_beyond_the_window_does_not_spoil_a_document(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(tmp_path, family)
    module = source.module()
    batch = read_examples(source, None)[-1]
    expected = torch_predictor(module)(batch)
    monkeypatch.setattr(openvino_runtime, "let_all_see", lambda *_: 0)
    graph = openvino_runtime.convert(source, module)
    assert np.isnan(answers(graph, batch)).any()  # or there is no need of it any more
    assert let_all_see(graph, source.longest_input()) == 1
    np.testing.assert_allclose(answers(graph, batch), expected, atol=1e-4)
    assert let_all_see(graph, source.longest_input()) == 0


def test_the_graph_of_an_encoder_without_a_window_stays_as_it_is(tmp_path: Path) -> None:
    source = source_of(tmp_path, "bert")
    graph = openvino_runtime.convert(source, source.module())
    assert let_all_see(graph, source.longest_input()) == 0
    assert "LogicalNot" not in {node.get_type_name() for node in graph.get_ops()}
