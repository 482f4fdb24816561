"""Pairs of texts, from the file to the export: never half of a pair, and never the other way round."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ptdq
from ptdq.analysis.document_groups import document_groups
from ptdq.errors import UserError
from ptdq.export.build import export
from ptdq.inputs.calibration import check_apart
from ptdq.inputs.documents import read_documents
from ptdq.inputs.load import Loaded, read_data, read_model
from ptdq.inputs.stream import split_documents
from ptdq.parameters import Parameters
from ptdq.problem.pairs import why_pairs
from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table, read_table
from tests.support.problems import RELATIONS, TOKENS, logits_of, save_model, save_pairs, texts

COLUMNS = {"text_column": "premise", "label_column": "relation"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("pairs") / "model", RELATIONS)


@pytest.fixture(scope="module")
def data(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pairs(model, tmp_path_factory.mktemp("pairs") / "pairs.csv")


def load(model: Path, data: Path, **values: Any) -> Loaded:
    given = {"model": str(model), "data": str(data), "max_length": [TOKENS], **COLUMNS, **values}
    parameters = Parameters.model_validate(given)
    return read_model(parameters, read_data(parameters))


def read(path: Path, second: str = "hypothesis") -> Any:
    return read_documents(
        str(path), text_column=("premise", second), label_column="relation", encoding="utf-8",
        limit=None, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "config", "said"),
    [
        (RELATIONS, {}, "relations of two texts"),
        (("not_duplicate", "duplicate"), {}, "not_duplicate, duplicate"),
        (("LABEL_0",), {"sbert_ce_default_activation_function": "torch.nn.Identity"}, "cross-encoder"),
        (("LABEL_0",), {"sentence_transformers": {"version": "5.0"}}, "cross-encoder"),
        (("neutral", "happy"), {"type_vocab_size": 2}, ""),
    ],
)
def test_what_tells_a_model_of_pairs(names: tuple[str, ...], config: dict[str, Any], said: str) -> None:
    found = why_pairs(names, config)
    assert said in found
    assert bool(found) == bool(said)


def test_a_model_of_pairs_is_asked_about(model: Path, data: Path) -> None:
    with pytest.raises(UserError, match=r"entailment.*--text-pair-column COLUMN.*none"):
        load(model, data)
    assert not load(model, data, text_pair_column="none").documents.pairs
    assert load(model, data, text_pair_column="hypothesis").documents.pairs


def test_second_texts_are_checked(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column 'other'.*--text-pair-column"):
        read(data, "other")
    path = tmp_path / "holes.jsonl"
    frame = pd.DataFrame({"premise": ["a", "b"], "hypothesis": ["c", None], "relation": [0, 1]})
    frame.to_json(path, orient="records", lines=True)
    with pytest.raises(UserError, match=r"'hypothesis' has 1 missing or non-text values, in rows 2"):
        read(path)


def test_a_sample_of_pairs_keeps_both_texts(model: Path, data: Path) -> None:
    every = read(data)
    whole = dict(zip(every.ids, zip(every.contents, every.labels, strict=True), strict=True))
    given = {"model": str(model), "data": str(data), "max_length": [TOKENS], "limit": 9, **COLUMNS}
    some = read_data(Parameters.model_validate(given | {"text_pair_column": "hypothesis"}))
    assert (len(some.ids), some.sampled_from) == (9, len(whole))
    assert [whole[name] for name in some.ids] == list(zip(some.contents, some.labels, strict=True))


def test_lists_are_no_labels_of_one_class(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "lists.jsonl"
    frame = pd.DataFrame({"premise": ["a", "b"], "relation": [0, [1]]})
    frame.to_json(path, orient="records", lines=True)
    with pytest.raises(
        UserError, match=r"'relation' has 1 values that are no labels, in rows 2 \(lists\)"
    ):
        load(model, path, text_pair_column="none")


def test_a_pair_is_both_its_texts(tmp_path: Path) -> None:
    path, other = tmp_path / "one.csv", tmp_path / "other.csv"
    path.write_text("premise,hypothesis,relation\na,b,0\na,c,1\n", encoding="utf-8")
    other.write_text("premise,hypothesis,relation\na,b,0\na,d,1\n", encoding="utf-8")
    one, two = read(path), read(other)
    assert one.digest != two.digest
    assert one.ids[0] == two.ids[0]
    assert one.ids[1] != two.ids[1]
    # The same first text is not the same document.
    check_apart({("a", "d")}, set(one.contents), "calibration")
    with pytest.raises(UserError, match="1 of its documents are in the test set"):
        check_apart({("a", "c")}, set(one.contents), "calibration")
    rows = [
        {"doc_id": str(n), "text": text, "pair": pair, "label": 0}
        for n, (text, pair) in enumerate([("a", "b"), ("a", "c"), ("a ", "b!"), ("b", "a")])
    ]
    groups = document_groups(make_table("documents", rows)).numbers.tolist()
    assert groups[0] == groups[2]
    assert len({groups[0], groups[1], groups[3]}) == 3


def test_a_file_in_shards_has_the_same_pairs(model: Path, data: Path, tmp_path: Path) -> None:
    given = {"model": str(model), "data": str(data), "max_length": [TOKENS], **COLUMNS}
    parameters = Parameters.model_validate(given | {"text_pair_column": "hypothesis"})
    split_documents(parameters, list(RELATIONS), 7, tmp_path / "documents.parquet")
    found, whole = read_table(tmp_path / "documents.parquet").to_pydict(), read(data)
    assert (found["doc_id"], found["text"], found["pair"]) == (whole.ids, whole.texts, whole.pairs)


@pytest.mark.slow
@pytest.mark.long
def test_a_run_on_pairs(prefect_server: str, model: Path, data: Path, tmp_path: Path) -> None:
    run = ptdq.run(
        model,
        data,
        text_pair_column="hypothesis",
        variant=["fp32", "int8-dynamic"],
        max_length=[16],
        repeats=1,
        control_documents=0,
        timing_documents=10,
        load_wait=0,
        results_dir=tmp_path / "results",
        run_id="pairs",
        **COLUMNS,
    )
    frame = run.predictions
    mine = frame[
        (frame["variant"] == "fp32") & (frame["kind"] == "quality") & ~frame["warmup"].astype(bool)
    ]
    expected = logits_of(model, texts(40), texts(40, 5), 16)
    found = np.stack(mine.sort_values("doc_id")["logits"].tolist())
    assert np.allclose(found, expected, atol=1e-5)
    assert not np.allclose(found, logits_of(model, texts(40, 5), texts(40), 16), atol=1e-2)
    assert mine["truncated"].any()
    report = run.report.read_text(encoding="utf-8")
    assert "40 pairs of texts" in report

    out = export(RunFiles(run.directory), "int8-dynamic", tmp_path / "out")
    assert "pairs=" in (out / "README.md").read_text(encoding="utf-8")
    classifier = classifier_of(out)
    theirs = frame[
        (frame["variant"] == "int8-dynamic")
        & (frame["kind"] == "quality")
        & ~frame["warmup"].astype(bool)
    ]
    shipped = [classifier.logits([a], pairs=[b])[0] for a, b in zip(texts(40), texts(40, 5), strict=True)]
    assert np.array_equal(np.stack(shipped), np.stack(theirs.sort_values("doc_id")["logits"].tolist()))
    with pytest.raises(ValueError, match="measured on pairs of texts: give pairs="):
        classifier.classify(["a"])


def classifier_of(out: Path) -> Any:
    """The loader of an export, in this process."""
    sys.path.insert(0, str(out))
    names = [path.stem for path in out.glob("*.py")]
    try:
        spec = importlib.util.spec_from_file_location("load", out / "load.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.Classifier()
    finally:
        sys.path.remove(str(out))
        for name in names:
            sys.modules.pop(name, None)
