"""A drop in quality that was planted is found by a real run, with its size, and fails the gate.

The planted slow-down is a matter of timings: ``make bench`` looks for it, on an idle machine.
"""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from tests.support.running import start_ptdq

pytestmark = pytest.mark.slow
WORSE = "tests.support.planted:Worse"
DOCUMENTS = 160


@pytest.mark.long
def test_a_planted_drop_is_found_and_fails_the_gate(
    prefect_server: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = tmp_path / "test.csv"
    save_documents(tiny_model, data)
    process = start_ptdq(
        "run", "--model", tiny_model, "--data", data, "--variant", "fp32", "--variant", WORSE,
        "--max-length", "16", "--repeats", "2", "--control-documents", "0", "--load-wait", "0",
        "--max-f1-drop", "0.02", "--results-dir", tmp_path / "results", "--run-id", "planted",
        server=prefect_server,
    )  # fmt: skip
    try:
        _, errors = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 3, errors.decode()[-2000:]
    assert "gate max_f1_drop failed" in errors.decode()

    files = RunFiles(tmp_path / "results" / "planted")
    (row,) = read_table(files.table("comparisons")).to_pylist()
    rows = read_table(files.table("predictions")).to_pylist()
    # The float model is right about all of these: whatever differs was turned by the variant.
    turned = {r["doc_id"] for r in rows if r["variant"] == WORSE and r["prediction"] != r["label"]}
    assert DOCUMENTS // 16 < len(turned) < DOCUMENTS // 4
    assert (row["discordant_better"], row["discordant_worse"]) == (0, len(turned))
    assert row["accuracy_difference"] == pytest.approx(-len(turned) / DOCUMENTS)
    assert row["accuracy_difference_high"] < 0
    assert row["mcnemar_p"] == pytest.approx(2 * 0.5 ** len(turned))
    assert row["non_inferiority"] == "inferior"
    assert read_json(files.record)["verdict"]["decision"] == "don't ship"


def save_documents(model_directory: Path, path: Path) -> None:
    """Short documents, each labelled with what the float model says of it."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(model_directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_directory)
    words = "球队今晚比赛胜负难料医生建议多走少坐新车油耗更低学校放假部队演习"
    with path.open("w", encoding="utf-8", newline="") as file, torch.inference_mode():
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for number in range(DOCUMENTS):
            digits = (number % 31, number // 31 * 7 % 31, number % 7, number % 11)
            text = "".join(words[digit] for digit in digits)
            encoding = tokenizer(text, truncation=True, max_length=16, return_tensors="pt")
            rows.writerow([text, model.config.id2label[int(model(**encoding).logits.argmax())]])
