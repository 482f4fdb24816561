"""Whole runs at each task: answers of plain transformers, figures of scikit-learn and scipy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score, ndcg_score

import ptdq
from ptdq.export.build import export
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from tests.problem.test_pairs import classifier_of
from tests.support.problems import (
    logits_of,
    save_candidates,
    save_model,
    save_multi_label,
    save_scores,
)

pytestmark = [pytest.mark.slow, pytest.mark.long]
TOPICS = ("sport", "health", "cars", "school")
CROSS = {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}


def measure(model: Path, data: Path, directory: Path, **values: Any) -> ptdq.Run:
    return ptdq.run(
        model, data, variant=["fp32", "int8-dynamic"], max_length=[32], repeats=1, control_documents=0,
        load_wait=0, results_dir=directory, run_id="run", **values,
    )  # fmt: skip


def answers(run: ptdq.Run, variant: str) -> pd.DataFrame:
    frame = run.predictions
    mine = frame[(frame["variant"] == variant) & ~frame["warmup"].astype(bool)]
    judged = mine[mine["kind"] == "quality"]
    return (judged if len(judged) else mine).sort_values("doc_id", ignore_index=True)


def logits(run: ptdq.Run, variant: str) -> np.ndarray:
    return np.stack(answers(run, variant)["logits"].tolist())


def figures(run: ptdq.Run, variant: str) -> dict[str, dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(RunFiles(run.directory).table("measures")).to_pylist()
    return {row["measure"]: row for row in rows if row["variant"] == variant}


def check(run: ptdq.Run, main: str, expected: Callable[[np.ndarray], float]) -> None:
    """The main figure of both variants, its difference, and that everything says it."""
    points = {name: expected(logits(run, name)) for name in ("fp32", "int8-dynamic")}
    for name, value in points.items():
        assert figures(run, name)[main]["value"] == pytest.approx(value)
    found = figures(run, "int8-dynamic")[main]
    assert found["difference"] == pytest.approx(points["int8-dynamic"] - points["fp32"])
    assert found["difference_low"] <= found["difference"] <= found["difference_high"]
    (row,) = run.comparisons.to_dict("records")
    assert row["main_difference"] == found["difference"]
    assert row["non_inferiority"] in ("non-inferior", "inferior", "undecided")
    assert run.failed_gates
    assert "max_quality_drop" in run.failed_gates[0]
    assert f"{found['drop_bound']:.4g}" in run.failed_gates[0]
    summary = json.loads((run.directory / "summary.json").read_text(encoding="utf-8"))
    assert summary["figures"][0]["main"] == pytest.approx(points["fp32"])
    assert {each["measure"] for each in summary["measures"]} == set(figures(run, "fp32"))
    assert "## Quality at the task" in run.report.read_text(encoding="utf-8")


def test_multi_label(prefect_server: str, tmp_path: Path) -> None:
    kind = {"problem_type": "multi_label_classification"}
    model = save_model(tmp_path / "model", TOPICS, **kind)
    data = save_multi_label(model, tmp_path / "data.parquet", TOPICS)
    rows = pd.read_parquet(data)
    run = measure(model, data, tmp_path / "results", threshold=0.6, max_quality_drop=0)
    cut = np.log(0.6 / 0.4)
    assert np.allclose(logits(run, "fp32"), logits_of(model, rows["text"].tolist()), atol=1e-5)
    truth = np.array([[name in labels for name in TOPICS] for labels in rows["label"]])
    check(run, "f1_micro", lambda found: float(f1_score(truth, found > cut, average="micro")))
    macro = figures(run, "fp32")["f1_macro"]["value"]
    assert macro == pytest.approx(f1_score(truth, logits(run, "fp32") > cut, average="macro"))
    frame = pd.read_parquet(RunFiles(run.directory).table("classes"))
    assert frame[frame["variant"] == "fp32"]["support"].tolist() == truth.sum(axis=0).tolist()
    assert answers(run, "fp32")["prediction"].isna().all()
    assert run.record.model.task == "multi-label"
    report = run.report.read_text(encoding="utf-8")
    assert "multi-label: any number of labels" in report
    assert "## Labels" in report

    classifier = classifier_of(export(RunFiles(run.directory), "fp32", tmp_path / "out"))
    assert "name: micro F1" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    expected = [
        [name for name, out in zip(TOPICS, row, strict=True) if out > cut] for row in logits(run, "fp32")
    ]
    assert [classifier.classify([text])[0] for text in rows["text"]] == expected
    with pytest.raises(ValueError, match="rank: this model was measured at multi-label"):
        classifier.rank("a", ["b"])


def test_regression_on_pairs(prefect_server: str, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", ["score"], problem_type="regression")
    data = save_scores(model, tmp_path / "data.csv")
    rows = pd.read_csv(data)
    run = measure(
        model, data, tmp_path / "results", text_column="first", text_pair_column="second",
        label_column="score", max_quality_drop=0,
    )  # fmt: skip
    expected = logits_of(model, rows["first"].tolist(), rows["second"].tolist(), 32)
    assert np.allclose(logits(run, "fp32"), expected, atol=1e-5)
    check(run, "spearman", lambda found: float(stats.spearmanr(rows["score"], found[:, 0]).statistic))
    error = figures(run, "int8-dynamic")["mean_absolute_error"]
    assert error["value"] == pytest.approx(
        np.abs(rows["score"] - logits(run, "int8-dynamic")[:, 0]).mean()
    )
    classifier = classifier_of(export(RunFiles(run.directory), "fp32", tmp_path / "out"))
    found = classifier.predict([rows["first"][0]], pairs=[rows["second"][0]])
    assert found == [float(logits(run, "fp32")[0, 0])]


def test_reranking(prefect_server: str, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", ["LABEL_0"], **CROSS)
    data = save_candidates(model, tmp_path / "data.csv")
    rows = pd.read_csv(data)
    run = measure(
        model, data, tmp_path / "results", text_column="query", text_pair_column="candidate",
        label_column="relevance", max_quality_drop=0, timing_documents=20,
    )  # fmt: skip
    frame = run.predictions
    judged = frame[
        (frame["kind"] == "quality") & (frame["variant"] == "fp32") & ~frame["warmup"].astype(bool)
    ]
    batches = judged.groupby("batch")["doc_id"].apply(set)
    queries = rows.assign(doc_id=sorted(judged["doc_id"])).groupby("query")["doc_id"].apply(set)
    assert sorted(map(sorted, batches)) == sorted(map(sorted, queries))
    timed = frame[
        (frame["kind"] == "timing") & (frame["variant"] == "fp32") & ~frame["warmup"].astype(bool)
    ]
    assert set(map(len, timed.groupby("batch")["doc_id"].apply(set))) == {5}
    assert len(timed) == 20

    def ndcg(found: np.ndarray) -> float:
        scored = rows.assign(score=found[:, 0]).groupby("query")
        return float(
            np.mean(
                [
                    ndcg_score(g["relevance"].to_numpy()[None], g["score"].to_numpy()[None], k=10)
                    for _, g in scored
                ]
            )
        )

    check(run, "ndcg_at_10", ndcg)
    assert figures(run, "fp32")["kendall_tau"]["value"] == pytest.approx(1)
    assert figures(run, "int8-dynamic")["kendall_tau"]["value"] <= 1
    assert "candidates of 12 queries" in run.report.read_text(encoding="utf-8")

    classifier = classifier_of(export(RunFiles(run.directory), "fp32", tmp_path / "out"))
    query, mine = next(iter(rows.groupby("query", sort=False)))
    ranked = classifier.rank(query, mine["candidate"].tolist())
    expected = logits(run, "fp32")[mine.index, 0]
    assert [place for place, _ in ranked] == (-expected).argsort(kind="stable").tolist()


def test_one_output_that_says_yes(prefect_server: str, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", ["toxic"])
    data = tmp_path / "data.csv"
    found = logits_of(
        model, texts_of_binary := [f"球队今晚{'比赛' * (n % 5)}{'医生'[n % 2]}" for n in range(40)]
    )
    wrong = np.arange(40) % 6 == 0
    frame = pd.DataFrame({"text": texts_of_binary, "label": ((found[:, 0] > 0) ^ wrong).astype(int)})
    frame.to_csv(data, index=False)
    run = measure(model, data, tmp_path / "results", task="binary", threshold=0.7, max_quality_drop=0)
    cut = np.log(0.7 / 0.3)
    expected = (found[:, 0] > cut).astype(int)
    assert answers(run, "fp32")["prediction"].tolist() == expected.tolist()
    (row,) = [row for row in run.cells.to_dict("records") if row["variant"] == "fp32"]
    assert row["f1_weighted"] == pytest.approx(f1_score(frame["label"], expected, average="weighted"))
    assert "not toxic" in run.report.read_text(encoding="utf-8")
    classifier = classifier_of(export(RunFiles(run.directory), "fp32", tmp_path / "out"))
    assert classifier.classify(texts_of_binary[:3]) == [
        "toxic" if yes else "not toxic" for yes in expected[:3]
    ]
