"""Tiny models of every task, and files that they answer: a BERT of two layers over characters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.support.tiny_bert import save_tiny_bert

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
    kind = config.pop("problem_type", None)
    save_tiny_bert(directory, [texts(40), texts(40, 5)], labels, TOKENS, problem_type=kind)
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


def save_multi_label(model: Path, path: Path, names: Sequence[str], count: int = 60) -> Path:
    """Documents with the labels that the model gives them, some of them wrong; lists in Parquet."""
    first = texts(count)
    given = logits_of(model, first) > 0
    wrong = np.random.default_rng(1).random(given.shape) < 0.1
    rows = [[names[int(label)] for label in np.flatnonzero(row)] for row in given ^ wrong]
    pd.DataFrame({"text": first, "label": rows}).to_parquet(path)
    return path


def save_scores(model: Path, path: Path, count: int = 60) -> Path:
    """Pairs with about what the model says of each as score, rounded as annotators do."""
    first, second = texts(count), texts(count, 5)
    noise = np.random.default_rng(2).normal(0, 0.3, count)
    scores = np.round(logits_of(model, first, second)[:, 0] + noise, 1)
    pd.DataFrame({"first": first, "second": second, "score": scores}).to_csv(path, index=False)
    return path


def save_candidates(model: Path, path: Path, queries: int = 12, candidates: int = 5) -> Path:
    """Queries with candidates, of which about what the model likes best is relevant; shuffled rows."""
    asked = [text for text in texts(queries) for _ in range(candidates)]
    offered = texts(len(asked), 5)
    scores = logits_of(model, asked, offered)[:, 0]
    noisy = scores + np.random.default_rng(3).normal(0, 0.5, len(scores))
    best = noisy.reshape(queries, candidates).argsort(axis=1)[:, -2:]
    relevant = np.zeros((queries, candidates), int)
    np.put_along_axis(relevant, best, [[1, 2]], axis=1)
    frame = pd.DataFrame({"query": asked, "candidate": offered, "relevance": relevant.ravel()})
    frame.sample(frac=1, random_state=4).to_csv(path, index=False)
    return path
