"""``ptdq init``: a configuration that can decide, from a real model and real files."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from ptdq.analysis.planning import plan_alone
from ptdq.analysis.propose import Proposal
from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.parameters import Parameters, make_parameters, read_config
from ptdq.parameters.json_schema import configuration_schema, first_line
from ptdq.report.configuration import configuration, write_new

WORDS = "球队今晚比赛胜负难料医生建议多走少坐新车油耗更低学校放假部队演习"


def documents(model: Path, path: Path, count: int) -> Path:
    """A file of different documents, with what the model says of each as its class."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    draw = random.Random(count)
    texts = ["".join(draw.choices(WORDS, k=draw.randint(5, 40))) for _ in range(count)]
    bert = AutoModelForSequenceClassification.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    batch = tokenizer(texts, padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.inference_mode():
        labels = bert(**batch).logits.argmax(1).tolist()
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "review", "class"])
        rows.writerows([i, *pair] for i, pair in enumerate(zip(texts, labels, strict=True)))
    return path


def init(*words: object) -> Result:
    return CliRunner().invoke(cli, ["init", *map(str, words)])


@pytest.mark.long
@pytest.mark.slow
def test_what_it_writes_can_decide(tiny_model: Path, tmp_path: Path) -> None:
    data, out = documents(tiny_model, tmp_path / "d.csv", 900), tmp_path / "nightly.yaml"
    done = init("--model", tiny_model, "--data", data, "--out", out, "--max-length", 32, "--seed", 5)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    text = out.read_text(encoding="utf-8")
    assert text.splitlines()[0] == first_line(out)
    values = read_config(out)
    jsonschema.validate(values, configuration_schema())
    assert values["text_column"] == "review"
    assert values["label_column"] == "class"
    assert (values["max_length"], values["seed"]) == ([32], 5)  # as given
    assert values["timing_documents"] == 100
    assert values["margin"] == 0.99
    # Every value stands below what it means.
    for name in values:
        described = " ".join(text.split(f"\n{name}: ")[0].rsplit("\n\n", 1)[1].replace("#", "").split())
        assert " ".join((Parameters.model_fields[name].description or "").split()) in described
    assert "# model: BertForSequenceClassification" in text
    assert "# task: each document gets one of 3 classes" in text
    assert "# data: 900 documents; classes: " in text
    assert "# lengths: half of the documents have up to " in text
    plan = plan_alone(make_parameters(values), lambda line: None)
    assert plan.warnings == ()


def test_whatever_is_in_names_the_file_is_read_back(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "model": "a: b # c",
        "data": "{x}, [y]\n- z",
        "text_column": "'\"%&*",
        "label_column": "1",
    }
    values |= {"variant": ["fp32", "a.b:C"], "max_length": [128, 256], "margin": 0.985, "no_cache": True}
    reasons = dict.fromkeys(values, "so it is\nmodel: another")
    out = tmp_path / "nightly.yaml"
    write_new(out, configuration(Proposal(values, reasons, ["found\n- x"], ["decides: y"]), out))
    assert read_config(out) == values


@pytest.mark.long
@pytest.mark.slow
def test_too_few_documents_are_said_and_nothing_is_written(tiny_model: Path, tmp_path: Path) -> None:
    data, out = documents(tiny_model, tmp_path / "d.csv", 30), tmp_path / "nightly.yaml"
    done = init("--model", tiny_model, "--data", data, "--out", out, "--max-length", 16)
    assert isinstance(done.exception, UserError)
    said = str(done.exception)
    assert "30 documents cannot decide whether a variant keeps 0.95 of F1; it takes about " in said
    assert "--margin" in said
    assert not out.exists()


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    out = tmp_path / "nightly.yaml"
    out.write_text("mine: true\n")
    done = init("--model", "m", "--data", "d.csv", "--out", out)
    assert isinstance(done.exception, UserError)
    assert "it is there already; name another file (--out)" in str(done.exception)
    assert yaml.safe_load(out.read_text()) == {"mine": True}


def test_model_and_data_are_needed(tmp_path: Path) -> None:
    done = init("--out", tmp_path / "nightly.yaml")
    assert isinstance(done.exception, UserError)
    assert "model: is required (--model" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
