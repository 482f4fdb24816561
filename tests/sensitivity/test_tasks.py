"""``ptdq sensitivity`` at tasks without classes: what it says is what the models answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score, ndcg_score

from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import torch_predictor
from ptdq.sensitivity.find import Found
from ptdq.variants.base import Settings
from ptdq.variants.dynamic import Int8Dynamic
from ptdq.variants.engines import choose_engine
from tests.problem.test_runs import CROSS, TOPICS
from tests.sensitivity.test_sensitivity import complaint, study
from tests.support.problems import save_candidates, save_model, save_multi_label, save_scores

pytestmark = pytest.mark.slow
TOKENS = 32


def int8(model: Path, batches: Sequence[Sequence[tuple[Any, ...]]]) -> list[np.ndarray]:
    """What int8-dynamic answers to each batch."""
    source = open_checkpoint(str(model), labels=[]).source
    settings = Settings(engine=choose_engine(None))
    predict, tokenizer = (
        torch_predictor(Int8Dynamic().quantize(source.module(), settings)),
        source.tokenizer(),
    )
    found = []
    for batch in batches:
        columns = map(list, zip(*batch, strict=True))
        inputs = tokenizer(
            *columns, max_length=TOKENS, truncation=True, padding=True, return_tensors="np"
        )
        found.append(predict(dict(inputs)))
    return found


def check(found: Found, of_int8: float, words: list[str]) -> None:
    assert found.everything["main"] == pytest.approx(of_int8)
    assert [measure for measure, *_ in found.everything["shares"]] == words
    harms = [row["divergence"] for row in found.rows]
    assert harms == sorted(harms, reverse=True)
    assert harms[0] > 0


@pytest.mark.long
def test_multi_label(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", TOPICS, problem_type="multi_label_classification")
    rows = pd.read_parquet(data := save_multi_label(model, tmp_path / "data.parquet", TOPICS))
    found = study(
        model, data, tmp_path / "results", "--max-length", TOKENS, "--threshold", 0.6, "--by", "block"
    )
    given = np.concatenate(int8(model, [[(text,)] for text in rows["text"]])) > np.log(0.6 / 0.4)
    truth = np.array([[name in labels for name in TOPICS] for labels in rows["label"]])
    check(found.found, f1_score(truth, given, average="micro"), ["micro F1", "macro F1"])
    assert "of float32's micro F1" in (found.directory / "sensitivity.md").read_text(encoding="utf-8")


def test_regression(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", ["score"], problem_type="regression")
    rows = pd.read_csv(data := save_scores(model, tmp_path / "data.csv"))
    found = study(
        model, data, tmp_path / "results", "--max-length", TOKENS, "--by", "block",
        "--text-column", "first", "--text-pair-column", "second", "--label-column", "score",
    )  # fmt: skip
    pairs = [[pair] for pair in zip(rows["first"], rows["second"], strict=True)]
    answers = np.concatenate(int8(model, pairs))[:, 0]
    check(found.found, stats.spearmanr(rows["score"], answers).statistic, ["Spearman", "Pearson"])
    assert {row["changed"] for row in found.found.rows} == {None}


@pytest.mark.long
@pytest.mark.parametrize("limit", [60, 18])
def test_reranking(tmp_path: Path, limit: int) -> None:
    """A query's candidates are one batch, and none is left out of a sample."""
    model = save_model(tmp_path / "model", ["LABEL_0"], **CROSS)
    rows = pd.read_csv(data := save_candidates(model, tmp_path / "data.csv"))
    columns = (
        "--text-column", "query", "--text-pair-column", "candidate", "--label-column", "relevance",
    )  # fmt: skip
    found = study(
        model,
        data,
        tmp_path / "results",
        "--max-length",
        TOKENS,
        "--by",
        "block",
        "--limit",
        limit,
        *columns,
    ).found
    assert {row["documents"] for row in found.rows} == {60 if limit == 60 else 20}
    assert found.groups == (12 if limit == 60 else 4)
    if limit == 60:
        queries = [group for _, group in rows.groupby("query", sort=False)]
        batches = [list(zip(g["query"], g["candidate"], strict=True)) for g in queries]
        scores = [batch[:, 0] for batch in int8(model, batches)]
        ndcg: Callable[..., float] = ndcg_score
        of_queries = [
            ndcg(g["relevance"].to_numpy()[None], score[None], k=10)
            for g, score in zip(queries, scores, strict=True)
        ]
        check(found, float(np.mean(of_queries)), ["NDCG@10"])


def test_answers_that_say_nothing_have_no_share_to_keep(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", ["score"], problem_type="regression")
    rows = pd.read_csv(data := save_scores(model, tmp_path / "data.csv"))
    rows.assign(score=-rows["score"]).to_csv(data, index=False)
    text = complaint(
        "--model", model, "--data", data, "--max-length", TOKENS, "--results-dir", tmp_path / "results",
        "--text-column", "first", "--text-pair-column", "second", "--label-column", "score",
    )  # fmt: skip
    assert "Spearman of the float32 model is -0." in text
    assert "no share to keep" in text
