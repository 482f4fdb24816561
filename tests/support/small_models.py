"""A model in which one module is hard to quantize on purpose."""

from __future__ import annotations

import csv
from pathlib import Path

HARD = "bert.pooler.dense"


def spoil(model: Path, target: Path) -> Path:
    """A copy of a BERT with one weight in the pooler that is too large for a scale of its tensor.

    The unit with that weight is not read by the classifier, so in float it changes nothing. In int8
    the scale that it needs rounds every other weight of the tensor to zero.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    bert = AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.no_grad():
        bert.get_submodule(HARD).weight[0, 0] = 1e4
        bert.classifier.weight[:, 0] = 0
    bert.save_pretrained(target)
    AutoTokenizer.from_pretrained(model).save_pretrained(target)
    return target


def label(model: Path, texts: list[str], path: Path, tokens: int) -> Path:
    """A file of documents with what the model says of each as label."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    bert = AutoModelForSequenceClassification.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    with path.open("w", encoding="utf-8", newline="") as file, torch.inference_mode():
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for text in texts:
            encoding = tokenizer(text, truncation=True, max_length=tokens, return_tensors="pt")
            rows.writerow([text, int(bert(**encoding).logits.argmax())])
    return path


def texts(first: int, count: int) -> list[str]:
    """Made-up documents; those of different ``first``, ``count`` apart, are different."""
    words = "球队今晚比赛胜负难料医生建议多走少坐新车油耗更低学校放假部队演习"
    return [
        "".join(words[(11 * number + step * (1 + number % 5)) % len(words)] for step in range(3 + number))
        for number in range(first, first + count)
    ]
