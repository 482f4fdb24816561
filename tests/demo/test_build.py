"""The files of the demonstration and their cache."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from ptdq.demo import DemoFiles, Recipe, build, make_demo
from ptdq.demo.corpus import MARK, make_corpus
from ptdq.demo.model import train_tokenizer
from ptdq.demo.phrases import CLASSES
from ptdq.demo.recipe import Shape

SMALL = Recipe(
    train_size=48,
    test_size=16,
    shape=Shape(hidden=64, layers=1, word_steps=2, steps=2, batch=4),
)


def make(cache: Path, seed: int = 1) -> DemoFiles:
    return make_demo(cache, seed=seed, progress=False, recipe=SMALL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the entry of seed 1, for tests that leave it as it is."""
    cache = tmp_path_factory.mktemp("cache")
    assert not make(cache).cached
    return cache


def test_second_call_is_cached(shared: Path) -> None:
    first, second = make(shared), make(shared)
    assert second.cached
    assert second == first


def test_files_load(shared: Path) -> None:
    files = make(shared)
    tokenizer = AutoTokenizer.from_pretrained(files.model)
    model = BertForSequenceClassification.from_pretrained(files.model)
    assert tokenizer.model_max_length == 512
    assert model.config.id2label == dict(enumerate(CLASSES))
    assert (files.model / "model.safetensors").is_file()
    assert tokenizer.tokenize("记者报道") == ["记", "者", "报", "道"]
    batch = tokenizer(["记者报道", "球队"], padding=True, return_tensors="pt")
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask"}
    assert batch["input_ids"][0, 0] == tokenizer.cls_token_id
    with torch.inference_mode():
        assert model(**batch).logits.shape == (2, len(CLASSES))


def test_the_vocabulary_is_the_same_each_time() -> None:
    texts = [document.text for document in make_corpus(200, 8, seed=1).train]
    assert train_tokenizer(texts).get_vocab() == train_tokenizer(texts).get_vocab()


def test_the_sign_is_in_the_vocabulary_of_a_corpus_without_it() -> None:
    assert MARK in train_tokenizer(["记者报道。", "球队。"]).get_vocab()


def test_tables_have_text_and_label(shared: Path) -> None:
    files = make(shared)
    for path, size in ((files.data, 16), (files.calibration, 48)):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == size
        assert all(row.keys() == {"text", "label"} for row in rows)
        assert sorted({row["label"] for row in rows}) == [str(label) for label in range(len(CLASSES))]


def test_another_seed_is_another_entry(tmp_path: Path) -> None:
    assert make(tmp_path, seed=1).model != make(tmp_path, seed=2).model


def test_another_version_is_another_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build._key(1, SMALL)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.0")
    assert build._key(1, SMALL) != before


@pytest.mark.parametrize("name", ["model/model.safetensors", "test.csv", "manifest.json"])
def test_corrupt_file_is_noticed(tmp_path: Path, name: str) -> None:
    files = make(tmp_path)
    damaged = files.data.parent / name
    damaged.write_bytes(damaged.read_bytes()[:-3] + b"???")
    assert not make(tmp_path).cached
    assert make(tmp_path).cached
    assert [entry.name for entry in tmp_path.iterdir()] == [files.data.parent.name]


def test_missing_and_foreign_files_are_noticed(tmp_path: Path) -> None:
    files = make(tmp_path)
    files.data.unlink()
    assert not make(tmp_path).cached
    (files.model / "stray.txt").touch()
    assert not make(tmp_path).cached


def test_interrupted_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ptdq.demo.model.train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path)
    assert not list(tmp_path.iterdir())
    assert not make(tmp_path).cached


def test_few_lines_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_demo(tmp_path, seed=1, recipe=SMALL)
    captured = capsys.readouterr()
    assert captured.out == ""
    steps = ["corpus", "tokenizer", "training", "checking"]
    assert captured.err.splitlines() == [f"demo: {step}" for step in steps]
