"""Tiny models of every task, and files that they answer: a BERT of two layers over characters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

WORDS = "球队今晚比赛胜负难料医生建议多走少坐新车油耗更低学校放假部队演习"
TOKENS = 40
RELATIONS = ("entailment", "neutral", "contradiction")


def texts(count: int, step: int = 7) -> list[str]:
    """Different texts of 2 to 15 characters."""
    return [
        "".join(WORDS[(step * number + place * (1 + number % 5)) % len(WORDS)] for place in range(2 + n))
        for number, n in ((number, number % 14) for number in range(count))
    ]


def save_model(directory: Path, labels: Sequence[str], **config: Any) -> Path:
    """A checkpoint whose outputs spread over documents; ``config`` goes into ``config.json``."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(WORDS))]
    tokenizer = BertTokenizer(
        vocab={word: index for index, word in enumerate(words)}, model_max_length=TOKENS
    )
    known = {"problem_type": config.pop("problem_type", None)}
    made = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=TOKENS,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
        label2id={name: index for index, name in enumerate(labels)},
        **known,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = BertForSequenceClassification(made).eval()
    batch = tokenizer(texts(40), texts(40, 5), padding=True, return_tensors="pt")
    with torch.no_grad():
        spread, mean = torch.std_mean(model(**batch).logits, dim=0)
        model.classifier.weight /= spread[:, None]
        model.classifier.bias -= mean
        model.classifier.bias /= spread
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | config), encoding="utf-8")
    return directory


def logits_of(
    model: Path, first: Sequence[str], second: Sequence[str] | None = None, tokens: int = TOKENS
) -> NDArray[np.float32]:
    """What plain transformers gives for each document, one at a time."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    loaded = AutoModelForSequenceClassification.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = zip(first, *([] if second is None else [second]), strict=True)
    with torch.inference_mode():
        outputs = [
            loaded(**tokenizer(*row, truncation=True, max_length=tokens, return_tensors="pt")).logits[0]
            for row in rows
        ]
    return np.stack([output.numpy() for output in outputs])


def save_pairs(model: Path, path: Path, count: int = 40) -> Path:
    """Pairs with what the model says of each as label, every fifth one wrong."""
    first, second = texts(count), texts(count, 5)
    found = logits_of(model, first, second).argmax(axis=1)
    wrong = np.arange(count) % 5 == 0
    names = [RELATIONS[(index + off) % len(RELATIONS)] for index, off in zip(found, wrong, strict=True)]
    pd.DataFrame({"premise": first, "hypothesis": second, "relation": names}).to_csv(path, index=False)
    return path
